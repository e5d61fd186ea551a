"""Pages of runs whose steps hold what nobody expects: other versions of the app, and code of one's own, write them."""

from __future__ import annotations

from typing import Any

import pytest
from bank_runs import Played
from http_client import Client
from web_stage import Bank, signed_in

from celeriac.web.dashboard.words import figure, money

#: what stands where a number, a text, a list or an object is expected
ODD: list[Any] = [None, True, 7, -1.5, 10**400, "12", "", [], ["x", {}], [[1]], {}, {"a": 1}]

OUTPUTS = [
    *ODD,
    *({"usage": odd} for odd in ODD),
    *({"usage": {"input_tokens": odd, "cached_tokens": odd, "output_tokens": odd, "cost_usd": odd}} for odd in ODD),
    *({"agents": odd} for odd in ODD),
    *({"agent": odd, "model": odd, "text": odd, "state": odd} for odd in ODD),
    *({"tool_calls": odd} for odd in ODD),
    *({"tool_calls": [{"name": odd, "input": odd}]} for odd in ODD),
    *({"data": odd, "error": odd} for odd in ODD),
    *({"patch": odd} for odd in ODD),
    *({"patch": [{"op": odd, "path": ["a"]}, {"op": "set", "path": odd}, {"path": [odd], "value": 1}]} for odd in ODD),
    *({"patch": [{"op": op, "path": ["a"], "value": odd}]} for odd in ODD for op in ("append", "discard", "remove")),
]

INPUTS = [
    *ODD,
    *({"state": odd, "agent": odd, "model": odd, "system": odd, "messages": odd} for odd in ODD),
    *({"messages": [{"role": odd, "text": odd, "agent": odd, "tool_calls": odd, "tool_result": odd}]} for odd in ODD),
    *({"messages": [{"role": "tool", "tool_result": {"name": odd, "data": odd, "error": odd}}]} for odd in ODD),
]


@pytest.fixture
def reader(server: str, bank: Bank) -> Client:
    """Somebody of the bank who is signed in."""
    return signed_in(server, bank)


@pytest.fixture
def run(bank: Bank) -> Played:
    return bank.desk.started()


def shows(reader: Client, run: Played) -> bool:
    """Say whether the run's page is a page."""
    return reader.get(f"/runs/{run.id}").status == 200


def test_a_step_called_route_need_not_be_a_router_s(reader: Client, run: Played) -> None:
    for number, odd in enumerate(ODD):
        run.step(f"route:{number}", {"agents": odd})
    assert shows(reader, run)


def test_a_model_call_of_one_s_own_may_return_anything(reader: Client, run: Played) -> None:
    for number, output in enumerate(OUTPUTS):
        run.step(f"wrapped:{number}", output, kind="model", given=["x"])
    assert shows(reader, run)


def test_a_model_call_may_have_been_given_anything(reader: Client, run: Played) -> None:
    for number, given in enumerate(INPUTS):
        run.step(f"wrapped:{number}", {"text": "x"}, kind="model", given=given)
    assert shows(reader, run)


def test_turns_and_tools_may_hold_anything(reader: Client, run: Played) -> None:
    for number, output in enumerate(OUTPUTS):
        turn = f"network:n/turn:{number}"
        run.step(f"{turn}/infer", {"tool_calls": [{"name": "t"}]}, kind="model", given={"agent": "a"})
        run.step(f"{turn}/tool:1:t", output, kind="tool")
        run.step(turn, output, kind="turn", given={"state": INPUTS[number % len(INPUTS)]})
    assert shows(reader, run)


@pytest.mark.parametrize("odd", [None, True, False, "12", [1], {"a": 1}, 10**400, float("nan"), float("inf"), 0])
def test_what_is_no_number_is_a_dash(odd: object) -> None:
    assert (figure(odd), money(odd)) == ("–", "–")
