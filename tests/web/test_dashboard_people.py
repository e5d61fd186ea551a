"""People on the dashboard: passwords, sessions that end, invitations, roles, and the pages of settings."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from isolation_world import World
from web_stage import csrf_in
from werkzeug.test import TestResponse

from celeriac.tenants.audit_filter import AuditFilter
from celeriac.tenants.people import User
from celeriac.web.hints import TRIES_OF_ACCOUNT, TRIES_OF_ADDRESS, TRIES_OF_BOTH, TRIES_WITHIN, Hints, Tries, Wait
from waiting import wait_until

GOOD = "correct horse battery"


@pytest.fixture(autouse=True)
def no_tries_yet(redis_url: str) -> None:
    """Nobody has tried a password from here."""


@pytest.fixture
def user(world: World) -> User:
    """An operator of the own tenant."""
    return world.own.member("operator")


def submit(browser: FlaskClient, page: str, path: str, **fields: str) -> TestResponse:
    """Send a form of the page."""
    return browser.post(path, data={"csrf": csrf_in(browser.get(page).text), **fields})


def signed_in(world: World, user: User, password: str = GOOD) -> FlaskClient:
    """Return the browser of somebody who signed in by the form."""
    browser = world.app.test_client()
    answer = submit(browser, "/signin", "/signin/password", email=user.email.upper(), password=password)
    assert answer.status_code == 303, answer.text
    return browser


def test_e_mail_and_password_open_the_dashboard(world: World, user: User) -> None:
    """The tenant is the user's, and the page says who is there."""
    page = signed_in(world, user).get("/runs")
    assert page.status_code == 200
    assert "own &amp; Sons" in page.text and user.email in page.text


def test_a_wrong_password_and_an_unknown_user_are_answered_alike(world: World, user: User) -> None:
    """So nobody learns which addresses are known."""
    browser, pages = world.app.test_client(), []
    for email in (user.email, "nobody@example.com"):
        answer = submit(browser, "/signin", "/signin/password", email=email, password="a wrong password")
        assert answer.status_code == 401
        pages.append(re.sub(r'name="csrf" value="[^"]+"', "", answer.text).replace(email, ""))
    assert pages[0] == pages[1]
    assert browser.get("/runs").status_code == 303


@pytest.mark.parametrize(
    ("path", "field"),
    [("/signin/password", "email"), ("/signin/password", "password"), ("/tenant", "tenant"), ("/invitation", "token")],
)
def test_a_form_with_a_text_that_no_database_holds_is_refused(world: World, user: User, path: str, field: str) -> None:
    """It is no failure of ours."""
    fields = {"email": user.email, "password": GOOD, field: "a\0@example.com"}
    assert submit(signed_in(world, user), "/runs", path, **fields).status_code == 400


