"""Models under agents: what the loop keeps of a reply, and whose key is used."""

from __future__ import annotations

from typing import Any

from conversations import KEY
from scripted_provider import ScriptedProvider, anthropic_message

from celeriac import Agent, App, Context, Message, Network, anthropic, tool
from celeriac.testing import Harness
from celeriac.types import Attachment

THOUGHT = {"type": "thinking", "thinking": "I must look.", "signature": "sealed"}
HIDDEN = {"type": "redacted_thinking", "data": "sealed too"}


@tool
async def look_up(what: str) -> str:
    """Look something up."""
    return f"{what} is warm"


async def test_thoughts_go_back_with_the_results_of_the_tools_they_led_to() -> None:
    """The provider refuses the result of a call whose thought is missing or changed."""
    call = {"type": "tool_use", "id": "a", "name": "look_up", "input": {"what": "tea"}}
    thinks = anthropic_message(THOUGHT, HIDDEN, call, stop="tool_use")
    async with ScriptedProvider(thinks, anthropic_message()) as provider:
        model = anthropic("claude-haiku-4-5", api_key=KEY, base_url=provider.url)
        result = await Agent("Ann", system="Look.", model=model, tools=[look_up]).run("Tea?")
    _, said, told = provider.last["messages"]
    assert said["content"] == [THOUGHT, HIDDEN, call]
    assert (told["content"][0]["tool_use_id"], result.text) == ("a", "Hello")


async def test_a_key_function_is_given_the_context_of_the_run() -> None:
    """So that it can find the key of the run's tenant."""
    seen: list[Any] = []

    def key(ctx: Context) -> str:
        seen.append(ctx.run.tenant_id)
        return KEY

    async with ScriptedProvider(anthropic_message()) as provider:
        model = anthropic("claude-haiku-4-5", api_key=key, base_url=provider.url)
        agent = Agent("Ann", description="Answers.", system="Be kind.", model=model)
        run = await Network("Desk", agents=[agent], router=lambda ctx: None if ctx.network.call_count else agent).run(
            "Hi"
        )
    assert (run.text, len(seen), isinstance(seen[0], str)) == ("Hello", 1, True)


@tool
async def ask(ctx: Context, what: str) -> str:
    """Ask a person."""
    answer = await ctx.step.wait_for_event("answer", "shop/answered", timeout="1h")
    return str(answer.data["text"]) if answer else "nobody knows"


async def test_thoughts_outlive_the_process_that_heard_them() -> None:
    """They stand in the memo of the call, and the key is asked for again."""
    tenants: list[str] = []

    def key(ctx: Context) -> str:
        tenants.append(ctx.run.tenant_id)
        return KEY

    call = {"type": "tool_use", "id": "a", "name": "ask", "input": {"what": "tea"}}
    async with ScriptedProvider(anthropic_message(THOUGHT, call, stop="tool_use"), anthropic_message()) as provider:
        model = anthropic("claude-haiku-4-5", api_key=key, base_url=provider.url)
        async with Harness(waiting_desk(model)) as h:
            [run] = await h.send("shop/asked", {})
            await h.restart()
            await h.send("shop/answered", {"text": "Warm."})
            assert h.run(run.id).output == "Hello"
    assert provider.last["messages"][1]["content"] == [THOUGHT, call]
    assert tenants == ["test", "test"]


def waiting_desk(model: Any) -> App:
    """An app whose one function asks an agent that asks a person."""
    app = App("shop")
    agent = Agent("Ann", system="Ask.", model=model, tools=[ask])

    @app.function(on="shop/asked")
    async def answer(ctx: Context) -> str:
        return (await agent.run("Tea?")).text

    return app


async def test_a_picture_of_the_input_is_sent_at_each_call_also_after_a_crash() -> None:
    """It stands where the message stands, in the provider's own words."""
    picture = Attachment.of(b"\x89PNG", "image/png")
    app, call = App("looks"), {"type": "tool_use", "id": "a", "name": "ask", "input": {"what": "it"}}
    async with ScriptedProvider(anthropic_message(call, stop="tool_use"), anthropic_message()) as provider:
        agent = Agent("Ann", model=anthropic("claude-haiku-4-5", api_key=KEY, base_url=provider.url), tools=[ask])

        @app.function(on="shop/asked")
        async def look(ctx: Context) -> str:
            return (await agent.run(Message.user("What is it?", attachments=[picture]))).text

        async with Harness(app) as h:
            [run] = await h.send("shop/asked", {})
            await h.restart()
            await h.send("shop/answered", {"text": "A cup."})
            assert h.run(run.id).output == "Hello"
    sent = [asked.body["messages"][0]["content"] for asked in provider.asked]
    assert [[block["type"] for block in content] for content in sent] == [["image", "text"]] * 2
    assert sent[1][0]["source"]["data"] == picture.data
