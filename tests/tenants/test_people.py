"""People: who may sign in, what each role may, and how sessions and invitations end."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine, select

from celeriac.database import reading
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.tenants.audit import Audit
from celeriac.tenants.invitations import Invitations
from celeriac.tenants.passwords import hash_password, is_outdated, is_password
from celeriac.tenants.people import CACHE_SECONDS, People
from celeriac.tenants.roles import ROLES, may_change, permissions
from celeriac.tenants.tables import invitations, users
from celeriac.tenants.tenant import Tenants

GOOD = "correct horse battery"


def test_a_user_signs_in_with_e_mail_and_password(people: People) -> None:
    """In whatever case the address is written."""
    user = people.create(" Ada@Example.com", GOOD)
    assert people.sign_in("ADA@example.com ", GOOD) == user
    assert people.sign_in("ada@example.com", GOOD + "x") is None
    assert people.sign_in("eve@example.com", GOOD) is None
    people.disable(user.id)
    assert people.sign_in("ada@example.com", GOOD) is None
    people.enable(user.id)
    assert people.sign_in("ada@example.com", GOOD) is not None


def test_a_password_is_kept_as_argon2_alone(tenancy: Engine, people: People) -> None:
    """With its parameters, so that they can grow."""
    people.create("ada@example.com", GOOD)
    with reading(tenancy) as connection:
        row = connection.execute(select(users)).one()
    assert row.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in repr(row)
    assert not is_outdated(row.password_hash)
    assert is_outdated("$argon2id$v=19$m=1024,t=1,p=1$" + row.password_hash.split("$", 4)[4])


def test_an_unknown_user_costs_a_whole_hash_too() -> None:
    """Where there is no hash, one of nobody is compared, whose password opens nothing."""
    assert not is_password(None, "the password of nobody at all")
    assert is_password(hash_password(GOOD), GOOD)


@pytest.mark.parametrize("password", ["short", "x" * 201, "aaaaaaaaaaaa"])
def test_a_password_that_is_none_is_refused(people: People, password: str) -> None:
    """Before anything is stored, and without saying it again."""
    with pytest.raises(ConfigError) as refused:
        people.create("ada@example.com", password)
    assert password not in refused.value.message
    assert people.users() == []


@pytest.mark.parametrize("email", ["", "ada", "@example.com", "ada@", "a b@example.com", f"{'a' * 250}@example.com"])
def test_an_address_that_is_none_is_refused(people: People, email: str) -> None:
    """As it could not be invited either."""
    with pytest.raises(ConfigError, match="e-mail"):
        people.create(email, GOOD)


def test_an_address_is_taken_once(people: People) -> None:
    """In whatever case it is written."""
    people.create("ada@example.com", GOOD)
    with pytest.raises(ConflictError) as refused:
        people.create("ADA@example.com", GOOD)
    assert refused.value.code == "user_exists"


@pytest.mark.parametrize("end", ["disable", "password", "remove"])
def test_a_session_ends_within_a_second_everywhere(tenancy: Engine, people: People, tenant_id: str, end: str) -> None:
    """In the process that ends it at once."""
    moment = 0.0
    elsewhere = People(tenancy, clock=lambda: moment)
    user = people.create("ada@example.com", GOOD)
    people.set_role(tenant_id, user.id, "viewer")
    session = (user.id, tenant_id, user.session_stamp)
    assert people.session(*session) is not None and elsewhere.session(*session) is not None
    {
        "disable": lambda: people.disable(user.id),
        "password": lambda: people.set_password(user.id, GOOD + "!"),
        "remove": lambda: people.remove(tenant_id, user.id),
    }[end]()
    assert people.session(*session) is None
    moment = CACHE_SECONDS
    assert CACHE_SECONDS < 1 and elsewhere.session(*session) is None


def test_a_tenant_keeps_an_owner(people: People, tenant_id: str) -> None:
    """Neither another role nor a removal may take the last one."""
    ada, bob = (people.create(f"{name}@example.com", GOOD) for name in ("ada", "bob"))
    people.set_role(tenant_id, ada.id, "owner")
    for leave in (lambda: people.set_role(tenant_id, ada.id, "admin"), lambda: people.remove(tenant_id, ada.id)):
        with pytest.raises(ConflictError, match="no other owner"):
            leave()
    people.set_role(tenant_id, bob.id, "owner")
    people.remove(tenant_id, ada.id)
    assert [(member.user.id, member.role) for member in people.members(tenant_id)] == [(bob.id, "owner")]


def test_a_user_acts_for_the_tenants_of_theirs(people: People, tenants: Tenants, tenant_id: str) -> None:
    """A platform admin for all."""
    other = tenants.create("another bank").id
    ada, root = people.create("ada@example.com", GOOD), people.create("r@example.com", GOOD, is_platform_admin=True)
    people.set_role(tenant_id, ada.id, "viewer")
    assert [place.tenant_id for place in people.places(ada)] == [tenant_id]
    assert {place.tenant_id for place in people.places(root)} == {tenant_id, other}
    assert people.session(ada.id, other, ada.session_stamp) is None
    member = people.session(root.id, other, root.session_stamp)
    assert member is not None and "limits:write" in member.permissions


def test_each_role_may_more_than_the_one_before() -> None:
    """And nobody may what is the platform's."""
    reach = [permissions(role) for role in ROLES]
    assert all(less < more for less, more in pairwise(reach))
    assert [("runs:write" in one, "keys:write" in one, "tenant:write" in one) for one in reach] == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, True),
    ]
    assert "limits:write" not in reach[-1] and "limits:write" in permissions(None, is_platform_admin=True)


