"""A measurement: one case on one peer, on servers that stand for all of them; what failed is a record too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from sqlalchemy.engine import make_url

from benchmarks.cases import CASES, MODEL_SECONDS
from benchmarks.fleet import Servers, fleet_on
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import Environments, NotInstalledError
from benchmarks.peers.programs.yardstick import FIGURES
from benchmarks.servers import (
    ROOT,
    die_with_parent,
    fresh_database,
    postmaster,
    running_model,
    running_postgres,
    running_redis,
)

PROGRAM_SECONDS = 300
FAREWELL_SECONDS = 15
#: a benchmark tells nobody of itself
NO_TELEMETRY = {"DO_NOT_TRACK": "1", "LANGSMITH_TRACING": "false", "OPENAI_AGENTS_DISABLE_TRACING": "1"}

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """The servers and environments with which everything is measured."""

    servers: Servers
    environments: Environments
    is_quick: bool

    def measure(self, peer: Peer, case: str) -> Record:
        """Measure, and return the line to print; a failure stands in it as `error`."""
        load = os.getloadavg()[0]
        try:
            figures = self._ours(case) if not peer.programs else self._theirs(peer, case)
        except NotInstalledError as error:
            figures = {"error": str(error)}
        except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
            figures = {"error": f"failed: {error}"}
        rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
        return {"system": peer.name, "case": case, "db": peer.db, **rounded, "load": round(load, 1)}

    def _ours(self, case: str) -> Record:
        with fleet_on("postgres", self.servers) as fleet:
            return CASES[case](fleet, self.is_quick)

    def _theirs(self, peer: Peer, case: str) -> Record:
        installed = self.environments.get(peer.environment)
        command = [str(installed.python), "-m", f"benchmarks.peers.programs.{peer.programs[case]}", case]
        with tempfile.TemporaryDirectory(dir=self.servers.folder) as name, self._addresses(peer, case) as addresses:
            own = {"BENCH_FOLDER": name, "BENCH_NODE_MODULES": str(installed.node_modules), "PYTHONWARNINGS": "ignore"}
            return _run(
                [*command, *(["--quick"] if self.is_quick else [])],
                {**os.environ, **NO_TELEMETRY, **addresses, **own, **peer.variables},
                Path(name),
            )

    @contextmanager
    def _addresses(self, peer: Peer, case: str) -> Iterator[dict[str, str]]:
        """Yield what a program has to know of its servers; only those whose CPU time counts are in BENCH_SERVERS."""
        with ExitStack() as stack:
            addresses, counted = {}, []
            if peer.db == "redis":
                with redis.Redis.from_url(self.servers.redis_url) as client:
                    client.flushall()  # the Redis is ours
                    counted.append(client.info("server")["process_id"])
                addresses["BENCH_REDIS_URL"] = self.servers.redis_url
            if peer.db == "postgres":
                assert self.servers.postgres_url is not None
                url = make_url(stack.enter_context(fresh_database(self.servers.postgres_url)))
                addresses["BENCH_POSTGRES_URL"] = url.set(drivername="postgresql").render_as_string(False)
                counted.append(postmaster(self.servers.postgres_url))
            if case == "agent":
                addresses["BENCH_MODEL_URL"], _ = stack.enter_context(running_model(MODEL_SECONDS))
            yield {**addresses, "BENCH_SERVERS": ",".join(str(pid) for pid in counted if pid is not None)}


@contextmanager
def laboratory(environments: Environments, peers: Sequence[Peer], *, is_quick: bool) -> Iterator[Laboratory]:
    """Start the servers that these peers need, and stop them at the end."""
    needs_postgres = any(peer.db == "postgres" for peer in peers)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-bench-")))
        servers = Servers(
            folder=folder,
            redis_url=stack.enter_context(running_redis(folder)),
            postgres_url=stack.enter_context(running_postgres()) if needs_postgres else None,
        )
        yield Laboratory(servers=servers, environments=environments, is_quick=is_quick)


def _run(command: list[str], environment: Mapping[str, str], folder: Path) -> Record:
    with (folder / "program.log").open("wb") as errors:
        program = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env=environment, preexec_fn=die_with_parent
        )
    with program:
        try:
            output, _ = program.communicate(timeout=PROGRAM_SECONDS)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"it took more than {PROGRAM_SECONDS} s") from None
        finally:
            _end(program)
    lines = [line for line in output.decode(errors="replace").splitlines() if line.startswith(FIGURES)]
    if program.returncode != 0 or not lines:
        raise RuntimeError(f"its program ended with {program.returncode}; {_last_line(folder)}")
    figures: Record = json.loads(lines[-1].removeprefix(FIGURES))
    return figures


def _end(program: subprocess.Popen[bytes]) -> None:
    program.terminate()  # it ends its own children
    try:
        program.wait(FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()


def _last_line(folder: Path) -> str:
    """Show what the program and its processes had to say; return the program's last line, which names its error."""
    texts = [(folder / name) for name in ("processes.log", "program.log")]
    for text in texts:
        if text.exists():
            sys.stderr.write(text.read_text(errors="replace")[-3000:])
    lines = [line.strip() for line in texts[-1].read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
