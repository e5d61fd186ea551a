"""`celeriac dev`: everything on one machine with one command, for an app of yours or for the demo."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from celeriac.cli.command import Command
from celeriac.cli.output import note
from celeriac.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from celeriac.cli.folder import DataFolder
    from celeriac.cli.stage import Stage
    from celeriac.wiring import Installation

_DEMO = "examples.bank_support.demo"
_PORT = 8288


@click.command(
    cls=Command,
    example="celeriac dev app:app",
    short_help="Run everything on this machine, for your app or for the demo.",
)
@click.argument("app", metavar="[MODULE:APP]", required=False)
@click.option("--demo", is_flag=True, help="Watch two banks' support desks at work, without any key.")
@click.option("--exit", "exits", is_flag=True, help="With --demo: end when it has been played.")
@click.option("--model", metavar="PROVIDER:MODEL", help="With --demo: ask a real provider; its key is needed.")
@click.option("--port", type=click.IntRange(1, 65535), help=f"The web's port; {_PORT} if it is free.")
@click.option(
    "--data-dir", default=".celeriac", show_default=True, type=click.Path(file_okay=False, path_type=Path),
    help="Where database, logs and keys are kept.",
)  # fmt: skip
def dev(app: str | None, *, demo: bool, exits: bool, model: str | None, port: int | None, data_dir: Path) -> int:
    """Run Redis, SQLite, workers and the web for your app, until Ctrl-C.

    A database or a Redis that the settings name is used in place of its own.
    """
    from celeriac.cli.folder import DataFolder
    from celeriac.settings import load_settings

    if demo and app:
        raise click.UsageError("--demo brings its own app; leave out one of the two.")
    if exits and not demo:
        raise click.UsageError("--exit goes with --demo; an app runs until Ctrl-C.")
    if model and not demo:
        raise click.UsageError("--model goes with --demo; an app names its own models.")
    named = app or load_settings().app
    if not demo and not named:
        raise click.UsageError("Name your app: `celeriac dev module:app`. Or watch the demo: `celeriac dev --demo`.")
    port = _port(port)
    _end_on_signals()
    if demo:
        is_terminal = sys.stderr.isatty() and not exits
        return _play(DataFolder(path=data_dir / "demo"), port, model=model, is_terminal=is_terminal)
    return _serve(str(named), DataFolder(path=data_dir), port)


def _serve(path: str, folder: DataFolder, port: int) -> int:
    from celeriac.cli.banner import Doors, banner
    from celeriac.cli.tree import Plan, running_tree
    from celeriac.tasks.process import load_app

    app = load_app(path)
    note("Starting …")
    with folder.locked(), running_tree(Plan(app=path, folder=folder, port=port)) as stage:
        tenant, event_key = _dev_tenant(stage.installation, folder)
        with folder.sourced({**stage.settings, "CELERIAC_DEFAULT_TENANT": tenant}):
            note(banner(stage, app, Doors(links={"dev": stage.signin_link(tenant)}, event_key=event_key)))
            threading.Event().wait()
    return 0


def _play(folder: DataFolder, port: int, *, model: str | None, is_terminal: bool) -> int:
    """Play the demo; on a terminal everything stays up afterwards, until Ctrl-C."""
    from celeriac.cli.tree import Plan, running_tree

    try:
        demo = importlib.import_module(_DEMO)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("examples"):
            raise
        raise ConfigError("The demo comes with a source checkout; run it there by `make demo`") from error
    note("Starting …")
    with folder.locked(fresh=True), demo.environment(folder.path, model) as environment:
        plan = Plan(app=demo.APP, folder=folder, port=port, environment=environment, is_terminal=is_terminal)
        with running_tree(plan) as stage:
            code = int(demo.play(stage))
            if is_terminal:
                _stay(stage, demo.APP, folder)
    return code


def _stay(stage: Stage, app: str, folder: DataFolder) -> None:
    from celeriac.cli.banner import Doors, banner
    from celeriac.tasks.process import load_app

    tenants = stage.installation.tenants.list()
    links = {tenant.name: stage.signin_link(tenant.id) for tenant in tenants}
    _, event_key = stage.installation.keys.create(tenants[0].id, "event")
    with folder.sourced(stage.settings):
        note(banner(stage, load_app(app), Doors(links=links, event_key=event_key)))
        threading.Event().wait()


def _dev_tenant(installation: Installation, folder: DataFolder) -> tuple[str, str]:
    """Return the tenant `dev` and its event key; both are made at the first start and kept in the folder."""
    kept = folder.load()
    try:
        tenant_id = installation.tenants.get(kept.get("tenant_id", "")).id
    except NotFoundError:
        tenant_id = installation.tenants.create("dev").id
        kept |= {"tenant_id": tenant_id, "api_key": installation.keys.create(tenant_id, "api")[1]}
        kept["event_key"] = installation.keys.create(tenant_id, "event")[1]
        folder.keep(kept)
    return tenant_id, kept["event_key"]


def _port(given: int | None) -> int:
    from celeriac.cli.ports import free_port, is_taken
    from celeriac.cli.tree import HOST

    if given is None:
        return free_port() if is_taken(HOST, _PORT) else _PORT
    if is_taken(HOST, given):
        raise ConfigError(f"Port {given} is taken; give another one with --port, or none for a free one")
    return given


def _end_on_signals() -> None:
    """End in order on SIGTERM as on Ctrl-C, also where a shell started us in the background without the latter."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.default_int_handler)
