"""The run of a network: its state, its turns so far, and what is left to do. What `ctx.network` is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from celeriac.errors import RouterError
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.budget import Spending
from celeriac.platform.agents.history import as_result
from celeriac.platform.agents.prompt import Prompt
from celeriac.platform.agents.state import State, shown
from celeriac.platform.agents.window import Window
from celeriac.platform.message import Message, Usage
from celeriac.platform.models.model import Model
from celeriac.platform.result import AgentResult
from celeriac.platform.signature import did_you_mean

S = TypeVar("S", default=Any)
StopReason = Literal["router", "max_iter", "budget", "cancelled", "error"]


class NetworkRun(Generic[S]):
    """One run of a network; a router reads `state`, `last_result`, `call_count` and `stack` off it."""

    def __init__(
        self,
        *,
        id: str,
        name: str,
        input: Message,
        agents: Mapping[str, Agent[S, Any]],
        state: State[S],
        model_of: Callable[[Agent[Any, Any]], Model],
        is_network: bool = True,
        window: Window | None = None,
    ) -> None:
        """Start before the first turn."""
        self.id = id
        self.name = name
        self.input = input
        self.agents = dict(agents)
        self.state = state
        #: finds the model of an agent in this run
        self.model_of = model_of
        self.is_network = is_network
        self.window = window
        #: names of the agents whose turns are to come, first in, first out
        self.stack: list[str] = []
        #: names of the agents that take part at the moment, for routers
        self.available: list[str] = list(agents)
        #: turns taken by agents
        self.call_count = 0
        self.stop_reason: StopReason | None = None
        #: which limit of the budget was reached, in words
        self.stop_detail = ""
        self.asked_to_stop: StopReason | None = None
        #: what windows and hooks want to find again at the next turn; plain JSON, remembered with each turn
        self.notes: dict[str, Any] = {}
        self.spending: Spending | None = None
        #: says whether a run around this one, in whose tool call it is, has reached a limit
        self.around: Callable[[datetime, Usage], str | None] | None = None
        #: what routers used, above all the choices of routing agents
        self.routing_usage = Usage()
        #: what turns and decisions used that failed, or were ended; no result has it
        self.lost_usage = Usage()
        self._earlier = len(state.results)

    def begin(self) -> None:
        """Take what the state holds now as said before this run, each agent's output as the type it has."""
        self.state.results = [self._typed(result) for result in self.state.results]
        self._earlier = len(self.state.results)

    def close(self) -> None:
        """Put the input before what was answered to it: whoever goes on from the state goes on from all that was said.

        Not before the last turn, as until then it stands where each agent is to read it.
        """
        if self.input.text or self.input.attachments:
            self.state.results.insert(self._earlier, as_result(self.input))
            self._earlier += 1

    def _typed(self, result: AgentResult[Any]) -> AgentResult[Any]:
        """Return a result that was kept as JSON with its output as its agent's type, where it still fits that."""
        shape = self.agents[result.agent].shape if result.agent in self.agents else None
        if shape is None:
            return result
        try:
            return replace(result, output=shape.load(result.output))
        except ValueError:
            return result

    @property
    def results(self) -> list[AgentResult[Any]]:
        """The results of this run's turns, in order."""
        return self.state.results[self._earlier :]

    @property
    def last_result(self) -> AgentResult[Any] | None:
        """The result of the last turn of this run."""
        return self.results[-1] if self.results else None

    @property
    def text(self) -> str:
        """The text of the last result."""
        return self.last_result.text if self.last_result else ""

    @property
    def output(self) -> Any:
        """The output of the last result."""
        return self.last_result.output if self.last_result else None

    @property
    def usage(self) -> Usage:
        """What this run's turns used, the choices of routing agents and what came to nothing among it."""
        return sum((result.usage for result in self.results), self.routing_usage + self.lost_usage)

    def view(self, state: State[S]) -> NetworkRun[S]:
        """Return what one of several parallel tool calls sees of this run: a state and a stack of its own."""
        view = copy.copy(self)
        view.state = state
        view.stack = list(self.stack)
        view.notes = copy.deepcopy(self.notes)
        return view

    def schedule(self, *agents: Agent[S, Any] | str) -> None:
        """Put agents at the end of the stack; raise `RouterError` for one that the network does not have."""
        names = [agent.name if isinstance(agent, Agent) else agent for agent in agents]
        known = list(self.agents)
        if unknown := [name for name in names if name not in known]:
            near = did_you_mean(str(unknown[0]), known)
            raise RouterError(f"{unknown[0]!r} cannot be scheduled: network {self.name!r} has no such agent{near}")
        self.stack += names

    def stop(self) -> None:
        """End the network after this turn."""
        self.asked_to_stop = "router"

    def excess(self, now: datetime, more: Usage) -> str | None:
        """Return which limit is reached with what a turn under way has used more; None for none.

        The limits of the runs around it count as well.
        """
        used, spending, reached = self.usage + more, self.spending, None
        if spending is not None:
            since = now - spending.started_at
            reached = spending.budget.excess(turns=self.call_count, usage=used, since=since)
        return self.around(now, used) if reached is None and self.around is not None else reached

    def stop_for_budget(self, detail: str) -> None:
        """End the network because its budget is used."""
        self.asked_to_stop, self.stop_detail = "budget", detail

    def prompt_for(self, agent: Agent[Any, Any], *, system: str, since: Sequence[Message] = ()) -> Prompt:
        """Return the conversation as `agent` sees it: what was said before, the new input, then its own turns.

        Own turns follow the input, because they answer it; those of other agents come before, as history. For one
        that routes all turns of this run are answers. `since` is what the turn under way has said.
        """
        earlier = self.state.results[: self._earlier]
        others = [result for result in self.results if result.agent != agent.name and not agent.is_routing]
        own = [result for result in self.results if result.agent == agent.name or agent.is_routing]
        return Prompt(
            system=system,
            history=[*self.state.messages, *(message for result in (*earlier, *others) for message in result.messages)],
            input=self.input,
            own=[*(message for result in own for message in result.messages), *since],
            prefill=agent.assistant,
        )

    def take(self, memo: Mapping[str, Any]) -> None:
        """Take over what a router's decision or a turn came to, live or remembered."""
        self.stack = list(memo["stack"])
        self.stop_reason = memo["stop"]
        self.stop_detail = memo.get("detail", "")
        self.notes = dict(memo.get("notes", {}))
        self.available = list(memo.get("available", self.available))
        if "usage" in memo:
            self.routing_usage += Usage.parse(memo["usage"])
        if "result" in memo:
            self.call_count += 1
            result = AgentResult.parse(memo["result"])
            shape = self.agents[memo["agent"]].shape
            self.state.results.append(result if shape is None else replace(result, output=shape.load(result.output)))

    def export(self) -> dict[str, Any]:
        """Return plain JSON without models or keys, as a run's output."""
        from celeriac.platform.codec import plain

        return {
            "output": plain(self.output),
            "text": self.text,
            "thread_id": self.state.thread_id,
            "stop_reason": self.stop_reason,
            **({"stop_detail": self.stop_detail} if self.stop_detail else {}),
            "results": [result.export() for result in self.results],
            "state": shown(self.state.data),
        }
