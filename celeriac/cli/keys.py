"""`celeriac keys`: make and revoke the keys by which tenants prove who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from celeriac.cli.command import Group, json_option
from celeriac.cli.output import emit, note
from celeriac.cli.rooms import rooms

if TYPE_CHECKING:
    from celeriac.tenants.keys import KeyKind


@click.group(cls=Group, example="celeriac keys create ten_01J… --kind event", short_help="Make and revoke keys.")
def keys() -> None:
    """Make and revoke the keys by which tenants prove who they are."""


@keys.command("create", example="celeriac keys create ten_01J… --kind event")
@click.argument("tenant_id")
@click.option(
    "--kind",
    type=click.Choice(["event", "api", "signing"]),
    required=True,
    help="event: may only send events; api: may do what the tenant may; signing: reserved, good for nothing yet.",
)
@json_option
def create(tenant_id: str, kind: KeyKind, as_json: bool) -> None:
    """Make a key; prints it as JSON, once and never again."""
    key_id, plaintext = rooms().keys.create(tenant_id, kind)
    emit({"id": key_id, "key": plaintext, "kind": kind, "tenant_id": tenant_id})
    note("Keep the key now: it is stored as a hash and cannot be shown again.")


@keys.command("revoke", example="celeriac keys revoke Zk3nQ81xY2")
@click.argument("key_id")
@json_option
def revoke(key_id: str, as_json: bool) -> None:
    """Refuse a key from now on."""
    rooms().keys.revoke(key_id)
    if as_json:
        emit({"id": key_id, "revoked": True})
    else:
        note(f"Key {key_id} is refused from now on, everywhere within a second.")
