"""`celeriac chaos`: breaks an installation by a seed, and says whether everything that was promised held."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import Command, json_option
from celeriac.cli.output import dim, emit, note, sign
from celeriac.cli.rooms import rooms
from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from celeriac.chaos.foreign import ForeignGround
    from celeriac.chaos.judge.report import Report
    from celeriac.chaos.stage import Stage


@click.command(cls=Command, example="celeriac chaos --seed 7", short_help="Break an installation on purpose.")
@click.option("--seed", default=1, show_default=True, type=int, help="The same seed plays the same load and faults.")
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1), help="So many plays, seed after seed.")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(5), help="How long each lasts.")
@click.option("--faults", default="", metavar="F1,F4:flushed", help="Only these; all that are possible by default.")
@click.option("--workers", default=3, show_default=True, type=click.IntRange(2, 20), help="Worker processes.")
@click.option(
    "--database-url", default="private", show_default=True, metavar="URL",
    help="An empty database to use, or `sqlite`; a Postgres of its own where there is one to start.",
)  # fmt: skip
@click.option("--keep", metavar="FOLDER", type=click.Path(path_type=Path), help="Keep logs and effects there.")
@click.option("--here", is_flag=True, help="Play gently on the installation that the settings name.")
@click.option("--kill", "victims", type=int, multiple=True, metavar="PID", help="With --here: a worker to be killed.")
@json_option
def chaos(*, seed: int, seeds: int, keep: Path | None, as_json: bool, victims: tuple[int, ...], **options: Any) -> int:
    """Play a mixed load on a private installation while faults strike it, and judge what is left.

    Exit code 1 when an invariant was broken; the folder with all logs is kept then.
    """
    from celeriac.chaos.play import Play, perform

    if victims and not options["here"]:
        raise click.UsageError("--kill goes with --here; a private installation has its own workers to kill.")
    only = [name.strip() for name in options["faults"].split(",") if name.strip()]
    broken = 0
    for number in range(seed, seed + seeds):
        with _folder(keep, number) as folder:
            tell = (lambda _: None) if seeds > 1 or as_json else note
            play = Play(seed=number, seconds=options["seconds"], folder=folder.path, only=only, tell=tell)
            report = perform(play, _ground(folder.path, victims, **options))
            folder.is_wanted |= not report.is_ok
            (folder.path / "report.json").write_text(json.dumps(report.export(), indent=1))
        broken += not report.is_ok
        _print(report, as_json=as_json, at_length=seeds == 1, folder=folder.path if folder.is_wanted else None)
    if seeds > 1:
        note(f"{seeds - broken} of {seeds} plays held.")
    return 1 if broken else 0


def _ground(
    folder: Path, victims: Sequence[int], *, here: bool, workers: int, database_url: str, **_: Any
) -> Stage | ForeignGround:
    from celeriac.chaos.foreign import ForeignGround
    from celeriac.chaos.servers import find_postgres
    from celeriac.chaos.stage import Binaries, Stage
    from celeriac.cli.redis_server import find_executable

    if here:
        return ForeignGround(rooms(), victims=victims)
    binaries = Binaries(redis=find_executable(), postgres=None if database_url == "sqlite" else find_postgres())
    url = None if database_url in ("private", "sqlite") else database_url
    return Stage(folder, binaries, workers=workers, database_url=url)


@dataclass
class _Folder:
    path: Path
    is_wanted: bool


@contextmanager
def _folder(keep: Path | None, seed: int) -> Iterator[_Folder]:
    """Yield a folder for a play; it stays where somebody wants it."""
    if keep is None:
        path = Path(tempfile.mkdtemp(prefix=f"celeriac-chaos-{seed}-"))
    else:
        path = keep.absolute() / f"seed-{seed}"
        if path.exists():
            raise ConfigError(f"{str(path)!r} is there already; name another folder with --keep, or remove it")
        path.mkdir(parents=True)
    folder = _Folder(path, keep is not None)
    try:
        yield folder
    except BaseException:
        if any(path.iterdir()):
            folder.is_wanted = True
            note(f"The play was broken off; its logs are in {path}")
        raise
    finally:
        if not folder.is_wanted:
            shutil.rmtree(path, ignore_errors=True)


def _print(report: Report, *, as_json: bool, at_length: bool, folder: Path | None) -> None:
    if as_json:
        emit({**report.export(), **({"folder": str(folder)} if folder else {})})
        return
    struck = " ".join(f"{fault['code']}:{fault['way']}" for fault in report.faults)
    if not at_length:
        broken = ", ".join(verdict.id for verdict in report.verdicts if verdict.verdict == "broken")
        counts = f"{report.counts['runs']} runs, {report.counts['steps']} steps, {report.counts['deaths']} deaths"
        click.echo(f"{_sign(report.is_ok)} seed {report.seed}: {broken or 'held'} ({counts}) {dim(struck)}")
    else:
        for verdict in report.verdicts:
            signs = {"held": sign("ok"), "broken": sign("broken"), "not judged": dim("–")}
            facts = ", ".join(f"{name}={value}" for name, value in verdict.evidence.items())
            click.echo(f"{signs[verdict.verdict]} {verdict.id:<9} {verdict.says}  {dim(facts)}")
            for breach in verdict.breaches[:10]:
                click.echo(f"            {breach}")
        counts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in report.counts.items())
        click.echo(f"{_sign(report.is_ok)} seed {report.seed} on {report.database}: {counts}")
    if folder is not None:
        note(f"Its logs and effects are in {folder}")


def _sign(is_ok: bool) -> str:
    return sign("ok" if is_ok else "broken")
