"""The root of the command line: joins the commands, and turns whatever goes wrong into one line and an exit code.

0 is success, 1 a failure, 2 a wrong call, 3 a run that failed, 4 a wait that took too long, 130 Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import click
from pydantic import ValidationError

from celeriac.cli.audit import audit
from celeriac.cli.bulk import bulk
from celeriac.cli.chaos import chaos
from celeriac.cli.command import INTERRUPTED, Group
from celeriac.cli.dev import dev
from celeriac.cli.doctor import doctor
from celeriac.cli.functions import functions
from celeriac.cli.keys import keys
from celeriac.cli.output import note
from celeriac.cli.plans import plans
from celeriac.cli.processes import migrate, web, worker
from celeriac.cli.runs import runs
from celeriac.cli.secrets import secrets
from celeriac.cli.send import send
from celeriac.cli.signals import signal
from celeriac.cli.tenants import tenants
from celeriac.cli.usage import usage
from celeriac.cli.users import users
from celeriac.errors import CeleriacError

#: what the databases say of a table or a column that is not there
_NO_TABLES = ("no such table", "no such column", "UndefinedTable", "UndefinedColumn")


@click.group(
    cls=Group, example="celeriac dev app:app", context_settings={"help_option_names": ["-h", "--help"]}, name="celeriac"
)
@click.version_option(version("celeriac"), prog_name="celeriac", message="%(prog)s %(version)s")
def celeriac() -> None:
    """Agents as durable runs on Celery, for many tenants."""


for _command in (
    *(dev, worker, web, migrate, send, signal, runs, bulk, functions, tenants, plans, usage, keys, doctor, chaos),
):
    celeriac.add_command(_command)
for _command in (users, audit, secrets):
    celeriac.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; an error becomes one line on stderr, unless `--debug` is given."""
    context: dict[str, Any] = {"debug": False}
    color = False if os.environ.get("NO_COLOR") else None
    try:
        code = celeriac.main(arguments, "celeriac", standalone_mode=False, obj=context, color=color)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`celeriac runs ls | head`); Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if context["debug"]:
            raise
        note(f"{click.style('Error:', fg='red')} {_one_line(error)}")
        return 1
    return int(code or 0)


def _one_line(error: Exception) -> str:
    match error:
        case CeleriacError():
            return error.message
        case ValidationError(title="Settings"):
            places = (f"CELERIAC_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors())
            return f"A setting cannot be used. {'; '.join(places)}. Change it in the environment or in .env"
        case _ if any(words in str(error) for words in _NO_TABLES):
            return "The database has no tables yet, or old ones; run `celeriac migrate`"
        case _:
            first = (str(error).strip().splitlines() or ["no message"])[0]
            return f"{type(error).__name__}: {first} (this was not expected; --debug shows where it came from)"
