"""The log of bodies: one line each time that a tool or a step of the example executes.

The demo counts with it: a body that starts after its step was committed was executed once too often. Nothing is
written unless the environment names a file.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celeriac import Context

#: the environment's name of the file
EFFECTS = "BANK_SUPPORT_EFFECTS"


def note(ctx: Context[Any], body: str) -> None:
    """Append that `body` starts now, in the step that it belongs to; one write, so that no two lines ever mix."""
    path = os.environ.get(EFFECTS)
    if not path:
        return
    line = {"at": time.time(), "run": ctx.run.id, "path": ctx.step.path, "body": body}
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)
