"""Paging: what a cursor is blamed for, and lists whose entries go while somebody reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete
from web_stage import Bank

from celeriac.database import connect, single
from celeriac.platform.durable.reads import Page
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.tables import bulk_actions
from celeriac.web.app import create_app
from celeriac.wiring import Installation


class BrokenReads(SqlReads):
    """Reads that fail by a value in a row, and by nothing that somebody asked for."""

    def runs(self, *_: Any, **__: Any) -> Page:
        raise ValueError("a row of another version")

    approvals = runs  # type: ignore[assignment]


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/approvals"])
def test_a_read_that_fails_is_not_blamed_on_the_cursor(bank: Bank, installation: Installation, path: str) -> None:
    engine = connect(installation.settings.database_url)
    caller: FlaskClient = create_app(replace(installation, reads=BrokenReads(engine))).test_client()
    answer = caller.get(path, headers={"Authorization": f"Bearer {bank.api_key}"})
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")  # type: ignore[index]
    engine.dispose()


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/approvals", "/v1/bulk", "/v1/audit"])
def test_a_cursor_of_another_list_is_none_of_ours(bank: Bank, path: str) -> None:
    answer = bank.api.get(f"{path}?cursor=InJ1bl8xIg.abc")
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert "cursor is none of ours" in answer.json["detail"]


def test_a_list_of_actions_goes_on_behind_one_that_is_deleted(bank: Bank, installation: Installation) -> None:
    wish = {"kind": "cancel", "filter": {"function": "bank/support"}}
    begun = [bank.api.post("/v1/bulk", wish).json["id"] for _ in range(3)]
    first = bank.api.get("/v1/bulk?limit=1").json
    with single(engine := connect(installation.settings.database_url)) as connection:
        connection.execute(delete(bulk_actions).where(bulk_actions.c.id == first["data"][0]["id"]))
    engine.dispose()
    rest = bank.api.get(f"/v1/bulk?cursor={first['page']['next_cursor']}")
    assert rest.status == 200, rest.text
    assert [action["id"] for action in rest.json["data"]] == begun[1::-1]
