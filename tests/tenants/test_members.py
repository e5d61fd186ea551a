"""Members: roles given and taken, an owner that stays, and what becomes of the invitations of who leaves."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from celeriac.errors import ConflictError, NotFoundError
from celeriac.tenants.audit import Audit
from celeriac.tenants.invitations import Invitations
from celeriac.tenants.people import People, User
from celeriac.tenants.roles import Role, permissions
from celeriac.tenants.tenant import Tenants

GOOD = "correct horse battery"


def test_an_old_link_brings_nobody_back(tenancy: Engine, people: People, tenant_id: str) -> None:
    """Whoever is removed, or may less, keeps no invitation of before; it is written down that it ended."""
    invited = Invitations(tenancy, people)
    for name, leave in (
        ("removed", lambda user_id: people.remove(tenant_id, user_id, actor="user:x")),
        ("lowered", lambda user_id: people.set_role(tenant_id, user_id, "viewer", actor="user:x")),
    ):
        user = people.create(f"{name}@example.com", GOOD)
        people.set_role(tenant_id, user.id, "admin")
        invitation, token = invited.create(tenant_id, user.email, "admin")
        leave(user.id)
        assert invited.opened(token) is None and invited.accept(token, GOOD) is None
        assert ("user:x", "member.uninvited", invitation.id) in audited(tenancy, tenant_id)


@pytest.mark.parametrize(("role", "ended"), [(None, ("owner", "viewer")), ("admin", ("owner",)), ("owner", ())])
def test_who_may_no_longer_invite_has_invited_nobody(
    tenancy: Engine, people: People, tenant_id: str, role: Role | None, ended: tuple[str, ...]
) -> None:
    """What somebody may not give any more, the links that they made do not give either."""
    ada, bob = owners(people, tenant_id)
    invited = Invitations(tenancy, people)
    for offered in ("owner", "viewer"):
        invited.create(tenant_id, f"{offered}-by-ada@example.com", offered, actor=f"user:{ada.id}")
        invited.create(tenant_id, f"{offered}-by-bob@example.com", offered, actor=f"user:{bob.id}")
    if role is None:
        people.remove(tenant_id, ada.id)
    else:
        people.set_role(tenant_id, ada.id, role)
    left = {one.email for one in invited.open_ones(tenant_id)}
    every = {f"{offered}-by-{name}@example.com" for offered in ("owner", "viewer") for name in ("ada", "bob")}
    assert every - left == {f"{offered}-by-ada@example.com" for offered in ended}


def test_an_invitation_elsewhere_stays(tenancy: Engine, people: People, tenants: Tenants, tenant_id: str) -> None:
    """To be removed from one tenant is nothing to another."""
    user, other = people.create("ada@example.com", GOOD), tenants.create("another bank").id
    people.set_role(tenant_id, user.id, "viewer")
    _, token = Invitations(tenancy, people).create(other, user.email, "viewer", actor=f"user:{user.id}")
    people.remove(tenant_id, user.id)
    assert Invitations(tenancy, people).opened(token) is not None


def test_an_admin_undoes_no_invitation_of_an_owner(tenancy: Engine, people: People, tenant_id: str) -> None:
    """By another one for the same address; where somebody may, it is written down."""
    invited, bob = Invitations(tenancy, people), people.create("bob@example.com", GOOD)
    people.set_role(tenant_id, bob.id, "viewer")
    earlier, token = invited.create(tenant_id, bob.email, "owner")
    with pytest.raises(ConflictError) as refused:
        invited.create(tenant_id, "BOB@example.com", "viewer", may=permissions("admin"))
    assert refused.value.code == "owner_invited" and invited.opened(token) is not None
    invited.create(tenant_id, bob.email, "viewer", actor="user:x", may=permissions("owner"))
    assert invited.opened(token) is None
    assert ("user:x", "member.uninvited", earlier.id) in audited(tenancy, tenant_id)


def test_what_an_admin_saw_before_an_owner_was_made_counts_for_nothing(people: People, tenant_id: str) -> None:
    """Whether somebody is an owner is asked where it is changed."""
    (_, bob), eve = owners(people, tenant_id), people.create("eve@example.com", GOOD)
    people.set_role(tenant_id, eve.id, "viewer")
    for change in (
        lambda: people.change_role(tenant_id, bob.id, "viewer", may=permissions("admin")),
        lambda: people.change_role(tenant_id, eve.id, "owner", may=permissions("admin")),
        lambda: people.remove(tenant_id, bob.id, may=permissions("admin")),
    ):
        with pytest.raises(ConflictError) as refused:
            change()
        assert refused.value.code == "owners_only"
    assert [member.role for member in people.members(tenant_id)] == ["owner", "owner", "viewer"]
    people.remove(tenant_id, bob.id, may=permissions("owner"))


def test_who_was_removed_meanwhile_is_given_no_role(people: People, tenant_id: str) -> None:
    """Two admins change the same member at once, and one of them removes."""
    eve = people.create("eve@example.com", GOOD)
    people.set_role(tenant_id, eve.id, "viewer")
    people.remove(tenant_id, eve.id)
    with pytest.raises(NotFoundError):
        people.change_role(tenant_id, eve.id, "operator", may=permissions("admin"))
    assert people.members(tenant_id) == []


def test_who_is_invited_to_be_an_owner_is_removed_by_owners(tenancy: Engine, people: People, tenant_id: str) -> None:
    """As it would undo the invitation."""
    invited, eve = Invitations(tenancy, people), people.create("eve@example.com", GOOD)
    people.set_role(tenant_id, eve.id, "viewer")
    _, token = invited.create(tenant_id, eve.email, "owner")
    with pytest.raises(ConflictError, match="invited"):
        people.remove(tenant_id, eve.id, may=permissions("admin"))
    assert invited.opened(token) is not None and len(people.members(tenant_id)) == 1
    people.remove(tenant_id, eve.id, may=permissions("owner"))
    assert invited.opened(token) is None


def test_an_owner_who_may_not_sign_in_is_none(people: People, tenant_id: str) -> None:
    """The last one of the others stays: with the role, in the tenant, and let in."""
    ada, bob = owners(people, tenant_id)
    people.disable(ada.id)
    for leave in (
        lambda: people.set_role(tenant_id, bob.id, "admin"),
        lambda: people.remove(tenant_id, bob.id),
        lambda: people.disable(bob.id),
    ):
        with pytest.raises(ConflictError) as refused:
            leave()
        assert refused.value.code == "last_owner"
    people.disable(ada.id)  # once more changes nothing
    people.remove(tenant_id, ada.id)
    assert [(member.user.id, member.user.disabled_at) for member in people.members(tenant_id)] == [(bob.id, None)]


def test_who_is_disabled_has_invited_nobody(tenancy: Engine, people: People, tenants: Tenants, tenant_id: str) -> None:
    """In no tenant: whoever had their password may have made the links."""
    ada, _ = owners(people, tenant_id)
    invited, other = Invitations(tenancy, people), tenants.create("another bank").id
    tokens = [invited.create(one, "eve@example.com", "viewer", actor=f"user:{ada.id}")[1] for one in (tenant_id, other)]
    people.disable(ada.id)
    assert [invited.opened(token) for token in tokens] == [None, None]


def owners(people: People, tenant_id: str) -> list[User]:
    """Make two owners of the tenant."""
    made = [people.create(f"{name}@example.com", GOOD) for name in ("ada", "bob")]
    for user in made:
        people.set_role(tenant_id, user.id, "owner")
    return made


def audited(tenancy: Engine, tenant_id: str) -> set[tuple[str, str, str]]:
    """Return who did what to what of the tenant."""
    return {(one.actor, one.action, one.subject) for one in Audit(tenancy).entries(tenant_id)}
