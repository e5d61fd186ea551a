"""The command line: `celeriac` and all that stands below it.

One file a command. A command reads its options, calls one room and prints; it holds no rule of its own. Data goes to
stdout, everything else to stderr. Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

from celeriac.cli.root import main

__all__ = ["main"]
