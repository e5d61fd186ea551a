"""The turn: one agent's model calls with the tool calls that they ask for, and its hooks.

Runs inside the scope of its turn, where each model call and each tool call is a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from celeriac.errors import ConfigError, ModelError, StoreUnavailable
from celeriac.ids import derived_id
from celeriac.platform.agents.budget import Used, spent_by
from celeriac.platform.agents.hooks import call_hook
from celeriac.platform.agents.prompt import Prompt
from celeriac.platform.agents.state import StateType
from celeriac.platform.agents.telling import TurnTelling
from celeriac.platform.agents.tool_calls import ToolCalls
from celeriac.platform.agents.toolbox import Toolbox
from celeriac.platform.agents.turn_telling import error_message_id
from celeriac.platform.calling import call_function
from celeriac.platform.context import Context, enter_context
from celeriac.platform.inference import infer
from celeriac.platform.message import NOTHING, Message, Usage
from celeriac.platform.models.model import Model, ModelReply, ModelRequest
from celeriac.platform.output import OutputMisfit
from celeriac.platform.result import AgentResult
from celeriac.platform.signature import problems

if TYPE_CHECKING:
    from celeriac.platform.agents.agent import Agent

#: a reply that does not fit its type is mended in at least one more call
_OUTPUT_TRIES = 2


class Turn:
    """One turn of one agent; `take` it once."""

    def __init__(
        self, ctx: Context[Any], agent: Agent[Any, Any], model: Model, state_type: StateType, telling: TurnTelling
    ) -> None:
        """Take the turn in the scope that `ctx` is in; what hooks and tools do to the state ends in `ctx.state`."""
        #: what the turn has used up to now, with what its hooks have asked for
        self._used = Used()
        self._ctx = ctx.bound(agent=agent, telling=telling, used=self._used, excess=self._excess)
        self._agent, self._model = agent, model
        self._state_type, self._telling = state_type, telling
        self._toolbox = Toolbox(agent)
        self._messages: list[Message] = []
        self._calls = 0
        self._id = derived_id("res", ctx.run.id, ctx.step.path)
        self._last: ModelReply | None = None
        self._given: tuple[Message, ...] = ()
        self._output: Any = None
        self._system: str | None = None
        #: why the turn ended before the agent was done
        self._stopped = ""

    @property
    def usage(self) -> Usage:
        """What the turn has used up to now, also where it fails."""
        return self._used.usage

    async def take(self) -> AgentResult[Any]:
        """Let the agent answer, with at most `agent.turn_limit` model calls; it stops at a reply without tool calls.

        Raises what a model call, a hook or a required server failed with, unless `on_error` has an answer to it.
        """
        self._telling.started()
        with enter_context(self._ctx):
            try:
                await self._converse()
                result = await call_hook(self._ctx, self._agent.on_finish, self._result())
            except StoreUnavailable:
                raise
            except Exception as error:
                answer = await self._answer_to(error)
                if answer is None:
                    raise
                result = answer
        return self._own(result)

    async def _converse(self) -> None:
        limit = self._agent.turn_limit(self._ctx)
        made = 0
        while not self._is_over_budget():
            await self._toolbox.refresh(self._ctx)
            prompt = await self._prompt()
            if prompt.stopped is not None:
                self._stopped = prompt.stopped
                return
            said = await self._ask(prompt, is_first=made == 0)
            made += 1
            if said.tool_calls:
                is_over = await self._call_tools(said)
            else:
                is_over = self._agent.shape is None or self._reads(said.text, is_last=made >= max(limit, _OUTPUT_TRIES))
            if is_over:
                return
            if made >= limit and said.tool_calls:
                # In a network that is how turns end: the router is the loop.
                self._stopped = "max_iter" if self._agent.max_iter or not self._ctx.network.is_network else ""
                return

    def _is_over_budget(self) -> bool:
        excess = self._excess(self._ctx.step.kernel.now(), NOTHING)
        if excess is not None:
            self._ctx.network.stop_for_budget(excess)
            self._stopped = f"budget: {excess}"
        return excess is not None

    def _excess(self, now: datetime, more: Usage) -> str | None:
        """Return which limit is reached with what the turn has used, and more."""
        return self._ctx.network.excess(now, self._used.usage + more)

    # -- one model call -----------------------------------------------------------------------------------------

    async def _prompt(self) -> Prompt:
        """Make the prompt of the next call and let the window and the hook change it."""
        agent = self._agent
        if self._system is None:
            self._system = await self._made_system()
        system = "\n\n".join(part for part in (self._system, self._toolbox.note) if part)
        prompt = self._ctx.network.prompt_for(agent, system=system, since=self._messages)
        window = agent.window or self._ctx.network.window
        try:
            prompt = await call_hook(self._ctx, window, prompt)
        finally:
            self._used.add(prompt.usage)
        return await call_hook(self._ctx, agent.on_start, prompt)

    async def _made_system(self) -> str:
        """Make the system prompt, once a turn."""
        system, given = self._agent.system, (self._ctx,) if self._agent.system_takes_context else ()
        return str(await call_function(self._ctx.step.kernel, system, *given)) if callable(system) else system

    async def _ask(self, prompt: Prompt, *, is_first: bool) -> AgentResult[Any]:
        """Call the model, and return its reply as the hook leaves it."""
        toolbox, agent = self._toolbox, self._agent
        self._given = prompt.messages
        request = ModelRequest(
            agent=agent.name,
            system=prompt.system,
            messages=prompt.messages,
            tools=tuple(tool.spec for tool in toolbox.tools.values()),
            # A choice that forces a tool is kept once: the agent could never answer.
            tool_choice=toolbox.choice if is_first or toolbox.choice == "none" else "auto",
            output=None if agent.shape is None else agent.shape.spec,
            prefill=prompt.prefill,
        )
        listener, on_retry = self._telling.asked(prompt.prefill), self._telling.asks_again
        try:
            reply = await infer(self._ctx.step, "infer", self._model, request, listener=listener, on_retry=on_retry)
        except Exception as error:
            self._used.add(spent_by(Used(), error))  # an answer that could not be kept was paid for
            self._telling.unanswered(error)
            raise
        if prompt.prefill and reply.text:
            reply = replace(reply, text=prompt.prefill + reply.text)
        self._last = reply
        self._used.add(reply.usage)
        said = await call_hook(self._ctx, agent.on_response, self._as_result(reply))
        self._messages += said.messages
        for message in said.messages:
            self._telling.replied(message, reply.reasoning if message.id == reply.id else "")
        return said

    async def _call_tools(self, said: AgentResult[Any]) -> bool:
        """Make the calls of a reply; return whether they end the turn."""
        calls = ToolCalls(self._ctx, self._toolbox.tools, self._state_type, self._telling)
        results = await calls.make(said.tool_calls, first=self._calls + 1)
        self._calls += len(results)
        self._messages += results
        await call_hook(self._ctx, self._agent.on_tools, replace(said, messages=(*said.messages, *results)))
        return self._agent.is_done_by(results) or self._ctx.network.asked_to_stop is not None

    def _reads(self, text: str, *, is_last: bool) -> bool:
        """Take the answer as the type that it must have; else let the model mend it, or raise `ModelError`."""
        assert self._agent.shape is not None
        try:
            self._output = self._agent.shape.read(text)
        except OutputMisfit as misfit:
            if is_last:
                raise ModelError(f"Agent {self._agent.name!r}: {misfit}", kind="output") from misfit
            id = derived_id("msg", self._id, f"misfit:{len(self._messages)}")
            self._messages.append(Message("user", misfit.told, id=id))
            return False
        return True

    # -- the result ---------------------------------------------------------------------------------------------

    def _as_result(self, reply: ModelReply) -> AgentResult[Any]:
        message = reply.message(self._agent.name)
        return replace(self._result(), messages=(message,), output=reply.text, usage=reply.usage)

    def _result(self) -> AgentResult[Any]:
        """Return what the turn came to up to now."""
        reply = self._last
        result: AgentResult[Any] = AgentResult(
            id=self._id,
            agent=self._agent.name,
            model=(reply and reply.by) or f"{self._model.provider}:{self._model.name}",
            messages=tuple(self._messages),
            output=self._output,
            usage=self._used.usage,
            finish_reason=reply.finish_reason if reply else "stop",
            stopped=self._stopped,
            created_at=self._ctx.step.kernel.now(),
            prompt=self._given,
            raw=dict(reply.raw) if reply else {},
        )
        return result if self._agent.shape is not None else replace(result, output=result.text)

    async def _answer_to(self, error: Exception) -> AgentResult[Any] | None:
        """Return what the agent's hook makes of a failure; None where it has nothing to say."""
        hook: Callable[..., Any] | None = self._agent.on_error
        if hook is None:
            return None
        answer = await call_function(self._ctx.step.kernel, hook, self._ctx, error)
        if isinstance(answer, str):
            said = Message("assistant", answer, agent=self._agent.name, id=error_message_id(self._id))
            self._telling.replied(said)
            output = answer if self._agent.shape is None else None  # words are no value of the type
            return replace(self._result(), messages=(*self._messages, said), output=output, stopped="error")
        if answer is None:
            return None
        result: AgentResult[Any] = answer
        return replace(result, stopped=result.stopped or "error")

    def _own(self, result: AgentResult[Any]) -> AgentResult[Any]:
        """Return what the turn or a hook came to as the result of this turn, whoever it was that said it."""
        name, shape = self._agent.name, self._agent.shape
        if shape is not None:
            try:
                shape.load(shape.dump(result.output))
            except ValidationError as error:
                raise ConfigError(
                    f"A hook of agent {name!r} returned a result whose output is not of its type: {problems(error)}"
                ) from error
        return replace(result, id=self._id, agent=name, usage=self._used.usage)
