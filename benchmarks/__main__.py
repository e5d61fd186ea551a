"""`python -m benchmarks`: runs the cases and prints one JSON object a line; progress goes to standard error."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from benchmarks.cases import CASES
from benchmarks.fleet import Db, Servers, fleet_on
from benchmarks.servers import running_postgres, running_redis

DATABASES: tuple[Db, ...] = ("sqlite", "postgres")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Celeriac on this machine.")
    parser.add_argument("--case", choices=CASES, help="only this case")
    parser.add_argument("--db", choices=DATABASES, help="only this database")
    parser.add_argument("--quick", action="store_true", help="a small part of the work: whether it runs, not how fast")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="measure each case N times, a line for each")
    options = parser.parse_args()
    databases = DATABASES if options.db is None else (cast(Db, options.db),)
    with _servers(databases) as servers:
        for name in CASES if options.case is None else (options.case,):
            for db in databases:
                for _ in range(options.repeat):
                    print(json.dumps(_measure(name, db, servers, is_quick=options.quick)), flush=True)


def _measure(name: str, db: Db, servers: Servers, *, is_quick: bool) -> Mapping[str, Any]:
    print(f"{name} on {db} …", end=" ", file=sys.stderr, flush=True)
    load, began = os.getloadavg()[0], time.monotonic()
    with fleet_on(db, servers) as fleet:
        figures = CASES[name](fleet, is_quick)
    print(f"{time.monotonic() - began:.1f} s (load {load:.1f} before)", file=sys.stderr, flush=True)
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
    return {"system": "celeriac", "case": name, "db": db, **rounded, "load": round(load, 1)}


@contextmanager
def _servers(databases: Sequence[Db]) -> Iterator[Servers]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-bench-")))
        yield Servers(
            folder=folder,
            redis_url=stack.enter_context(running_redis(folder)),
            postgres_url=stack.enter_context(running_postgres()) if "postgres" in databases else None,
        )


if __name__ == "__main__":
    main()
