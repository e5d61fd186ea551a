"""`celeriac migrate`, `celeriac worker` and `celeriac web`: the lines of a Procfile.

Each becomes the process that it names and ends with it. `celeriac dev` starts the same commands as children.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from contextlib import suppress

import click

from celeriac.cli.command import Command
from celeriac.cli.output import note
from celeriac.errors import ConfigError, StoreUnavailable


@click.command(cls=Command, example="celeriac migrate", short_help="Bring the database to the newest schema.")
def migrate() -> None:
    """Bring the database to the newest schema; harmless when it is there already."""
    from celeriac.database import migrate as bring_up
    from celeriac.settings import load_settings

    settings = load_settings()
    bring_up(settings.database_url, row_security=settings.row_security)
    note("The database has the newest schema.")


@click.command(cls=Command, example="celeriac worker app:app --queues runs", short_help="Run a Celery worker.")
@click.argument("app", metavar="[MODULE:APP]", required=False)
@click.option(
    "--queues", default="runs,memory,cpu", show_default=True, metavar="A,B", help="The queues to take runs from."
)
@click.option(
    "--concurrency", default=32, show_default=True, type=click.IntRange(1, 1000), help="Links executed at once."
)
def worker(app: str | None, queues: str, concurrency: int) -> int:
    """Run a Celery worker for the app (or for CELERIAC_APP) until SIGTERM."""
    from celeriac.cli.schema import require_schema
    from celeriac.settings import load_settings

    if not (app or load_settings().app):
        raise click.UsageError("Name your app: `celeriac worker module:app`, or set CELERIAC_APP.")
    from celeriac.tasks.start import run_worker

    names = [name.strip() for name in queues.split(",") if name.strip()]
    if not names:
        raise click.UsageError("--queues names no queue; leave it out for all of them.")
    require_schema(load_settings().database_url)
    return run_worker(app, queues=names, concurrency=concurrency)


@click.command(cls=Command, example="celeriac web --port 8288", short_help="Serve the HTTP API and the dashboard.")
@click.argument("app", metavar="[MODULE:APP]", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8288, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--threads", default=64, show_default=True, type=click.IntRange(1, 1000), help="Requests at once.")
def web(app: str | None, host: str, port: int, threads: int) -> None:
    """Serve the HTTP API and the dashboard until SIGTERM.

    With an app its functions are declared first, so that events find them even before a worker has started.
    """
    from celeriac.cli.ports import is_taken
    from celeriac.cli.schema import require_schema
    from celeriac.settings import NEW_SECRET_KEY, check_secret_key, load_settings

    if not load_settings().secret_key:
        if not is_loopback(host):
            raise ConfigError(
                f"Without CELERIAC_SECRET_KEY the web listens on the loopback only, not on {host!r}; "
                f"make one with {NEW_SECRET_KEY}"
            )
        os.environ["CELERIAC_SECRET_KEY"] = secrets.token_urlsafe(32)
        load_settings.cache_clear()
        note("CELERIAC_SECRET_KEY is not set: sessions and sign-in links end with this process.")
    check_secret_key(load_settings().secret_key)
    if is_taken(host, port):
        raise ConfigError(f"Port {port} of {host} is taken; give another one with --port")
    # A web outlives a database that is away, and serves as soon as it is back. Without tables it never would.
    with suppress(StoreUnavailable):
        require_schema(load_settings().database_url)
    if app:
        _declare(app)
    from celeriac.web.server import serve

    note(f"Serving on http://{host}:{port}")
    serve(host, port, threads=threads)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _declare(path: str) -> None:
    from celeriac.settings import load_settings
    from celeriac.tasks.process import load_app
    from celeriac.wiring import build

    app = load_app(path)
    # An installation of its own, closed before the fork: the server makes its connections after it.
    installation = build(load_settings())
    try:
        declarations = app.declarations(home=installation.settings.default_tenant)
        installation.store.declare(app.name, declarations, app.schemas())
    finally:
        installation.close()
