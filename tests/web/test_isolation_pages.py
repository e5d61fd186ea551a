"""The isolation matrix of the dashboard: every page and form of Flask's own map, for everybody who may be signed in."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from isolation_world import CANARY, FORMS, PARAMETERS, World, is_shared
from test_isolation_api import ADD_IT, operations
from web_stage import SECRET_KEY
from werkzeug.test import TestResponse

from celeriac.settings import Settings
from celeriac.tenants.people import User
from celeriac.tenants.roles import permissions
from celeriac.web.app import create_app
from celeriac.web.auth import need_of
from celeriac.wiring import build

#: what nobody has to be signed in for
OPEN = {"signin.form", "signin.by_key", "signin.by_password", "signin.by_link", "signin.invitation", "signin.accept"}
OPEN |= {"signin.out", "health.openapi"}


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page, or the way of a form."""

    endpoint: str
    method: str
    path: str
    need: str | None

    @property
    def parts(self) -> list[str]:
        """The parts of its path."""
        return re.findall(r"<(?:\w+:)?(\w+)>", self.path)

    def ask(self, world: World, ids: dict[str, str], user: User | None, tenant_id: str = "") -> TestResponse:
        """Ask for it, as a user for a tenant or as nobody."""
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids[found[1]], self.path)
        browser = world.app.test_client() if user is None else world.browser(user, tenant_id)
        form = {"csrf": "token", **FORMS.get(self.endpoint, {})}
        return browser.open(path, method=self.method, data=form if self.method == "POST" else None)


def _pages() -> list[Page]:
    settings = Settings(database_url="sqlite:///:nowhere", redis_url="redis://127.0.0.1:1/0", secret_key=SECRET_KEY)
    app = create_app(build(settings))
    described = {re.sub(r"{(\w+)}", r"<\1>", one.path) for one in operations()}
    return [
        Page(endpoint=rule.endpoint, method=method, path=rule.rule, need=need_of(app.view_functions[rule.endpoint]))
        for rule in app.url_map.iter_rules()
        if re.sub(r"<\w+:", "<", rule.rule) not in described and rule.endpoint != "static"
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"})
    ]


PAGES = _pages()
CLOSED = [page for page in PAGES if page.endpoint not in OPEN]
WITH_IDS = [page for page in CLOSED if not all(is_shared(name) for name in page.parts)]

each_closed = pytest.mark.parametrize("page", CLOSED, ids=lambda page: f"{page.method} {page.path}")
each_with_ids = pytest.mark.parametrize("page", WITH_IDS, ids=lambda page: f"{page.method} {page.path}")


def shape(answer: TestResponse, ids: dict[str, str]) -> str:
    """Return a page without what is its own."""
    text = re.sub(r"req_\w+", "req", answer.text)
    for name, value in ids.items():
        text = text.replace(value, name)
    return f"{answer.status_code} {text}"


def test_open_pages_are_those_that_are_meant_to_be() -> None:
    """A page that needs nothing is a decision."""
    assert {page.endpoint for page in PAGES if page.need == ""} == OPEN
    assert len(CLOSED) > 20


def test_every_part_of_a_path_has_an_example() -> None:
    """Else the matrix would not know whose ids to try."""
    unknown = {name: page.path for page in PAGES for name in page.parts if name not in PARAMETERS}
    assert not unknown, f"The matrix knows no example for {unknown}: {ADD_IT}"


@each_closed
def test_nobody_sees_anything_without_a_session(world: World, page: Page) -> None:
    """They are led to the form, whatever there is."""
    answer = page.ask(world, world.ids(page.parts, world.own), None)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/signin?next=")


@each_closed
def test_each_role_may_what_the_table_says(world: World, page: Page) -> None:
    """A role that may not is refused before anything is looked up, one that may is not."""
    nobodys = world.ids(page.parts, None)
    for role in ("viewer", "operator", "admin", "owner"):
        answer = page.ask(world, nobodys, world.people[role], world.own.tenant_id)
        assert (answer.status_code == 403) == (page.need not in permissions(role)), (role, answer.status_code)


@each_with_ids
def test_what_is_another_tenants_is_not_there(world: World, page: Page) -> None:
    """Neither for our owner who asks for theirs, nor for theirs who asks for ours."""
    others, nobodys = world.ids(page.parts, world.other), world.ids(page.parts, None)
    before = world.rows_of_other()
    owner, own = world.people["owner"], world.own.tenant_id
    there, nowhere = page.ask(world, others, owner, own), page.ask(world, nobodys, owner, own)
    assert (there.status_code, nowhere.status_code) == (404, 404)
    assert shape(there, others) == shape(nowhere, nobodys)
    assert CANARY.lower() not in there.text.lower()
    ours = page.ask(world, world.ids(page.parts, world.own), world.people["other"], world.other.tenant_id)
    assert ours.status_code == 404
    assert world.rows_of_other() == before


@each_closed
def test_what_is_ones_own_works_and_tells_nothing_of_others(world: World, page: Page) -> None:
    """Which also shows that the refusals above are about whose it is."""
    ids = world.ids(page.parts, world.own)
    answer = page.ask(world, ids, world.people["owner"], world.own.tenant_id)
    assert answer.status_code in (200, 201, 302, 303, 409, 422) or page.endpoint == "dashboard.switch", answer.text
    assert CANARY.lower() not in answer.text.lower()


@each_closed
def test_a_session_for_a_tenant_that_one_does_not_belong_to_is_none(world: World, page: Page) -> None:
    """Whoever forges the tenant of a session, or was removed, is led to the form."""
    answer = page.ask(world, world.ids(page.parts, None), world.people["owner"], world.other.tenant_id)
    assert answer.status_code == 303
    assert CANARY.lower() not in answer.text.lower()
