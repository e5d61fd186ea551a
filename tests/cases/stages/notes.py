"""Notes: how the code of a case leaves a trace that the platform knows nothing of.

A note names its run and tenant. In a worker process it is a line at the end of the file that FLEET_NOTES names, in the
test's own process an entry of a list.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from celeriac.platform.context import current_context

Note = dict[str, Any]

_FILE = os.environ.get("FLEET_NOTES")
_here: list[Note] = []


def note(kind: str, **facts: Any) -> int:
    """Note something from inside of a run; return how many notes of that kind the run has by now."""
    ctx = current_context()
    assert ctx is not None, "only code of a run can note"
    whose = {"kind": kind, "run": ctx.run.id, "tenant": ctx.run.tenant_id}
    one = {**whose, "time": time.time(), **facts}
    if _FILE is None:
        _here.append(one)
    else:
        with open(_FILE, "ab", buffering=0) as file:
            file.write((json.dumps(one) + "\n").encode())
    return len(found(_read(), **whose))


def found(notes: list[Note], **facts: Any) -> list[Note]:
    """Return the notes that have these facts, in order."""
    return [one for one in notes if all(one.get(key) == value for key, value in facts.items())]


def noted_here() -> list[Note]:
    """Return what was noted in this process."""
    return _here


def _read() -> list[Note]:
    if _FILE is None:
        return _here
    whole, _, _ = Path(_FILE).read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()]
