"""The data folder belongs to one `celeriac dev` at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from celeriac.cli.folder import DataFolder
from celeriac.errors import ConfigError


def test_a_folder_is_held_once(tmp_path: Path) -> None:
    """Two would share a database and disagree on everything else."""
    folder = DataFolder(path=tmp_path / "data")
    with folder.locked():
        with pytest.raises(ConfigError, match="--data-dir"):
            with DataFolder(path=tmp_path / "data").locked():
                raise AssertionError("it is held twice")
    with folder.locked():
        assert folder.logs.is_dir()


def test_a_fresh_folder_is_empty_and_still_held(tmp_path: Path) -> None:
    """What an earlier demo left would be counted else; a link's target is left alone."""
    folder = DataFolder(path=tmp_path / "data")
    (tmp_path / "precious").mkdir()
    (folder.path / "old").mkdir(parents=True)
    (folder.path / "link").symlink_to(tmp_path / "precious")
    with folder.locked(fresh=True):
        assert sorted(path.name for path in folder.path.iterdir()) == [".gitignore", "lock", "logs"]
        with pytest.raises(ConfigError):
            with folder.locked(fresh=True):
                raise AssertionError("it is held twice")
    assert (tmp_path / "precious").is_dir()


def test_secrets_survive_and_are_private(tmp_path: Path) -> None:
    """Also where the umask would let others read."""
    folder = DataFolder(path=tmp_path)
    assert folder.load() == {}
    before = os.umask(0)
    folder.keep({"secret_key": "geheim"})
    os.umask(before)
    assert folder.load() == {"secret_key": "geheim"}
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
