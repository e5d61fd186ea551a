"""`celeriac keys`: list, make, rotate and revoke the keys by which tenants prove who they are, and sign with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import click

from celeriac.cli.command import Group, json_option, tenant_argument
from celeriac.cli.output import ago, emit, note, table
from celeriac.cli.rooms import login, rooms, rooms_for

if TYPE_CHECKING:
    from celeriac.tenants.keys import KeyKind


_SCOPE_HELP = "What it may do, like runs:read, or events:sign of a signing key; repeatable. All of its kind without."


@click.group(
    cls=Group, example="celeriac keys create ten_01J… --kind event", short_help="Make, rotate and revoke keys."
)
def keys() -> None:
    """List, make, rotate and revoke the keys by which tenants prove who they are."""


@keys.command("ls", example="celeriac keys ls ten_01J…")
@tenant_argument
@json_option
def ls(tenant_id: str, as_json: bool) -> None:
    """List a tenant's keys (CELERIAC_DEFAULT_TENANT's where none is named), newest first; never a key itself."""
    from celeriac.web.api.answers import key_json

    found = rooms_for(tenant_id).keys.list(tenant_id)
    if as_json:
        emit({"data": [key_json(key) for key in found]})
    elif found:
        headers = ("key", "kind", "state", "last use", "expires", "may", "name")
        rows = [
            (
                key.id,
                key.kind,
                key.status,
                ago(key.last_used_at),
                "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}",
                "all of its kind" if key.scopes is None else " ".join(key.scopes),
                key.name,
            )
            for key in found
        ]
        click.echo(table(headers, rows))
    else:
        note("The tenant has no key yet; `celeriac keys create` makes one.")


@keys.command("create", example="celeriac keys create ten_01J… --kind api --scope runs:read --expires 90d")
@click.argument("tenant_id")
@click.option(
    "--kind",
    type=click.Choice(["event", "api", "signing"]),
    required=True,
    help="event: may only send events; api: may do what the tenant may; signing: signs events, grants channel tokens.",
)
@click.option("--name", default="", help="What the key is for, in your words.")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help=_SCOPE_HELP)
@click.option("--expires", metavar="SPAN", help="How long it is good, such as 90d; for ever without.")
@json_option
def create(
    tenant_id: str, *, kind: KeyKind, name: str, scopes: tuple[str, ...], expires: str | None, as_json: bool
) -> None:
    """Make a key; prints it as JSON, once and never again."""
    from celeriac.tenants.keys import KeyWish

    wish = KeyWish.of(kind, name=name, scopes=scopes or None, lasts=expires)
    key_id, plaintext = rooms().keys.create(tenant_id, wish, actor=login())
    _show(key_id, plaintext)


@keys.command("rotate", example="celeriac keys rotate Zk3nQ81xY2 --overlap 24h")
@click.argument("key_id")
@click.option("--overlap", default="24h", show_default=True, metavar="SPAN", help="How long the old key is good yet.")
@json_option
def rotate(key_id: str, overlap: str, as_json: bool) -> None:
    """Replace a key by one of the same name, kind and scopes; prints the new one as JSON, once."""
    _show(*rooms().keys.rotate(key_id, overlap, actor=login()))


@keys.command("revoke", example="celeriac keys revoke Zk3nQ81xY2")
@click.argument("key_id")
@json_option
def revoke(key_id: str, as_json: bool) -> None:
    """Refuse a key from now on."""
    rooms().keys.revoke(key_id, actor=login())
    if as_json:
        emit({"id": key_id, "revoked": True})
    else:
        note(f"Key {key_id} is refused from now on, everywhere within a second.")


@keys.command("sign", example="celeriac keys sign ten_01J… order.json")
@click.argument("tenant_id")
@click.argument("body", type=click.File("rb"), default="-")
@json_option
def sign(tenant_id: str, body: BinaryIO, as_json: bool) -> None:
    """Sign BODY, a file or standard input, with the tenant's live signing keys; prints the header's value."""
    from celeriac.tenants.signature import HEADER

    value = rooms_for(tenant_id).keys.signing.sign(tenant_id, body.read())
    if as_json:
        emit({"header": HEADER, "value": value})
    else:
        click.echo(value)


@keys.command("verify", example='celeriac keys verify ten_01J… "t=1764304496,v1=5f0c…" order.json')
@click.argument("tenant_id")
@click.argument("signature")
@click.argument("body", type=click.File("rb"), default="-")
@json_option
def verify(tenant_id: str, signature: str, body: BinaryIO, as_json: bool) -> int:
    """Say whether SIGNATURE is the tenant's for BODY, a file or standard input; exit 1 where it is not."""
    verdict = rooms_for(tenant_id).keys.signing.check(tenant_id, body.read(), signature)
    if as_json:
        emit({"is_good": verdict.fault is None, "key_id": verdict.key_id, "fault": verdict.fault})
    elif verdict.fault is None:
        note(f"Good: signed by key {verdict.key_id}.")
    else:
        note(f"Not good: {_FAULTS[verdict.fault]}.")
    return 0 if verdict.fault is None else 1


_FAULTS = {
    "malformed": "this is not t=<unix seconds>,v1=<hex>",
    "untimely": "its time is more than five minutes from now",
    "not_for_events": "the key that made it lacks the scope events:sign",
    "unknown": "no live signing key of the tenant made it for this body",
}


def _show(key_id: str, plaintext: str) -> None:
    from celeriac.web.api.answers import moment

    facts = rooms().keys.get(None, key_id)
    scopes = None if facts.scopes is None else list(facts.scopes)
    shown = {"id": key_id, "key": plaintext, "kind": facts.kind, "tenant_id": facts.tenant_id, "name": facts.name}
    emit(shown | {"scopes": scopes, "expires_at": moment(facts.expires_at)})
    stored = "encrypted" if facts.kind == "signing" else "as a hash"
    note(f"Keep the key now: it is stored {stored} and cannot be shown again.")
