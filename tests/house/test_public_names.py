"""The public face of the package: `celeriac.__all__` is complete, ordered, and grows only on purpose."""

from __future__ import annotations

import re
from types import ModuleType

import celeriac
from house_source import ROOT

#: A new public name needs a docs page, an example, a test, and this number moved.
PUBLIC_NAMES = 43

#: Names that the machinery of the module itself leaves in its namespace.
MACHINERY = {"TYPE_CHECKING", "annotations"}

INIT = ROOT / "celeriac" / "__init__.py"


def groups_of(source: str) -> list[list[str]]:
    """Read the names of `__all__`, one list for each comment line that opens a group."""
    body = re.search(r"^__all__ = \[\n(.*?)^\]", source, re.DOTALL | re.MULTILINE)
    groups = re.split(r"^\s*#.*$", body.group(1) if body else "", flags=re.MULTILINE)
    return [names for group in groups if (names := re.findall(r'"(\w+)"', group))]


def test_all_holds_every_public_name() -> None:
    """Whoever imports a name into the package means it to be public."""
    public = {name for name, value in vars(celeriac).items() if not isinstance(value, ModuleType | None)}
    public = {name for name in public if not name.startswith("_")} - MACHINERY
    assert public <= set(celeriac.__all__)


def test_every_name_of_all_is_there() -> None:
    """The lazily loaded ones too."""
    assert [name for name in celeriac.__all__ if not hasattr(celeriac, name)] == []


def test_all_is_grouped_by_comments_and_sorted_inside_each_group() -> None:
    """The groups are how a reader finds his way."""
    groups = groups_of(INIT.read_text())
    assert [name for group in groups for name in group] == list(celeriac.__all__)
    assert [group for group in groups if group != sorted(group)] == []


def test_the_number_of_public_names_moves_only_on_purpose() -> None:
    """Each name is a promise for years."""
    assert len(celeriac.__all__) == PUBLIC_NAMES


def test_the_reader_of_groups_sees_the_groups() -> None:
    """An unsorted list must not hide in a wrong reading."""
    assert groups_of('__all__ = [\n    # one\n    "b", "a",\n    # two\n    "c",\n]\n') == [["b", "a"], ["c"]]
