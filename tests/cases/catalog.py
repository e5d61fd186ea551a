"""The catalog: finds the case files, which are all the files here that are no part of the machinery."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from cases.stages.stage import Stage
from cases.table import WAITING
from celeriac import App

_MACHINERY = {"catalog", "conftest", "every_app", "table"}


class Case(Protocol):
    """One behaviour: a module with an app and a script; its docstring says what holds."""

    #: named like the file, and its events begin with its name
    app: App

    async def play(self, stage: Stage) -> None:
        """Fail unless the behaviour holds."""
        ...


def case_names() -> list[str]:
    """Return the names of all case files."""
    names = {path.stem for path in Path(__file__).parent.glob("*.py")}
    return sorted(name for name in names - _MACHINERY if not name.startswith("test_"))


def playable() -> list[str]:
    """Return the cases whose features are there."""
    return [name for name in case_names() if name not in WAITING]


def case_of(name: str) -> Case:
    """Return a case."""
    return cast(Case, import_module(f"cases.{name}"))


def limits_of(case: Case) -> dict[str, Any]:
    """Return the limits that the case's tenant is to have; the default ones where it names none."""
    limits: dict[str, Any] = getattr(case, "LIMITS", {})
    return limits


def is_at_home(case: Case) -> bool:
    """Say whether the case's tenant has to be the one to which crons belong."""
    return bool(getattr(case, "HOME", False))
