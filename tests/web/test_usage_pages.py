"""Usage in the API, as CSV and in the dashboard: one's own, in the days and keys asked for, and never a formula."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

import pytest
from bank_runs import HOSTILE
from http_client import Client
from web_stage import Bank, signed_in

from celeriac.errors import ConfigError
from celeriac.platform.durable.usage import UsageRow
from celeriac.platform.message import Usage
from celeriac.web.usage import UsageWish, usage_csv, usage_wish
from celeriac.wiring import Installation

DAY = date(2026, 2, 28)


def as_csv(rows: list[UsageRow]) -> list[list[str]]:
    """Write the rows and read them back."""
    wish = UsageWish(since=DAY, until=DAY)
    return list(csv.reader(io.StringIO(usage_csv(wish, rows), newline="")))


def test_usage_is_told_by_day_function_and_model(bank: Bank, installation: Installation) -> None:
    bank.desk.completed()
    told = bank.api.get("/v1/usage").json
    today = installation.usages.today()
    assert (told["since"], told["until"]) == (today.replace(day=1).isoformat(), today.isoformat())
    by_key = {(row["function"], row["model"]): row for row in told["data"]}
    assert by_key["bank/support", ""]["runs"] == by_key["bank/support", ""]["links"] == 1
    assert {row["day"] for row in told["data"]} == {today.isoformat()}
    assert by_key["bank/support", "openai:gpt-4.1-mini"]["input_tokens"] == 3 * 412
    assert told["total"]["model_calls"] == sum(row["model_calls"] for row in told["data"]) == 3


def test_keys_that_are_not_asked_for_are_left_out(bank: Bank) -> None:
    bank.desk.completed()
    [row] = bank.api.get("/v1/usage?by=total").json["data"]
    assert row == bank.api.get("/v1/usage").json["total"]
    assert [next(iter(row)) for row in bank.api.get("/v1/usage?by=function").json["data"]] == ["function"] * 2


def test_another_tenants_usage_is_not_told(bank: Bank, other_bank: Bank) -> None:
    bank.desk.completed()
    assert other_bank.api.get("/v1/usage").json["data"] == []


@pytest.mark.parametrize(
    "query",
    ["since=2026-02-02&until=2026-02-01", "since=2020-01-01&until=2026-01-01", "by=tenant", "format=xml", "since=x"],
)
def test_a_wish_that_says_nothing_is_refused(bank: Bank, query: str) -> None:
    answer = bank.api.get(f"/v1/usage?{query}")
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("ask", ["?format=csv", ""])
def test_usage_comes_as_csv(bank: Bank, ask: str) -> None:
    bank.desk.completed()
    answer = bank.api.get(f"/v1/usage{ask}", Accept="text/csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sum(int(row["runs"]) for row in rows) == 1
    assert list(rows[0])[:3] == ["day", "function", "model"]


def test_an_event_key_tells_no_usage(bank: Bank) -> None:
    assert bank.sender.get("/v1/usage").status == 403


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
def test_no_cell_is_a_formula(first: str) -> None:
    [_, row] = as_csv([UsageRow(day=DAY, function="a/b", model=f"{first}cmd|'/c calc'!A0")])
    assert row[2] == f"'{first}cmd|'/c calc'!A0"


def test_quotes_commas_and_lines_stay_in_their_cell() -> None:
    [_, row] = as_csv([UsageRow(day=DAY, function='a/"b,\nc', model="x")])
    assert row[:3] == ["2026-02-28", 'a/"b,\nc', "x"]


def test_a_wish_without_words_is_the_month_so_far() -> None:
    wish = usage_wish(lambda: DAY, since=None, until=None, by=None)
    assert wish == UsageWish(since=date(2026, 2, 1), until=DAY, by=("day", "function", "model"))
    assert usage_wish(lambda: DAY, since=None, until=None, by="model,day", of_all=True).by == ("tenant", "day", "model")
    with pytest.raises(ConfigError, match="ask for fewer"):
        usage_wish(lambda: DAY, since=DAY - timedelta(days=366), until=DAY, by=None)


def test_the_page_shows_a_month(server: str, bank: Bank, installation: Installation) -> None:
    bank.desk.completed()
    reader = signed_in(server, bank)
    page = reader.get("/usage").text
    assert 'aria-current="page">Usage</a>' in page
    assert 'href="/runs?function=bank/support">bank/support</a>' in page
    before = installation.usages.today().replace(day=1) - timedelta(days=1)
    assert f"Nothing was used in {before:%B %Y}" in reader.get(f"/usage?month={before:%Y-%m}").text


def test_a_hostile_name_stays_a_text(server: str, bank: Bank) -> None:
    run = bank.desk.started()
    run.step("ask", kind="model", usage=Usage(model_calls=1), model=f"openai:{HOSTILE}")
    page = signed_in(server, bank).get("/usage").text
    assert "openai:&lt;script&gt;" in page and "<script>alert" not in page


def test_the_page_hands_out_its_month_as_csv(server: str, bank: Bank) -> None:
    bank.desk.completed()
    answer = signed_in(server, bank).get("/usage.csv")
    assert answer.text.startswith("day,function,model,runs,")
    assert "attachment" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("month", ["x", "2026-13", "1999-12", "9999-12", "2026-01-01"])
def test_a_month_that_there_is_none_of_is_refused(server: str, bank: Bank, month: str) -> None:
    assert signed_in(server, bank).get(f"/usage?month={month}").status == 400


def test_the_page_is_for_those_who_are_signed_in(visitor: Client, bank: Bank) -> None:
    assert visitor.get("/usage").status == visitor.get("/usage.csv").status == 303
