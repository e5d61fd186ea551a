"""`celeriac users`: the people of an installation, their roles for tenants, and invitations.

A password is read from the terminal or from stdin, never from an argument, which others on the machine could see.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import Group, json_option, tenant_option
from celeriac.cli.output import ago, emit, note, table
from celeriac.cli.rooms import login, rooms, rooms_for
from celeriac.tenants.roles import ROLES, Role

if TYPE_CHECKING:
    from celeriac.tenants.people import User

role_choice = click.Choice(ROLES)


@click.group(
    cls=Group,
    example="celeriac users invite ada@example.com --tenant ten_01J… --role admin",
    short_help="Make users, give them roles, invite them.",
)
def users() -> None:
    """The people who sign in to the dashboard: make them, give them roles for tenants, invite and disable them."""


@users.command("create", example="celeriac users create ada@example.com --platform-admin")
@click.argument("email")
@click.option("--platform-admin", is_flag=True, help="May do everything for every tenant.")
@json_option
def create(email: str, platform_admin: bool, as_json: bool) -> None:
    """Make a user who belongs to no tenant yet; the password is asked for, or read from stdin."""
    from celeriac.tenants.people import check_email

    check_email(email)
    user = rooms().people.create(email, _password(), is_platform_admin=platform_admin, actor=login())
    _tell(user, f"{user.email} is there; `celeriac users role` gives a role for a tenant.", as_json=as_json)


@users.command("ls", example="celeriac users ls --tenant ten_01J…")
@click.option("--tenant", metavar="ID", help="Only who belongs to this tenant, with the roles.")
@json_option
def ls(tenant: str | None, as_json: bool) -> None:
    """List users by their e-mail."""
    if tenant is None:
        found: list[tuple[User, Role | None]] = [(user, None) for user in rooms().people.users()]
    else:
        found = [(member.user, member.role) for member in rooms_for(tenant).people.members(tenant)]
    if as_json:
        emit({"data": [_user_json(user) | ({} if tenant is None else {"role": role}) for user, role in found]})
    elif found:
        rows = [
            (
                user.id,
                "platform admin" if user.is_platform_admin else role or "–",
                "disabled" if user.disabled_at else "active",
                ago(user.created_at),
                user.email,
            )
            for user, role in found
        ]
        click.echo(table(("user", "role", "state", "made", "e-mail"), rows))
    else:
        note("There is nobody yet; `celeriac users create` and `celeriac users invite` change that.")


@users.command("invite", example="celeriac users invite ada@example.com --tenant ten_01J… --role admin")
@click.argument("email")
@tenant_option
@click.option("--role", type=role_choice, default="viewer", show_default=True)
@click.option("--url", help="Where people reach the dashboard; CELERIAC_PUBLIC_URL, or port 8288 of this machine.")
@json_option
def invite(email: str, *, tenant: str, role: Role, url: str | None, as_json: bool) -> None:
    """Print a link by which somebody joins a tenant, once, within a week."""
    from celeriac.web.api.answers import moment
    from celeriac.web.auth import invitation_link

    invitation, token = rooms_for(tenant).invitations.create(tenant, email, role, actor=login())
    link = invitation_link(url or rooms().settings.public_url or "http://127.0.0.1:8288", token)
    if as_json:
        emit({"id": invitation.id, "link": link, "role": role, "expires_at": moment(invitation.expires_at)})
    else:
        click.echo(link)
        note(f"Send it to {invitation.email}; it cannot be shown again.")


@users.command("invitations", example="celeriac users invitations --tenant ten_01J…")
@tenant_option
@json_option
def invitations(tenant: str, as_json: bool) -> None:
    """List a tenant's invitations that may still be accepted, newest first; never a link."""
    from celeriac.web.api.answers import moment

    found = rooms_for(tenant).invitations.open_ones(tenant)
    if as_json:
        told = [
            {"id": one.id, "email": one.email, "role": one.role, "expires_at": moment(one.expires_at)} for one in found
        ]
        emit({"data": told})
    elif found:
        rows = [(one.id, one.role, ago(one.created_at), f"{one.expires_at:%Y-%m-%d %H:%M}", one.email) for one in found]
        click.echo(table(("invitation", "role", "made", "expires", "e-mail"), rows))
    else:
        note("Nobody is invited; `celeriac users invite` makes a link.")


@users.command("uninvite", example="celeriac users uninvite inv_01J… --tenant ten_01J…")
@click.argument("invitation_id")
@tenant_option
@json_option
def uninvite(invitation_id: str, tenant: str, as_json: bool) -> None:
    """Take an invitation back; its link is good for nothing from then on."""
    rooms_for(tenant).invitations.take_back(tenant, invitation_id, actor=login())
    if as_json:
        emit({"id": invitation_id, "taken_back": True})
    else:
        note(f"The link of {invitation_id} is good for nothing now.")


@users.command("role", example="celeriac users role ada@example.com owner --tenant ten_01J…")
@click.argument("email")
@click.argument("role", type=click.Choice([*ROLES, "none"]))
@tenant_option
@json_option
def role(email: str, role: str, tenant: str, as_json: bool) -> None:
    """Give a user a role for a tenant; `none` lets them belong to it no more."""
    from celeriac.tenants.roles import check_role

    people = rooms_for(tenant).people
    user = people.named(email)
    if role == "none":
        people.remove(tenant, user.id, actor=login())
    else:
        people.set_role(tenant, user.id, check_role(role), actor=login())
    _tell(user, f"{user.email} is {role} of {tenant} now, everywhere within a second.", as_json=as_json)


@users.command("disable", example="celeriac users disable ada@example.com")
@click.argument("email")
@click.option("--undo", is_flag=True, help="Let the user in again.")
@json_option
def disable(email: str, undo: bool, as_json: bool) -> None:
    """Let a user in no more; sessions end within a second."""
    people = rooms().people
    user = people.named(email)
    (people.enable if undo else people.disable)(user.id, actor=login())
    _tell(people.named(email), f"{user.email} may {'sign in again' if undo else 'not sign in'}.", as_json=as_json)


@users.command("reset", example="celeriac users reset ada@example.com")
@click.argument("email")
@json_option
def reset(email: str, as_json: bool) -> None:
    """Give a user another password, asked for or read from stdin; sessions end within a second."""
    people = rooms().people
    user = people.named(email)
    people.set_password(user.id, _password(), actor=login())
    _tell(user, f"{user.email} has a new password.", as_json=as_json)


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return given


def _tell(user: User, text: str, *, as_json: bool) -> None:
    if as_json:
        emit(_user_json(user))
    else:
        note(text)


def _user_json(user: User) -> dict[str, Any]:
    from celeriac.web.api.answers import moment

    return {
        "id": user.id,
        "email": user.email,
        "is_platform_admin": user.is_platform_admin,
        "created_at": moment(user.created_at),
        "disabled_at": moment(user.disabled_at),
    }
