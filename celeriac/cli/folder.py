"""The data folder of `celeriac dev`: its database, logs, keys and lock. Only its owner can look inside."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from celeriac.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """A folder that one `celeriac dev` uses at a time."""

    path: Path

    @property
    def logs(self) -> Path:
        """What the children print, a file each."""
        return self.path / "logs"

    @property
    def database_url(self) -> str:
        """The URL of its SQLite file."""
        return f"sqlite:///{(self.path / 'celeriac.db').absolute()}"

    @property
    def environment_file(self) -> Path:
        """What another terminal sources to talk to this installation; it is there while the installation runs."""
        return self.path / "env"

    @contextmanager
    def locked(self, *, fresh: bool = False) -> Iterator[None]:
        """Hold the folder; with `fresh` it is emptied first. Raises `ConfigError` where another process holds it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.path / "lock"
        with lock.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"Another `celeriac dev` uses {str(self.path)!r}; end it, or give this one its own --data-dir"
                ) from error
            if fresh:
                _empty(self.path, keep=lock)
            self.logs.mkdir(exist_ok=True)
            self.path.chmod(0o700)  # it may have been there before
            (self.path / ".gitignore").write_text("*\n")
            yield

    def load(self) -> dict[str, str]:
        """Return what was kept; nothing at the first start, or where the file cannot be read."""
        with contextlib.suppress(FileNotFoundError, ValueError):  # then everything is made anew
            kept = json.loads((self.path / "keys.json").read_text())
            return kept if isinstance(kept, dict) else {}
        return {}

    def keep(self, secrets: Mapping[str, str]) -> None:
        """Keep secrets for the next start, readable by the owner alone."""
        _write_private(self.path / "keys.json", json.dumps(dict(secrets), indent=2) + "\n")

    @contextmanager
    def sourced(self, environment: Mapping[str, str]) -> Iterator[None]:
        """Offer the environment to other terminals until the end."""
        lines = [
            f"export {name}={shlex.quote(value)}\n"
            for name, value in sorted(environment.items())
            if name.startswith("CELERIAC_")
        ]
        _write_private(self.environment_file, "".join(lines))
        try:
            yield
        finally:
            self.environment_file.unlink(missing_ok=True)


def _empty(folder: Path, *, keep: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != keep:
            path.unlink()


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
