"""`celeriac secrets`: keep tenants' keys at the providers of models, encrypted; a value is never shown again."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict

import click

from celeriac.cli.command import Group, json_option, tenant_option
from celeriac.cli.output import ago, emit, note, table
from celeriac.cli.rooms import rooms, rooms_for


@click.group(
    cls=Group,
    example="celeriac secrets set openai --provider openai --tenant ten_01J…",
    short_help="Keep tenants' provider keys, encrypted.",
)
def secrets() -> None:
    """Keep tenants' keys at the providers of models, encrypted."""


@secrets.command("set", example="celeriac secrets set openai --provider openai --tenant ten_01J… < key.txt")
@click.argument("name")
@click.option("--provider", metavar="NAME", help="Call models of this provider with it for the tenant.")
@tenant_option
@json_option
def set_(name: str, provider: str | None, tenant: str, as_json: bool) -> None:
    """Keep a value, which is asked for or read from stdin; an older one of the name is replaced."""
    is_asked = sys.stdin.isatty()
    value = click.prompt("Value", hide_input=True, err=True) if is_asked else sys.stdin.read()
    kept = rooms_for(tenant).secrets.put(tenant, name, value.strip(), provider=provider, actor=_actor())
    if as_json:
        emit({"name": kept.name, "provider": kept.provider, "tenant_id": tenant})
    else:
        note(f"Secret {name!r} is kept; it is used within a second and cannot be shown again.")


@secrets.command("ls", example="celeriac secrets ls --tenant ten_01J…")
@tenant_option
@json_option
def ls(tenant: str, as_json: bool) -> None:
    """List secrets by name, without their values."""
    found = rooms_for(tenant).secrets.list(tenant)
    if as_json:
        for one in found:
            times = {name: value and value.isoformat() for name, value in asdict(one).items() if name.endswith("_at")}
            emit({"name": one.name, "provider": one.provider, **times})
        return
    rows = [
        (one.name, one.provider or "–", ago(one.updated_at), ago(one.last_used_at) if one.last_used_at else "never")
        for one in found
    ]
    click.echo(table(("name", "provider", "set", "used"), rows))


@secrets.command("rm", example="celeriac secrets rm openai --tenant ten_01J…")
@click.argument("name")
@tenant_option
@json_option
def rm(name: str, tenant: str, as_json: bool) -> None:
    """Forget a secret; no call is made with it a second later."""
    rooms_for(tenant).secrets.remove(tenant, name, actor=_actor())
    if as_json:
        emit({"name": name, "removed": True, "tenant_id": tenant})
    else:
        note(f"Secret {name!r} is gone, everywhere within a second.")


@secrets.command("rotate", example="celeriac secrets rotate")
@json_option
def rotate(as_json: bool) -> None:
    """Encrypt all secrets and signing keys with the first of CELERIAC_ENCRYPTION_KEYS; older ones may go then."""
    moved = rooms().secrets.rotate(actor=_actor())
    if as_json:
        emit({"rotated": moved})
    else:
        note(f"{moved} secret{'' if moved == 1 else 's'} encrypted anew; older keys may go from all processes.")


@secrets.command("new-key", example="celeriac secrets new-key 2026-11")
@click.argument("key_id")
def new_key(key_id: str) -> None:
    """Make an encryption key, to be written in front of those in CELERIAC_ENCRYPTION_KEYS; nothing is changed."""
    from celeriac.tenants.encryption import new_key as made

    click.echo(made(key_id))


def _actor() -> str:
    return f"cli:{getpass.getuser()}"
