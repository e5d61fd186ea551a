"""The scripted model as a stream, and as a script that was written for other agents."""

from __future__ import annotations

from typing import Any

import pytest
from conversations import HELLO

from celeriac import Agent
from celeriac.errors import ModelError
from celeriac.platform.models.delta import CallDelta, ReasoningDelta, TextDelta, UsageDelta
from celeriac.platform.models.model import ModelReply
from celeriac.testing import ScriptedModel, call, calls, say


async def streamed(model: ScriptedModel) -> list[Any]:
    """All that the model says to a greeting."""
    return [item async for item in model.stream(HELLO)]


async def test_a_reply_comes_in_as_many_pieces_as_were_asked_for() -> None:
    """Thoughts before words, each piece as long as the others, usage and reply last."""
    *said, usage, reply = await streamed(ScriptedModel([say("abcdefg", reasoning="hm hm")], pieces=3))
    assert [(type(one), one.text) for one in said] == [
        (ReasoningDelta, "hm"),
        (ReasoningDelta, " h"),
        (ReasoningDelta, "m"),
        (TextDelta, "abc"),
        (TextDelta, "def"),
        (TextDelta, "g"),
    ]
    assert isinstance(usage, UsageDelta) and isinstance(reply, ModelReply)
    assert (reply.text, reply.reasoning) == ("abcdefg", "hm hm")


async def test_arguments_come_in_pieces_under_their_call() -> None:
    """As providers send them: no JSON each."""
    model = ScriptedModel([calls(call("add", a=1), call("add", a=2))], pieces=2)
    pieces = [one for one in await streamed(model) if isinstance(one, CallDelta)]
    assert [(one.place, one.id, one.arguments) for one in pieces] == [
        (0, "call_1", '{"a"'),
        (0, "call_1", ":1}"),
        (1, "call_2", '{"a"'),
        (1, "call_2", ":2}"),
    ]


async def test_a_script_may_break_a_stream_in_its_middle() -> None:
    """Pieces came, and the reply did not; asked for a whole reply, the model just fails."""
    script = [say("Half a", error=ModelError("cut", kind="connection"))]
    heard = []
    with pytest.raises(ModelError, match="cut"):
        async for item in ScriptedModel(script, pieces=2).stream(HELLO):
            heard.append(item.text)
    assert heard == ["Hal", "f a"]
    with pytest.raises(ModelError, match="cut"):
        await ScriptedModel(script).infer(HELLO)


async def test_an_agent_that_the_script_does_not_know_fails_by_name() -> None:
    """Lines for one agent are for no other."""
    model = ScriptedModel({"Clerk": ["hi"]})
    with pytest.raises(AssertionError, match="no line left for agent 'Boss'"):
        await Agent("Boss", model=model).run("Hi")
    with pytest.raises(AssertionError, match="'Clerk': 1"):
        model.assert_done()


async def test_a_block_expects_its_script_to_be_used_up() -> None:
    """A failure inside is not hidden by the lines that it left."""
    with pytest.raises(AssertionError, match="lines left"), ScriptedModel(["one", "two"]) as model:
        await model.infer(HELLO)
    with pytest.raises(KeyError), ScriptedModel(["one"]):
        raise KeyError
    with ScriptedModel(["one"]) as model:
        await model.infer(HELLO)
