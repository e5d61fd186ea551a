"""The types that users see, checked by mypy itself with the project's own settings."""

from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.mark.parametrize("promises", sorted(HERE.glob("*promises.py")), ids=lambda file: file.stem)
def test_mypy_accepts_the_right_lines_and_reports_the_wrong_ones(promises: Path) -> None:
    out, err, status = api.run(["--config-file", str(ROOT / "pyproject.toml"), str(promises)])
    assert status == 0, out + err
