"""`python -m benchmarks.tenants`: runs the recipes, prints a JSON line for each and a table at the end.

The exit code is 1 where a recipe missed a bound. Progress goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.fleet import Servers
from benchmarks.servers import running_postgres, running_redis
from benchmarks.tenants.catalogue import RECIPES
from benchmarks.tenants.recipe import Recipe, Setting, broken, line, markdown


def main() -> int:
    """Read the options, run the recipes and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tenants", description="Measure tenants.")
    parser.add_argument("--only", metavar="T1,T4", help="only these recipes")
    parser.add_argument(
        "--quick", action="store_true", help="a small part of the work, and of the recipes unless --only names them"
    )
    parser.add_argument("--json", action="store_true", help="the JSON lines alone, without the table")
    options = parser.parse_args()
    recipes = _chosen(parser, options.only, is_quick=options.quick)
    lines = []
    with _servers() as servers:
        for recipe in recipes:
            lines.append(_run(recipe, Setting(servers=servers, is_quick=options.quick)))
            print(json.dumps(lines[-1]), flush=True)
    if not options.json:
        print(f"\n{markdown(lines)}")
    return 0 if all(one["passed"] for one in lines) else 1


def _chosen(parser: argparse.ArgumentParser, only: str | None, *, is_quick: bool) -> Sequence[Recipe]:
    if only is None:
        return [recipe for recipe in RECIPES if recipe.is_for_ci or not is_quick]
    by_id = {recipe.id.lower(): recipe for recipe in RECIPES}
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name.lower() not in by_id:
            parser.error(f"There is no recipe {name!r}; they are {', '.join(recipe.id for recipe in RECIPES)}")
    return [by_id[name.lower()] for name in names]


def _run(recipe: Recipe, setting: Setting) -> dict[str, Any]:
    print(f"{recipe.id} {recipe.title} …", end=" ", file=sys.stderr, flush=True)
    load, began = os.getloadavg()[0], time.monotonic()

    def circumstances() -> dict[str, Any]:
        seconds = round(time.monotonic() - began, 1)
        return {"seconds": seconds, "load": round(load, 1), "quick": setting.is_quick}

    try:
        result = line(recipe, recipe.run(setting), **circumstances())
    except Exception as error:  # noqa: BLE001  # the other recipes are worth running all the same
        result = broken(recipe, error, **circumstances())
    verdict = "passed" if result["passed"] else f"FAILED: {'; '.join(result['missed'])}"
    print(f"{result['seconds']} s (load {load:.1f} before), {verdict}", file=sys.stderr, flush=True)
    return result


@contextmanager
def _servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-bench-")))
        yield Servers(
            folder=folder,
            redis_url=stack.enter_context(running_redis(folder)),
            postgres_url=stack.enter_context(running_postgres()),
        )


if __name__ == "__main__":
    sys.exit(main())
