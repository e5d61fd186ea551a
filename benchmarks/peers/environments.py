"""The peers' environments: virtual environments and npm folders in a cache folder, made when they are first needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.catalogue import Environment

DEFAULT_HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "celeriac-bench"
INSTALL_SECONDS = 900


class NotInstalledError(Exception):
    """An environment cannot be made here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A made environment: its Python, and the folder of its npm packages."""

    python: Path
    node_modules: Path


@dataclass(kw_only=True)
class Environments:
    """All environments below one folder; each is tried once."""

    home: Path
    _known: dict[str, Installed | NotInstalledError] = field(default_factory=dict)

    def get(self, environment: Environment) -> Installed:
        """Return the environment, made if need be. Raises `NotInstalledError`, also when an earlier try failed."""
        if environment.name not in self._known:
            self._known[environment.name] = self._try(environment)
        known = self._known[environment.name]
        if isinstance(known, NotInstalledError):
            raise known
        return known

    def _try(self, environment: Environment) -> Installed | NotInstalledError:
        if not environment.python:
            return Installed(python=Path(sys.executable), node_modules=Path())
        folder = self.home / f"{environment.name}-{_fingerprint(environment)}"
        installed = Installed(python=folder / "bin" / "python", node_modules=folder / "node_modules")
        if not (folder / "complete").exists():
            print(f"Installing {environment.name} into {folder} (once) …", file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _make(environment, folder, installed.python)
            except (NotInstalledError, OSError) as error:
                return NotInstalledError(f"cannot be installed here: {error}")
            (folder / "complete").touch()
        return installed


def _make(environment: Environment, folder: Path, python: Path) -> None:
    folder.mkdir(parents=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *environment.python])
    if environment.npm:
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalledError("it needs npm, which is not there")
        _run([npm, "install", "--prefix", str(folder), "--no-fund", "--no-audit", *environment.npm])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{Path(command[0]).name} took more than {INSTALL_SECONDS} s") from None
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines() or [f"it ended with {done.returncode}"]
        raise NotInstalledError(next((line for line in reversed(lines) if "error" in line.lower()), lines[-1])[:200])


def _fingerprint(environment: Environment) -> str:
    """Tell environments of other packages or of another Python apart, so that none is used for the wrong ones."""
    made_of = repr((environment.python, environment.npm, sys.version_info[:2]))
    return hashlib.sha256(made_of.encode()).hexdigest()[:10]
