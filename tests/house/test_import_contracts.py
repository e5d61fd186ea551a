"""The import contracts of pyproject.toml bite: each is broken by the import that it is there to forbid.

`make check` runs them over the real package; here they run over a small house with four planted breaches.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from house_source import ROOT

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

#: Each module of the small house, and what it imports.
SOUND = {
    "settings": "",
    "wiring": "import celeriac.platform.store.sql_store",
    "platform.message": "",
    "platform.agents.agent": "import celeriac.platform.message",
    "platform.store.sql_store": "import sqlalchemy",
    "platform.store.redis_gate": "import redis",
    "web.app": "import flask, celeriac.wiring",
}

BREACHES = {
    "floors of the house": ("settings", "import celeriac.web.app"),
    "floors of the platform": ("platform.message", "import celeriac.platform.agents.agent"),
    "the SDK and the engine are pure": ("platform.agents.agent", "import redis"),
    "only wiring names the adapters": ("web.app", "import celeriac.platform.store.redis_gate"),
}


def verdicts_on(folder: Path, modules: dict[str, str]) -> dict[str, str]:
    """Build the house, check it against our contracts, and return contract → KEPT or BROKEN."""
    for name, code in modules.items():
        module = folder.joinpath("celeriac", *name.split(".")).with_suffix(".py")
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(code)
        for package in list(module.parents)[: name.count(".") + 1]:
            (package / "__init__.py").touch()
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    command = [sys.executable, "-c", LINT, "--no-cache"]
    output = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    lines = [line.split(" (")[0].rpartition(" ") for line in output.splitlines()]
    return {contract: verdict for contract, _, verdict in lines if verdict in ("KEPT", "BROKEN")}


def test_a_sound_house_keeps_all_contracts(tmp_path: Path) -> None:
    """The adapters may use their libraries, and wiring may name them."""
    assert verdicts_on(tmp_path, SOUND) == dict.fromkeys(BREACHES, "KEPT")


@pytest.mark.parametrize("contract", BREACHES)
def test_the_contract_is_broken_by_what_it_forbids(contract: str, tmp_path: Path) -> None:
    """A contract over names that no longer exist would be kept for ever."""
    module, code = BREACHES[contract]
    assert verdicts_on(tmp_path, {**SOUND, module: code})[contract] == "BROKEN"
