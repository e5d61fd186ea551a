"""Every setting stands in the README, under the name that an operator types."""

from __future__ import annotations

import re

from celeriac.settings import Settings
from house_source import ROOT


def undocumented(names: set[str], text: str) -> list[str]:
    """List the names that the text does not mention as a word."""
    return sorted(names - set(re.findall(r"\bCELERIAC_[A-Z_]+\b", text)))


def test_the_readme_names_every_setting() -> None:
    """A setting that nobody can find is a trap."""
    names = {f"CELERIAC_{field.upper()}" for field in Settings.model_fields}
    assert undocumented(names, (ROOT / "README.md").read_text()) == []


def test_a_missing_name_is_noticed() -> None:
    """Also when a longer name begins with it."""
    assert undocumented({"CELERIAC_APP"}, "set CELERIAC_APP_NAME") == ["CELERIAC_APP"]
