"""A shell for the tests: runs `python -m celeriac` as a real process, and looks whether processes are there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waiting import wait_until

SHOP = '''
from celeriac import App, Context, NonRetriableError

app = App("shop")

@app.function(on="shop/order.placed")
async def ship(ctx: Context, order_id: int) -> dict:
    """Ship an order."""
    price = await ctx.step.run("price", lambda: order_id * 10)
    if order_id == 13:
        raise NonRetriableError("Order 13 brings bad luck")
    return {"price": price}
'''


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A folder to work in, and the settings that are exported there."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "celeriac", *arguments],
            cwd=self.folder,
            env=self._environment(more),
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def json(self, *arguments: str, **more: str) -> Any:
        """Run one command that succeeds and return the JSON that it prints."""
        done = self.run(*arguments, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str, log: Path, **more: str) -> subprocess.Popen[bytes]:
        """Start a command that goes on, with its output in `log`."""
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "celeriac", *arguments],
                cwd=self.folder,
                env=self._environment(more),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
        return {**inherited, **self.settings, **more}


def end(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> int:
    """Send the signal and return the exit code."""
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(20)


def is_healthy(base_url: str) -> bool:
    """Say whether the web answers."""
    try:
        urllib.request.urlopen(f"{base_url}/healthz", timeout=2).close()
    except OSError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Say whether the process is there; one that nobody has buried yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> list[int]:
    """Return the processes below this one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def wait_until_gone(pids: list[int]) -> None:
    """Wait until none of the processes runs."""
    wait_until(lambda: not any(map(is_running, pids)), what="the processes to be gone")
