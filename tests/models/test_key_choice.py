"""Whose key a model is called with: the tenant's, that of the code, or the operator's; and it is shown nowhere."""

from __future__ import annotations

import logging

import pytest
from conversations import PROVIDERS, model_at
from scripted_provider import Answer, ScriptedProvider, anthropic_message, chat_completion

from celeriac import App, Context
from celeriac.errors import ModelError
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.models.exchange import reached
from celeriac.platform.models.key_choice import KeyChoice
from celeriac.platform.models.model import Model, ModelRequest
from celeriac.testing import Harness

TENANTS, CODES, OPERATORS = "sk-canary-tenant", "sk-canary-code", "sk-canary-operator"


async def choose(tenant_id: str, provider: str) -> KeyChoice:
    """Know one tenant's keys."""
    return KeyChoice(own=f"{TENANTS}-{provider}" if tenant_id == "ten_acme" else None, may_use_operators=False)


def request_by(choice: KeyChoice | None) -> ModelRequest:
    """Return a request of a tenant that brings this along."""

    async def chosen(_: str) -> KeyChoice | None:
        return choice

    return ModelRequest(messages=(), choose_key=chosen)


def asking(model: Model) -> App:
    """Return an app that asks a model once."""
    app = App("desk")

    @app.function(on="ticket", retries=0)
    async def answer(ctx: Context) -> str:
        """Answer."""
        return str((await ctx.step.ai.infer("ask", model, "Hello")).output)

    return app


@pytest.mark.parametrize(
    ("choice", "given", "expected"),
    [
        (KeyChoice(own=TENANTS), CODES, TENANTS),
        (KeyChoice(own=TENANTS, may_use_operators=False), None, TENANTS),
        (KeyChoice(may_use_operators=False), CODES, CODES),
        (KeyChoice(), None, OPERATORS),
        (None, None, OPERATORS),
    ],
)
async def test_the_tenant_s_key_goes_before_the_code_s_and_that_before_the_operator_s(
    monkeypatch: pytest.MonkeyPatch, choice: KeyChoice | None, given: str | None, expected: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPERATORS)
    assert (await reached("openai", given, None, request_by(choice))).api_key == expected


async def test_the_operator_s_key_is_not_used_where_the_plan_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPERATORS)
    with pytest.raises(ModelError, match="key of its own only") as refused:
        await reached("openai", None, None, request_by(KeyChoice(may_use_operators=False)))
    assert (refused.value.kind, OPERATORS in str(refused.value)) == ("auth", False)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_run_calls_with_the_key_of_its_tenant(provider: str) -> None:
    reply = chat_completion() if provider == "openai" else anthropic_message()
    async with ScriptedProvider(reply) as server:
        app = asking(model_at(provider, server.url))
        async with Harness(app, tenant="ten_acme", conduct=Conduct(choose_key=choose)) as h:
            [run] = await h.send("ticket", {})
        assert run.status == "completed", run.error_message
        headers = server.asked[0].headers
    assert f"{TENANTS}-{provider}" in (headers.get("Authorization", "") + headers.get("x-api-key", ""))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_failing_call_shows_no_key_anywhere(
    provider: str, status: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the run, its steps, its attempts or the log, though the provider repeats the key."""
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", OPERATORS)
    key = f"{TENANTS}-{provider}"
    refusal = Answer(body={"error": {"message": f"Wrong key {key}", "type": "x"}}, status=status)
    caplog.set_level(logging.DEBUG)
    async with ScriptedProvider(refusal) as server:
        app = asking(model_at(provider, server.url))
        async with Harness(app, tenant="ten_acme", conduct=Conduct(choose_key=choose)) as h:
            [run] = await h.send("ticket", {})
            seen = repr((run, h.steps(run.id), h.attempts(run.id)))
    assert run.status == "failed"
    assert "canary" not in seen + caplog.text
