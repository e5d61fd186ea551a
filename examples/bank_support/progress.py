"""What people see while the demo plays: one line that changes on a terminal, else a line every few seconds.

It writes to standard error; standard output belongs to the result.
"""

from __future__ import annotations

import shutil
import sys
import time

_EVERY_SECONDS = 5.0


class Progress:
    """The line of progress, and the notes above it."""

    def __init__(self, *, is_terminal: bool) -> None:
        """Write nothing yet."""
        self._is_terminal = is_terminal
        self._next = 0.0

    def show(self, line: str) -> None:
        """Say how things stand."""
        if self._is_terminal:
            room = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[2K{line[:room]}")
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_SECONDS
            self._write(f"{line}\n")

    def note(self, line: str) -> None:
        """Say what happened; it stays on the screen."""
        self._write(f"\r\x1b[2K{line}\n" if self._is_terminal else f"{line}\n")

    def end(self) -> None:
        """Leave the line of progress as it stands."""
        if self._is_terminal:
            self._write("\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
