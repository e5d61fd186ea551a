"""No gap: every name of the table has its files, every file its name, and a file says what its name says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cases.catalog import case_names, case_of, playable
from cases.table import BEYOND, TABLE, WAITING, Elsewhere

LIST = Path(__file__).with_name("names.txt")


def names_of_the_list() -> list[str]:
    """Read the list that the table answers."""
    return [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


def cases_of_the_table() -> list[str]:
    """Return all cases that the table names, those beyond the list too."""
    return [*BEYOND, *(case for cases in TABLE.values() if not isinstance(cases, Elsewhere) for case in cases)]


def test_every_name_of_the_list_has_a_row() -> None:
    """And there is no row besides."""
    assert list(TABLE) == names_of_the_list()


def test_every_row_names_a_file_or_a_reason() -> None:
    """A row that leads nowhere would be a gap."""
    empty = [name for name, row in TABLE.items() if not (row.why if isinstance(row, Elsewhere) else row)]
    assert empty == []


def test_every_case_of_the_table_has_a_file() -> None:
    """Until its feature is there it may wait."""
    assert sorted(set(cases_of_the_table()) - set(case_names()) - WAITING) == []


def test_every_file_is_a_case_of_the_table() -> None:
    """A file that no row names is found by nobody."""
    assert sorted(set(case_names()) - set(cases_of_the_table())) == []


def test_a_case_stands_in_one_row() -> None:
    """One behaviour, one name."""
    cases = cases_of_the_table()
    assert sorted({case for case in cases if cases.count(case) > 1}) == []


def test_only_cases_of_the_table_wait() -> None:
    """What waits is promised."""
    assert sorted(set(WAITING) - set(cases_of_the_table())) == []


@pytest.mark.parametrize("name", playable())
def test_a_case_keeps_to_itself(name: str) -> None:
    """Its app is named like its file, and nothing but its own events, and the platform's, starts its functions."""
    case = case_of(name)
    assert case.app.name == name.replace("_", "-")
    assert case.__doc__
    own = (f"{case.app.name}/", "celeriac/")
    triggers = [trigger for function in case.app.functions.values() for trigger in function.triggers]
    assert [one for one in triggers if not str(getattr(one, "event", one)).startswith(own)] == []
