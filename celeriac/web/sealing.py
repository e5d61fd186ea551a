"""Sealing: what is kept encrypted is taken only where the operator has set a key for it. API and dashboard ask here."""

from __future__ import annotations

from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms


def check_sealing() -> None:
    """Raise `Problem` where nothing encrypts tenants' secrets and signing keys."""
    if not rooms().settings.encryption_keys:
        raise Problem(503, "no_encryption_key", "The operator has to set CELERIAC_ENCRYPTION_KEYS first")
