"""Trying passwords: counted by account and address, and written down where one was wrong or somebody is shut out.

The forms at which people show a password ask here: to sign in, to join, and to change it. Nothing here sees one.
"""

from __future__ import annotations

import logging

from flask import request

from celeriac.web.hints import Tries
from celeriac.web.rooms import hints, rooms

log = logging.getLogger(__name__)

#: more of what somebody typed as their address stands in no log
_LONGEST_SHOWN = 254


def wait_for_try(account: str) -> int | None:
    """Count a try for the account; return None where it may be made, else the seconds after which the next one may.

    Who is shut out by it stands in the audit log of the installation, once for each time.
    """
    wait = hints().next_try(_tries(account))
    if wait is None:
        return None
    if wait.shut_out is not None:
        whose, detail = wait.shut_out[:_LONGEST_SHOWN], {"address": request.remote_addr}
        rooms().audit.note(None, actor="system", action="signin.refused", subject=whose, detail=detail)
    return wait.seconds


def note_wrong(account: str) -> None:
    """Tell the log of the web that somebody did not get in; as what they came, and from where."""
    log.warning("Sign-in failed: %r from %s", account[:_LONGEST_SHOWN], request.remote_addr)


def note_right(account: str) -> None:
    """Begin anew to count tries for the account from this address."""
    hints().forget_tries(_tries(account))


def _tries(account: str) -> Tries:
    return Tries(account=account, address=request.remote_addr or "")