def test_owners_are_made_by_owners_alone() -> None:
    """An admin changes everybody else."""
    assert may_change(permissions("admin"), "admin", "viewer", None)
    assert not may_change(permissions("admin"), "owner")
    assert not may_change(permissions("admin"), "viewer", "owner")
    assert may_change(permissions("owner"), "owner")
    assert not may_change(permissions("operator"), "viewer")


def test_an_invitation_is_accepted_once(tenancy: Engine, people: People, tenant_id: str) -> None:
    """By somebody new, who chooses a password; the token is stored nowhere."""
    invited = Invitations(tenancy, people)
    _, token = invited.create(tenant_id, "Ada@example.com", "operator")
    joined = invited.accept(token, GOOD)
    assert joined is not None and joined[1] == tenant_id
    [member] = people.members(tenant_id)
    assert (member.user.email, member.role) == ("ada@example.com", "operator")
    assert invited.accept(token, GOOD) is None and invited.opened(token) is None
    with reading(tenancy) as connection:
        assert token not in repr(connection.execute(select(invitations)).all())


def test_a_known_user_joins_with_the_password_they_have(tenancy: Engine, people: People, tenant_id: str) -> None:
    """A wrong one leaves the invitation as it is."""
    invited, ada = Invitations(tenancy, people), people.create("ada@example.com", GOOD)
    _, token = invited.create(tenant_id, "ada@example.com", "viewer")
    assert invited.accept(token, "some other password") is None
    joined = invited.accept(token, GOOD)
    assert joined is not None and joined[0].id == ada.id


def test_an_invitation_never_takes_a_role_away(tenancy: Engine, people: People, tenant_id: str) -> None:
    """An owner who accepts one for a viewer stays an owner."""
    invited, ada = Invitations(tenancy, people), people.create("ada@example.com", GOOD)
    people.set_role(tenant_id, ada.id, "owner")
    _, token = invited.create(tenant_id, "ada@example.com", "viewer")
    assert invited.accept(token, GOOD) is not None
    assert [member.role for member in people.members(tenant_id)] == ["owner"]


def test_an_invitation_ends(tenancy: Engine, people: People, tenant_id: str) -> None:
    """By its time, by being withdrawn, and by a newer one for the same address."""
    invited, late = Invitations(tenancy, people), Invitations(tenancy, people, good_for=timedelta(0))
    _, too_old = late.create(tenant_id, "ada@example.com", "viewer")
    _, replaced = invited.create(tenant_id, "bob@example.com", "viewer")
    withdrawn, token = invited.create(tenant_id, "bob@example.com", "admin")
    invited.take_back(tenant_id, withdrawn.id)
    assert [invited.opened(one) for one in (too_old, replaced, token, "forged")] == [None] * 4
    with pytest.raises(NotFoundError):
        invited.take_back(tenant_id, withdrawn.id)


def test_what_happens_to_people_is_written_down(tenancy: Engine, people: People, tenant_id: str) -> None:
    """For the tenant what is the tenant's, and without passwords."""
    user = people.create("ada@example.com", GOOD, actor="cli:me")
    people.set_role(tenant_id, user.id, "admin", actor="user:x")
    people.set_password(user.id, GOOD + "!")
    entries = [*Audit(tenancy).entries(tenant_id), *Audit(tenancy).entries(None)]
    assert {(one.actor, one.action) for one in entries if one.subject == user.id} == {
        ("cli:me", "user.created"),
        ("user:x", "member.role_changed"),
        ("system", "user.password_changed"),
    }
    assert GOOD not in repr(entries)