def test_passwords_are_tried_so_often_and_no_more(world: World, user: User) -> None:
    """Then even the right one has to wait, and the answer says for how long."""
    browser = world.app.test_client()
    for _ in range(TRIES_OF_BOTH):
        assert submit(browser, "/signin", "/signin/password", email=user.email, password="wrong").status_code == 401
    answer = submit(browser, "/signin", "/signin/password", email=user.email, password=GOOD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= TRIES_WITHIN.total_seconds()


def test_the_wait_for_the_next_try_is_true(redis_url: str) -> None:
    """Tries in the meantime do not draw it out, and a right password begins anew."""
    hints, tries = Hints(redis_url), Tries(account="ada@example.com", address="127.0.0.1")
    short = timedelta(seconds=0.3)
    waits = [hints.next_try(tries, within=short) for _ in range(TRIES_OF_BOTH + 2)]
    assert waits == [None] * TRIES_OF_BOTH + [Wait(seconds=1, shut_out="ada@example.com"), Wait(seconds=1)]
    wait_until(lambda: hints.next_try(tries, within=short) is None, what="the window to end", timeout=1)
    hints.forget_tries(tries)
    assert [hints.next_try(tries) for _ in range(TRIES_OF_BOTH)] == [None] * TRIES_OF_BOTH


def test_who_guesses_a_password_shuts_out_themselves(world: World, user: User) -> None:
    """However often they try; the account's own people come in from elsewhere."""
    hints = Hints(world.own.rooms.settings.redis_url)
    guesser = Tries(account=user.email, address="203.0.113.7")
    waits = [hints.next_try(guesser) for _ in range(TRIES_OF_ADDRESS + TRIES_OF_ACCOUNT)]
    assert waits.count(None) == TRIES_OF_BOTH
    assert signed_in(world, user).get("/runs").status_code == 200


def test_an_account_is_guessed_so_often_from_everywhere(redis_url: str) -> None:
    """Each with tries of their own, and all together with those of the account."""
    hints = Hints(redis_url)
    tries = [Tries(account="ada@example.com", address=f"203.0.113.{number}") for number in range(TRIES_OF_ACCOUNT + 1)]
    waits = [hints.next_try(one) for one in tries]
    seconds = int(TRIES_WITHIN.total_seconds())
    assert waits == [None] * TRIES_OF_ACCOUNT + [Wait(seconds=seconds, shut_out="ada@example.com")]
    hints.forget_tries(tries[0])
    assert hints.next_try(tries[0]) is not None


@pytest.mark.parametrize(
    ("addresses", "is_one"),
    [
        (("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), True),
        (("2001:db8:1:2::1", "2001:db8:1:3::1"), False),
        (("203.0.113.7", "::ffff:203.0.113.7"), True),
        (("203.0.113.7", "203.0.113.8"), False),
        (("unknown", "unknown"), True),
    ],
)
def test_addresses_that_one_may_choose_from_count_as_one(redis_url: str, addresses: list[str], is_one: bool) -> None:
    """Of IPv6 everybody has as many as they like."""
    hints, tried = Hints(redis_url), [Tries(account="ada@example.com", address=address) for address in addresses]
    for _ in range(TRIES_OF_BOTH):
        assert hints.next_try(tried[0]) is None
    assert (hints.next_try(tried[1]) is not None) == is_one


def test_who_came_and_how_is_written_down(world: World, user: User) -> None:
    """For the tenant that they came to, also where they go on to another one."""
    second = world.own.rooms.tenants.create("Second Bank").id
    world.own.rooms.people.set_role(second, user.id, "viewer")
    key_id, key = world.own.key()
    browser = signed_in(world, user)
    submit(browser, "/runs", "/tenant", tenant=second)
    submit(world.app.test_client(), "/signin", "/signin", key=key)
    began = AuditFilter(action="session.began")
    entries = [
        *world.own.rooms.audit.entries(second, began),
        *world.own.rooms.audit.entries(world.own.tenant_id, began),
    ]
    found = {(one.actor, one.detail["by"], one.detail["address"]) for one in entries}
    first = {(f"user:{user.id}", "password", "127.0.0.1"), (f"key:{key_id}", "key", "127.0.0.1")}
    assert found >= {(f"user:{user.id}", "switch", "127.0.0.1")} and len(found & first) == 2


def test_who_is_shut_out_is_written_down_once(world: World, user: User, caplog: pytest.LogCaptureFixture) -> None:
    """In the log of the installation; what failed before is a line of the web's log, without the password."""
    browser = world.app.test_client()
    for _ in range(TRIES_OF_BOTH + 3):
        submit(browser, "/signin", "/signin/password", email=user.email, password="a wrong password")
    submit(browser, "/signin", "/signin", key="cel_live_wrong")
    shut = world.own.rooms.audit.entries(None, AuditFilter(action="signin.refused", subject=user.email))
    assert [(one.actor, one.detail) for one in shut] == [("system", {"address": "127.0.0.1"})]
    lines = [line.getMessage() for line in caplog.records if "Sign-in failed" in line.getMessage()]
    assert len([line for line in lines if user.email in line and "127.0.0.1" in line]) == TRIES_OF_BOTH
    assert len(lines) == TRIES_OF_BOTH + 1 and not any("wrong" in line for line in lines)


@pytest.mark.parametrize("end", ["disabled", "password", "removed"])
def test_a_session_ends_with_what_it_began_with(world: World, user: User, end: str) -> None:
    """In this process at once; within half a second in others."""
    browser, people = signed_in(world, user), world.own.rooms.people
    assert browser.get("/runs").status_code == 200
    {
        "disabled": lambda: people.disable(user.id),
        "password": lambda: people.set_password(user.id, GOOD + "!"),
        "removed": lambda: people.remove(world.own.tenant_id, user.id),
    }[end]()
    assert browser.get("/runs").status_code == 303


def test_somebody_changes_the_own_password(world: World, user: User) -> None:
    """The session goes on, others end, and the old password opens nothing."""
    browser, other = signed_in(world, user), signed_in(world, user)
    wrong = submit(browser, "/account", "/account", current="a wrong password", password=GOOD + "!")
    assert wrong.status_code == 422 and "not your present password" in wrong.text
    assert submit(browser, "/account", "/account", current=GOOD, password="short").status_code == 422
    assert submit(browser, "/account", "/account", current=GOOD, password=GOOD + "!").status_code == 303
    assert (browser.get("/runs").status_code, other.get("/runs").status_code) == (200, 303)
    assert world.own.rooms.people.sign_in(user.email, GOOD) is None
    assert world.own.rooms.people.sign_in(user.email, GOOD + "!") is not None


def test_a_user_of_two_tenants_switches_between_them(world: World, user: User) -> None:
    """And to no third one."""
    tenants = world.own.rooms.tenants
    second, third = tenants.create("Second Bank").id, tenants.create("Third Bank").id
    world.own.rooms.people.set_role(second, user.id, "viewer")
    browser = signed_in(world, user)
    assert submit(browser, "/runs", "/tenant", tenant=second).status_code == 303
    page = browser.get("/runs").text
    assert f'<option value="{second}" selected>Second Bank' in page and third not in page
    assert submit(browser, "/runs", "/tenant", tenant=third).status_code == 404
    run_id = world.own.run()
    assert browser.get(f"/runs/{run_id}").status_code == 404


def test_a_platform_admin_switches_to_tenants_that_there_are(world: World) -> None:
    """Else no page of theirs would be there any more."""
    people = world.own.rooms.people
    root = people.create(f"{uuid4().hex}@example.com", GOOD, is_platform_admin=True)
    browser = world.browser(root, world.own.tenant_id)
    assert submit(browser, "/runs", "/tenant", tenant="ten_nobody_has").status_code == 404
    assert submit(browser, "/runs", "/tenant", tenant=world.other.tenant_id).status_code == 303
    assert browser.get("/runs").status_code == 200


def test_somebody_joins_by_an_invitation(world: World) -> None:
    """A link that an owner makes on the page, once."""
    owner = world.browser(world.people["owner"], world.own.tenant_id)
    page = submit(owner, "/settings/people", "/settings/people", email="new.one@example.com", role="operator")
    link = re.search(r"/invitation\?token=[\w-]+", page.text)
    assert page.status_code == 201 and link is not None
    browser = world.app.test_client()
    assert "Join own &amp; Sons" in browser.get(link[0]).text
    token = link[0].partition("=")[2]
    assert submit(browser, link[0], "/invitation", token=token, password="short").status_code == 422
    assert submit(browser, link[0], "/invitation", token=token, password=GOOD).status_code == 303
    assert browser.get("/runs").status_code == 200
    assert world.app.test_client().get(link[0]).status_code == 401


def test_an_invitation_does_not_tell_whether_there_is_such_a_user(world: World) -> None:
    """Its page is one for both, and so is the refusal of what is no password."""
    known, unknown, pages = f"{uuid4().hex}@example.com", f"{uuid4().hex}@example.com", []
    world.other.rooms.people.create(known, GOOD)
    for email in (known, unknown):
        _, token = world.own.rooms.invitations.create(world.own.tenant_id, email, "viewer")
        browser = world.app.test_client()
        shown = browser.get(f"/invitation?token={token}")
        refused = submit(browser, f"/invitation?token={token}", "/invitation", token=token, password="short")
        assert (shown.status_code, refused.status_code) == (200, 422)
        page = re.sub(r'name="csrf" value="[^"]+"', "", shown.text + refused.text)
        pages.append(page.replace(email, "").replace(token, ""))
    assert pages[0] == pages[1]


def test_an_admin_makes_no_owner(world: World, user: User) -> None:
    """Neither by an invitation nor by a role; an owner does."""
    admin, owner = (world.browser(world.people[role], world.own.tenant_id) for role in ("admin", "owner"))
    path = f"/settings/people/{user.id}/role"
    assert submit(admin, "/settings/people", path, role="owner").status_code == 403
    assert submit(admin, "/settings/people", "/settings/people", email="o@example.com", role="owner").status_code == 403
    assert submit(admin, "/settings/people", f"/settings/people/{world.people['owner'].id}/remove").status_code == 403
    assert submit(owner, "/settings/people", path, role="owner").status_code == 303
    world.own.rooms.people.set_role(world.own.tenant_id, user.id, "operator")


def test_an_admin_does_not_invite_over_an_owner_s_head(world: World) -> None:
    """The owner's link stays, and the page says why."""
    admin, owner = (world.browser(world.people[role], world.own.tenant_id) for role in ("admin", "owner"))
    path, email = "/settings/people", f"{uuid4().hex}@example.com"
    link = re.search(r"/invitation\?token=[\w-]+", submit(owner, path, path, email=email, role="owner").text)
    refused = submit(admin, path, path, email=email, role="viewer")
    assert refused.status_code == 409 and "Only an owner" in refused.text
    assert link is not None and world.app.test_client().get(link[0]).status_code == 200
    assert submit(owner, path, path, email=email, role="viewer").status_code == 201


def test_a_key_is_shown_once_on_its_page(world: World) -> None:
    """Then it can be replaced and revoked, and the log says by whom."""
    admin = world.browser(world.people["admin"], world.own.tenant_id)
    wish = {"name": "billing", "kind": "api", "reach": "some", "scopes": "runs:read"}
    page = submit(admin, "/settings/keys", "/settings/keys", **wish)
    key = re.search(r"cel_live_(\w{10})_\w{38}", page.text)
    assert page.status_code == 201 and key is not None
    assert key[0] not in admin.get("/settings/keys").text
    verified = world.own.rooms.keys.verify(key[0])
    assert verified is not None and verified.scopes == {"runs:read"}
    assert submit(admin, "/settings/keys", f"/settings/keys/{key[1]}/revoke").status_code == 303
    assert world.own.rooms.keys.verify(key[0]) is None
    log = admin.get("/settings/audit").text
    assert "key.revoked" in log and world.people["admin"].email in log and key[0] not in log


def test_a_signing_key_is_made_and_replaced_on_the_page(world: World) -> None:
    """The successor signs beside the old one, which is then revoked."""
    admin, keys = world.browser(world.people["admin"], world.own.tenant_id), world.own.rooms.keys
    shown = re.compile(r"cel_live_(\w{10})_\w{38}")
    made = shown.search(submit(admin, "/settings/keys", "/settings/keys", kind="signing", expires="1d").text)
    assert made is not None
    new = shown.search(submit(admin, "/settings/keys", f"/settings/keys/{made[1]}/rotate", overlap="1h").text)
    assert new is not None and new[0] != made[0]
    header = keys.signing.sign(world.own.tenant_id, b"{}")
    for key_id in (new[1], made[1]):
        assert keys.signing.check(world.own.tenant_id, b"{}", header).key_id == key_id
        assert submit(admin, "/settings/keys", f"/settings/keys/{key_id}/revoke").status_code == 303
    assert not any(
        key[0] in admin.get(page).text for key in (made, new) for page in ("/settings/keys", "/settings/audit")
    )


def test_a_key_is_made_for_some_of_what_its_kind_may(world: World) -> None:
    """Also one that signs; what is no scope of its kind is refused with those that are."""
    admin, path = world.browser(world.people["admin"], world.own.tenant_id), "/settings/keys"
    page = submit(admin, path, path, kind="signing", reach="some", scopes="events:sign")
    made = re.search(r"cel_live_(\w{10})_\w{38}", page.text)
    assert page.status_code == 201 and made is not None
    assert world.own.rooms.keys.get(world.own.tenant_id, made[1]).scopes == ("events:sign",)
    refused = submit(admin, path, path, kind="event", reach="some", scopes="channels:grant")
    assert refused.status_code == 422 and "use of: events:send" in refused.text
    world.own.rooms.keys.revoke(made[1])


def test_the_audit_log_is_searched_on_its_page(world: World) -> None:
    """People are found by their e-mails, and the next page keeps the search."""
    owner, admin = world.people["owner"], world.browser(world.people["admin"], world.own.tenant_id)
    for number in range(51):
        world.own.rooms.audit.note(
            world.own.tenant_id, actor=f"user:{owner.id}", action="limits.changed", subject=f"subject-{number}"
        )
    search = f"/settings/audit?action=limits.&actor={owner.email.upper()}"
    page = admin.get(search).text
    assert len(found := subjects(page)) == 50 and "key.created" not in page
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following is not None
    older = admin.get(html.unescape(following[1])).text
    assert subjects(older) == {f"subject-{number}" for number in range(51)} - found and "key.created" not in older
    assert "Nothing fits" in admin.get("/settings/audit?subject=subject-nobody-has").text
    refused = admin.get("/settings/audit?action=key&since=soon").text
    assert refused.count('role="alert"') == 1 and 'value="soon"' in refused


def subjects(page: str) -> set[str]:
    """Return what the entries of a page of the audit log are about; those of one moment come in any order."""
    return set(re.findall(r">(subject-\d+)<", page))


def test_a_viewer_is_shown_no_button_that_is_not_for_them(world: World) -> None:
    """What the page offers and what the server takes are one table."""
    viewer = world.browser(world.people["viewer"], world.own.tenant_id)
    run_id = world.own.run()
    pages = [viewer.get(path).text for path in ("/runs", f"/runs/{run_id}", "/functions", "/bulk")]
    assert not any("/settings/" in page or "/pause" in page or "/cancel" in page or "/rerun" in page for page in pages)
    assert not any("/bulk/new" in page for page in pages)


def test_a_session_by_a_key_may_no_more_than_the_key(world: World) -> None:
    """It makes no key of more scopes, and changes no people."""
    browser = world.app.test_client()
    _, key = world.own.key(scopes=["runs:read", "keys:read", "keys:write"])
    assert submit(browser, "/signin", "/signin", key=key).status_code == 303
    assert submit(browser, "/settings/keys", "/settings/keys", kind="api").status_code == 403
    narrow = submit(browser, "/settings/keys", "/settings/keys", kind="api", reach="some", scopes="runs:read")
    assert narrow.status_code == 201
    assert browser.get("/settings/people").status_code == 403


def test_a_session_by_a_key_makes_no_key_that_outlives_it(world: World) -> None:
    """What a key may not, nobody may who came by it."""
    browser, path, (longer, _) = world.app.test_client(), "/settings/keys", world.own.key()
    _, key = world.own.key(lasts="2d")
    assert submit(browser, "/signin", "/signin", key=key).status_code == 303
    assert submit(browser, path, path, kind="event").status_code == 403
    assert submit(browser, path, f"{path}/{longer}/rotate").status_code == 403
    assert submit(browser, path, path, kind="event", expires="1d").status_code == 201


def test_the_settings_begin_with_the_first_page_that_one_may_see(world: World) -> None:
    """Whoever shortens an address by hand arrives somewhere."""
    answer = world.browser(world.people["admin"], world.own.tenant_id).get("/settings")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings/keys")


def test_a_form_that_cannot_be_is_refused_as_the_api_does(world: World, user: User) -> None:
    """A role that is none, and an overlap, are 422; what stands in the way is 409."""
    owner, (key_id, _) = world.browser(world.people["owner"], world.own.tenant_id), world.own.key()
    people, keys = "/settings/people", "/settings/keys"
    assert submit(owner, people, people, email="a@example.com", role="boss").status_code == 422
    assert submit(owner, people, f"{people}/{user.id}/role", role="boss").status_code == 422
    assert submit(owner, keys, f"{keys}/{key_id}/rotate", overlap="soon").status_code == 422
    assert submit(owner, keys, f"{keys}/{key_id}/rotate").status_code == 201
    assert submit(owner, keys, f"{keys}/{key_id}/rotate").status_code == 409


def test_who_may_see_no_settings_is_told_so(world: World) -> None:
    """On a page like any other of the dashboard."""
    answer = world.browser(world.people["viewer"], world.own.tenant_id).get("/settings")
    assert answer.status_code == 404
    assert "no settings that you may see" in answer.text


def test_a_key_that_reads_the_audit_log_sees_no_e_mails(world: World) -> None:
    """Those are for who may see people; nor does a search by one find anybody."""
    browser, owner = world.app.test_client(), world.people["owner"]
    world.own.rooms.audit.note(world.own.tenant_id, actor=f"user:{owner.id}", action="bulk.cancel", subject="blk_1")
    _, key = world.own.key(scopes=["audit:read"])
    assert submit(browser, "/signin", "/signin", key=key).status_code == 303
    page = browser.get("/settings/audit?action=bulk.cancel")
    assert page.status_code == 200
    assert f"user:{owner.id}" in page.text and owner.email not in page.text
    assert "Nothing fits" in browser.get(f"/settings/audit?actor={owner.email}").text
