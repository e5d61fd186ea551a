"""Gemini, Grok and Azure at their OpenAI-compatible addresses: URL, authentication and body of what they are asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conversations import HELLO, KEY, LOOK_UP, TWO_CALLS
from scripted_provider import ScriptedProvider, chat_completion, function_call
from test_model_streams import MODELS

from celeriac.errors import ModelError
from celeriac.platform.message import Message
from celeriac.platform.models import clients
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.compatible import azure_openai, gemini, grok
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.testing.model_server import ModelServer, WireReply, WireRequest

#: what each one's request must look like: provider, path, the header with the key and its value
ASKED = {
    "gemini": ("gemini", "/v1beta/openai/chat/completions", "authorization", f"Bearer {KEY}"),
    "grok": ("grok", "/xai/v1/chat/completions", "authorization", f"Bearer {KEY}"),
    "azure": ("azure_openai", "/openai/deployments/gpt-4.1/chat/completions", "api-key", KEY),
}


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("model", ASKED)
async def test_the_provider_is_asked_at_its_address_with_its_header(model: str, is_streamed: bool) -> None:
    """The server refuses a key in another header, and Azure's URL without its version."""
    heard: list[WireRequest] = []

    def respond(request: WireRequest) -> WireReply:
        heard.append(request)
        return WireReply(text="Hi")

    with ModelServer(respond) as server:
        declared = MODELS[model](server)
        streamed = [one async for one in declared.stream(TWO_CALLS)] if is_streamed else []
        reply = streamed[-1] if is_streamed else await declared.infer(TWO_CALLS)
    [request] = heard
    provider, path, header, value = ASKED[model]
    assert (request.provider, request.path, request.headers[header]) == (provider, path, value)
    assert request.is_streamed is is_streamed
    assert (request.system, len(request.messages), request.tools[0].name) == ("Be brief.", 4, LOOK_UP.name)
    assert isinstance(reply, ModelReply) and (reply.text, reply.usage.cost_usd > 0) == ("Hi", True)


async def test_openais_organisation_is_told_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reads it from the environment."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    async with ScriptedProvider(chat_completion()) as provider:
        await grok("grok-4", api_key=KEY, base_url=provider.url).infer(HELLO)
        assert [name for name in provider.asked[0].headers if name.lower().startswith("openai-")] == []


async def test_azure_is_asked_in_the_version_that_was_named() -> None:
    """It stands in the URL, also of the Responses API."""
    async with ScriptedProvider(chat_completion()) as provider:
        model = azure_openai("mine", api_key=KEY, endpoint=provider.url, api_version="2024-10-21", temperature=0)
        await model.infer(HELLO)
        [asked] = provider.asked
    assert (asked.query, asked.body["temperature"]) == ({"api-version": "2024-10-21"}, 0)
    assert "authorization" not in {name.lower() for name in asked.headers}


async def test_azure_speaks_the_responses_api_too() -> None:
    """At an address of its own, with the same header."""
    with ModelServer(lambda request: WireReply(text=request.path)) as server:
        model = azure_openai("gpt-4.1", api="responses", api_key=KEY, endpoint=server.azure_endpoint)
        assert (await model.infer(TWO_CALLS)).text == "/openai/responses"
        *_, reply = [item async for item in model.stream(TWO_CALLS)]
    assert isinstance(reply, ModelReply) and reply.text == "/openai/responses"


@pytest.mark.parametrize(
    ("name", "variable", "address"),
    [
        ("gemini", "GEMINI_API_KEY", "https://generativelanguage.googleapis.com/v1beta/openai/"),
        ("grok", "XAI_API_KEY", "https://api.x.ai/v1"),
        ("azure_openai", "AZURE_OPENAI_API_KEY", "https://me.openai.azure.com"),
        ("openai", "OPENAI_API_KEY", None),
        ("anthropic", "ANTHROPIC_API_KEY", None),
    ],
)
def test_keys_come_from_each_providers_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, variable: str, address: str | None
) -> None:
    """And go to its own address only."""
    monkeypatch.setenv(variable, "from-env")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com")
    where = clients.endpoint(name, None, None)
    assert (where.api_key, where.base_url) == ("from-env", address)


async def test_azure_without_an_endpoint_is_asked_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key must not go to OpenAI, whose address the SDK would take."""
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    with pytest.raises(ModelError, match="AZURE_OPENAI_ENDPOINT") as caught:
        await azure_openai("mine", api_key=KEY).infer(HELLO)
    assert caught.value.kind == "invalid"


def test_names_stand_for_the_providers_models() -> None:
    """As for OpenAI and Anthropic."""
    assert resolve("gemini:gemini-2.5-flash") == gemini("gemini-2.5-flash")
    assert resolve("grok:grok-4") == grok("grok-4")
    assert resolve("azure_openai:mine") == azure_openai("mine")


async def test_signatures_of_geminis_thoughts_go_back_with_their_calls() -> None:
    """Newer models refuse a call whose signature is missing; nobody else gets to see it."""
    signed = {"google": {"thought_signature": "s1"}}
    call = function_call("look_up", "{}", "a") | {"extra_content": signed}
    async with ScriptedProvider(chat_completion(None, calls=[call]), *[chat_completion()] * 2) as provider:
        model = gemini("gemini-3-pro", api_key=KEY, base_url=provider.url)
        said = (await model.infer(HELLO)).message()
        kept = Message.parse(said.export())
        again = ModelRequest(messages=(*HELLO.messages, kept))
        await model.infer(again)
        await grok("grok-4", api_key=KEY, base_url=provider.url).infer(again)
    sent = [asked.body["messages"][-1]["tool_calls"][0].get("extra_content") for asked in provider.asked[1:]]
    assert sent == [signed, None]


async def test_what_grok_leaves_out_of_the_completion_is_counted() -> None:
    """Its thoughts are paid for like words, and stand in the total only."""
    answer = chat_completion("Hi", reasoning_content="Hm.")
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 45}
    body = {**answer.body, "usage": usage}  # type: ignore[dict-item]
    async with ScriptedProvider(replace(answer, body=body)) as provider:
        reply = await grok("grok-4", api_key=KEY, base_url=provider.url).infer(HELLO)
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens, reply.reasoning) == (35, 30, "Hm.")
