"""What the demo sets up before it plays, and the decisions that its staff take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

from celeriac.errors import ConfigError
from celeriac.testing.model_server import WireRequest, WireTool, WireTurn
from examples.bank_support import demo
from examples.bank_support.bank import approves
from examples.bank_support.customers import Ticket, tickets
from examples.bank_support.desk_model import respond
from examples.bank_support.policies import needs_approval
from examples.bank_support.progress import Progress


def test_both_sdks_are_pointed_at_a_model_server_that_ends_with_the_block(tmp_path: Path) -> None:
    """And the logs of an earlier demo are not counted again."""
    (tmp_path / "bodies.jsonl").write_text("old\n")
    with demo.environment(tmp_path) as env:
        assert env["OPENAI_BASE_URL"] == env["ANTHROPIC_BASE_URL"] + "/v1"
        assert ask(env["ANTHROPIC_BASE_URL"] + "/_stats") == 200
        assert env["BANK_SUPPORT_EFFECTS"] == str(tmp_path / "bodies.jsonl")
        assert not (tmp_path / "bodies.jsonl").exists()
    with pytest.raises(URLError):
        ask(env["ANTHROPIC_BASE_URL"] + "/_stats")


def test_a_real_model_needs_its_key_and_no_model_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key itself stays where it is."""
    monkeypatch.setenv("BANK_SUPPORT_MODEL", "openai:gpt-4.1")
    with pytest.raises(ConfigError, match="needs OPENAI_API_KEY"), demo.environment(tmp_path):
        raise AssertionError("it must not begin")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    with demo.environment(tmp_path) as env:
        assert set(env) == {"BANK_SUPPORT_EFFECTS", "BANK_SUPPORT_MODEL"}


def test_in_the_demos_sample_some_blocks_are_approved_and_some_denied() -> None:
    """Where the model asks, a colleague reads what the customer wrote."""
    asked = [ticket for ticket in tickets(demo.TICKETS, demo.SEED) if needs_approval(intent_of(ticket))]
    assert {approves(ticket) for ticket in asked} == {True, False}


def test_progress_is_one_line_on_a_terminal_and_a_few_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """What happened stays on the screen either way."""
    for is_terminal, shown in ((True, "\r\x1b[2K1 of 3\r\x1b[2K2 of 3\r\x1b[2Kkilled\n"), (False, "1 of 3\nkilled\n")):
        progress = Progress(is_terminal=is_terminal)
        progress.show("1 of 3")
        progress.show("2 of 3")
        progress.note("killed")
        assert capsys.readouterr().err == shown


def ask(url: str) -> int:
    """The status of the answer, without a proxy in between."""
    with build_opener(ProxyHandler({})).open(url, timeout=5) as answer:
        return int(answer.status)


def intent_of(ticket: Ticket) -> str:
    turn, classify = WireTurn(role="user", text=ticket.text), WireTool(name="classify")
    reply = respond(WireRequest(provider="openai", model="m", messages=(turn,), tools=(classify,)))
    arguments = reply.tool_calls[0].arguments
    assert isinstance(arguments, Mapping)
    return str(arguments["intent"])
