"""`python -m benchmarks.tenants.fifo_command worker …`: the commands of Celeriac with the control arm's Gate."""

from __future__ import annotations

import sys

from benchmarks.tenants.fifo_gate import plug_in
from celeriac.cli import main

if __name__ == "__main__":
    plug_in()
    sys.exit(main())
