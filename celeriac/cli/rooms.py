"""The rooms that a command works with: the installation that the settings name, and a tenant that is really there."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celeriac.wiring import Installation


def rooms() -> Installation:
    """Return this process's installation; raise pydantic's `ValidationError` for a setting that cannot be used."""
    from celeriac.wiring import installation

    return installation()


def rooms_for(tenant_id: str) -> Installation:
    """Return the installation after a look at the tenant; raise `NotFoundError` where there is none of this id."""
    installation = rooms()
    installation.tenants.get(tenant_id)
    return installation


def write_down(tenant_id: str, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> None:
    """Write into the tenant's audit log what was just done to its runs or functions."""
    rooms().audit.note(tenant_id, actor=login(), action=action, subject=subject, detail=detail)


def login() -> str:
    """Return who sits at this shell, as the audit log names them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container whose user has no name
        return "cli:unknown"
