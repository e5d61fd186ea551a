"""The run of a network: its state, its turns so far, and what is left to do. What `ctx.network` is."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from celeriac.ids import new_id
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.state import State
from celeriac.platform.message import Message, Usage
from celeriac.platform.models.model import Model
from celeriac.platform.result import AgentResult

S = TypeVar("S", default=Any)
StopReason = Literal["router", "max_iter", "budget", "cancelled", "error"]


class NetworkRun(Generic[S]):
    """One run of a network; a router reads `state`, `last_result`, `call_count` and `stack` off it."""

    def __init__(
        self,
        *,
        name: str,
        input: Message,
        agents: Mapping[str, Agent[S, Any]],
        state: State[S],
        models: Mapping[str, Model],
        is_network: bool = True,
    ) -> None:
        """Start before the first turn."""
        self.id = new_id("run")
        self.name = name
        self.input = input
        self.agents = dict(agents)
        self.state = state
        self.models = dict(models)
        self.is_network = is_network
        #: names of the agents whose turns are to come, first in, first out
        self.stack: list[str] = []
        #: turns taken by agents
        self.call_count = 0
        self.stop_reason: StopReason | None = None
        self.asked_to_stop: StopReason | None = None
        self._earlier = len(state.results)

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
        """What this run's turns used."""
        return sum((result.usage for result in self.results), Usage())

    def view(self, state: State[S]) -> NetworkRun[S]:
        """Return what one of several parallel tool calls sees of this run: a state and a stack of its own."""
        view = copy.copy(self)
        view.state = state
        view.stack = list(self.stack)
        return view

    def schedule(self, *agents: Agent[S, Any] | str) -> None:
        """Put agents at the end of the stack."""
        self.stack += [agent.name if isinstance(agent, Agent) else agent for agent in agents]

    def stop(self) -> None:
        """End the network after this turn."""
        self.asked_to_stop = "router"

    def prompt_for(self, agent: str) -> tuple[Message, ...]:
        """Return the conversation as `agent` sees it: what was said before, the new input, then its own turns.

        Own turns follow the input, because they answer it; those of other agents come before, as history.
        """
        earlier = self.state.results[: self._earlier]
        others = [result for result in self.results if result.agent != agent]
        own = [result for result in self.results if result.agent == agent]
        return (
            *self.state.messages,
            *(message for result in (*earlier, *others) for message in result.messages),
            self.input,
            *(message for result in own for message in result.messages),
        )

    def take(self, memo: Mapping[str, Any]) -> None:
        """Take over what a router's decision or a turn came to, live or remembered."""
        self.stack = list(memo["stack"])
        if "result" in memo:
            self.call_count += 1
            self.state.results.append(AgentResult.parse(memo["result"]))
        self.stop_reason = memo["stop"]

    def export(self) -> dict[str, Any]:
        """Return plain JSON without models or keys, as a run's output."""
        from celeriac.platform.codec import plain

        return {
            "output": self.output,
            "text": self.text,
            "thread_id": self.state.thread_id,
            "stop_reason": self.stop_reason,
            "results": [result.export() for result in self.results],
            "state": plain(self.state.data),
        }
