"""Running a network: its turns, each a scope whose memo holds the result and the change to the state.

A finished turn costs one memo on replay; the router's decision before it is one more. The same code runs in a plain
script, with an inline step.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celeriac.ids import derived_id, slug
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.budget import Budget, Spending, Used, spent_by
from celeriac.platform.agents.history import History, keep_results, open_thread
from celeriac.platform.agents.hooks import is_enabled
from celeriac.platform.agents.model_choice import check_names, models
from celeriac.platform.agents.network_run import NetworkRun
from celeriac.platform.agents.patch import apply, conflicts
from celeriac.platform.agents.router import Decision, Router, decision_of
from celeriac.platform.agents.routing_agent import RoutingAgent
from celeriac.platform.agents.side_by_side import side_by_side
from celeriac.platform.agents.state import State
from celeriac.platform.agents.telling import Telling, TurnTelling
from celeriac.platform.agents.turn import Turn
from celeriac.platform.calling import call_function
from celeriac.platform.context import Context, current_context, enter_context
from celeriac.platform.inline import local_context
from celeriac.platform.message import NOTHING, Message, Usage
from celeriac.platform.result import AgentResult
from celeriac.platform.scope import current_scope

if TYPE_CHECKING:
    from celeriac.platform.agents.network import Models, Network
    from celeriac.platform.agents.streaming import OnChunk

Memo = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What one run of a network was asked to be."""

    input: str | Message
    id: str | None
    state: Any
    thread_id: str | None
    router: Router[Any] | RoutingAgent[Any] | None
    model: Models | None
    max_iter: int
    budget: Budget | None
    channel: str | None
    on_chunk: OnChunk | None
    #: whether an event asks for it, and whether its sender said what was said before
    is_for_event: bool = False
    is_told: bool = False


async def run_network(network: Network[Any], wish: Wish) -> NetworkRun[Any]:
    """Run the network as wished, in the run that we are in or in place."""
    message = wish.input if isinstance(wish.input, Message) else Message.user(wish.input)
    ctx = current_context() if current_scope() is not None else None
    ctx = ctx or local_context(network.name, {"input": message.text})
    # What a run was told about models holds for the runs inside it too.
    given = ctx.part("models") if wish.model is None else wish.model
    check_names(network, wish.router, wish.model)
    known = [*network.agents.values(), *([wish.router] if isinstance(wish.router, RoutingAgent) else [])]
    model_of = models(network, ctx, given, known)
    prefix = "network" if network.is_network else "agent"
    with ctx.step.scope(wish.id or f"{prefix}:{slug(network.name)}"):
        run = NetworkRun(
            id=derived_id("run", ctx.run.id, ctx.step.path),
            name=network.name,
            input=_named(message, ctx),
            agents=network.agents,
            state=_state(network, wish),
            model_of=model_of,
            is_network=network.is_network,
            window=network.window,
        )
        run.around = ctx.part("excess")
        telling = Telling(ctx, run, channel=wish.channel, on_chunk=wish.on_chunk)
        bound = ctx.bound(network=run, state=run.state, models=given, telling=None, audience=telling.audience)
        with enter_context(bound):
            try:
                history = _history(network, ctx, run, wish)
                await _Running(network, bound, run, wish, history, telling=telling).go()
            finally:
                if (used := ctx.part("used")) is not None:
                    used.add(run.usage)  # inside a turn or a tool call: the run that made it has used this too
    return run


def _named(message: Message, ctx: Context[Any]) -> Message:
    """Return the input with an id and a time that are the same on each replay."""
    id = message.id or derived_id("msg", ctx.run.id, ctx.step.path)
    return replace(message, id=id, created_at=message.created_at or ctx.run.created_at or ctx.step.kernel.now())


def _state(network: Network[Any], wish: Wish) -> State[Any]:
    """Return a state of the run's own: what a caller gives is copied, so that two runs never share it."""
    given, kind = wish.state, network.state_type
    if isinstance(given, State):
        data = kind.take(given.data)
        state = State(data, messages=given.messages, results=given.results, thread_id=given.thread_id)
    else:
        state = State(kind.fresh() if given is None else kind.take(given))
    state.thread_id = state.thread_id if wish.thread_id is None else wish.thread_id
    return state


def _history(network: Network[Any], ctx: Context[Any], run: NetworkRun[Any], wish: Wish) -> History[Any] | None:
    """Return where the run's conversation is kept: as its network says, else its app.

    What runs inside of another network, and an agent that is only asked something, has no thread unless it names one.
    """
    is_conversation = wish.is_for_event or (network.is_network and ctx.part("network") is None)
    of_app: History[Any] | None = ctx.part("history")
    return network.history or (of_app if is_conversation or run.state.thread_id is not None else None)


class _Running:
    """Takes the turns of one run."""

    def __init__(
        self,
        network: Network[Any],
        ctx: Context[Any],
        run: NetworkRun[Any],
        wish: Wish,
        history: History[Any] | None,
        *,
        telling: Telling,
    ) -> None:
        self._network, self._ctx, self._run, self._wish, self._history = network, ctx, run, wish, history
        self._type = network.state_type
        self._telling = telling
        #: the turns and choices that were made here, and not only remembered
        self._taken: set[str] = set()

    async def go(self) -> None:
        """Take turns until there is a reason to stop, and tell of it."""
        try:
            await self._go()
        except Exception as error:
            self._run.stop_reason = "error"
            await self._telling.failed(error)
            raise
        except asyncio.CancelledError:
            if not self._ctx.step.kernel.suspending:
                self._run.stop_reason = "cancelled"
            if not self._ctx.step.kernel.is_over:  # else it is the engine's to tell, or goes on
                await self._telling.cancelled()
            raise
        finally:
            self._telling.let_go()

    async def _go(self) -> None:
        run = self._run
        await open_thread(self._ctx, run, self._history, is_told=self._wish.is_told)
        run.begin()
        if self._wish.budget is not None:
            run.spending = Spending(budget=self._wish.budget, started_at=await self._started_at(self._wish.budget))
        self._telling.started()
        if not self._network.is_network:
            run.schedule(*self._network.agents)
        while run.stop_reason is None:
            await self._advance()
        run.close()
        await self._telling.ended()

    async def _started_at(self, budget: Budget) -> datetime:
        """Return when the run began; remembered where that counts."""
        now = self._ctx.step.kernel.now

        async def note() -> str:
            return now().isoformat()

        if budget.time is None:
            return now()
        return datetime.fromisoformat(await self._ctx.step.scoped("started", note, kind="run"))

    async def _advance(self) -> None:
        """Take one turn, or several at once, with the router's decision before."""
        run, router = self._run, self._wish.router
        if run.call_count >= self._wish.max_iter:
            # Alone an agent has one turn, and what counts is whether it was done.
            is_at_limit = run.is_network or run.results[-1].stopped == "max_iter"
            run.stop_reason = "max_iter" if is_at_limit else "router"
            return
        at_once: list[str] = []
        if router is not None:
            memo = await self._remember("route", lambda used: self._route(router, used))
            self._tell_choice(memo)
            at_once = memo["at_once"]
        if at_once:
            await self._turns_at_once(at_once[: self._turns_left()])
        elif run.stop_reason is None:
            name = run.stack[0]
            await self._remember("turn", lambda used: self._turn(name, used))
            self._tell_turn(1)
            await keep_results(self._ctx, run, self._history, run.results[-1:])

    def _turns_left(self) -> int:
        """Return how many turns may be taken still; those that begin at once do not see one another."""
        budget = self._wish.budget
        most = None if budget is None else budget.turns
        return min(self._wish.max_iter, self._wish.max_iter if most is None else most) - self._run.call_count

    async def _remember(self, name: str, body: Callable[[Used], Awaitable[Memo]]) -> Memo:
        """Run a body as a step whose memo holds the change to the state, and take over what it came to."""
        run, used = self._run, Used()
        before = self._type.dump(run.state.data)

        async def change() -> Memo:
            came = await body(used)
            return came | {"patch": self._type.patch(before, run.state.data)}

        try:
            memo: Memo = await self._ctx.step.scoped(
                f"{name}:{run.call_count + 1}",
                change,
                kind="turn" if name == "turn" else "run",
                input={"state": before} if name == "turn" else None,
                spent=lambda: used.usage,
            )
        except BaseException as error:
            run.lost_usage += spent_by(used, error)
            raise
        run.state.data = self._type.load(apply(before, memo["patch"]), run.state.data)
        run.take(memo)
        return memo

    # -- the router ---------------------------------------------------------------------------------------------

    async def _route(self, router: Router[Any] | RoutingAgent[Any], used: Used) -> Memo:
        """Ask the router; its answer is a memo of its own, so that it is asked once, also when the turn parks."""
        run = self._run
        ctx = self._ctx.bound(used=used, excess=lambda now, more: run.excess(now, used.usage + more))
        if (excess := run.excess(ctx.step.kernel.now(), NOTHING)) is not None:
            return {"stack": run.stack, "stop": "budget", "detail": excess, "at_once": [], "notes": run.notes}
        with enter_context(ctx):
            run.available = [name for name, agent in run.agents.items() if await is_enabled(ctx, agent.enabled)]
            route, memo = await self._asked(ctx, router, used)
        if used.usage != NOTHING:
            memo["usage"] = used.usage.export()
        decision = self._decided(route)
        at_once = list(decision.names) if decision.at_once else []
        run.schedule(*(() if at_once else decision.names))
        if disabled := [name for name in run.stack if name not in run.available]:
            ctx.log.warning("Agents that were scheduled are disabled now and left out: %s", disabled)
            run.stack = [name for name in run.stack if name in run.available]
        stop = run.asked_to_stop or (None if run.stack or at_once else "router")
        return memo | {
            "agents": list(decision.names),
            "at_once": at_once if stop is None else [],
            "available": run.available,
            "stack": run.stack,
            "stop": stop,
            "detail": run.stop_detail,
            "notes": run.notes,
        }

    async def _asked(self, ctx: Context[Any], router: Router[Any] | RoutingAgent[Any], used: Used) -> tuple[Any, Memo]:
        """Return what the router answers, and what is to be remembered of how a model came to it."""
        route: Any = router if isinstance(router, RoutingAgent) else await call_function(ctx.step.kernel, router, ctx)
        if not isinstance(route, RoutingAgent):
            return route, {}
        self._network.check_descriptions()
        number = self._run.call_count + 1
        result = await self._take(ctx, route, self._telling.choice(route.name, number), used)
        self._taken.add(f"route:{number}")
        return await route.route(ctx.bound(agent=route), result), {"routed_by": result.export()}

    def _decided(self, route: Any) -> Decision:
        return decision_of(route, self._run.agents, self._run.available, self._network.name)

    # -- the turns ----------------------------------------------------------------------------------------------

    async def _take(
        self, ctx: Context[Any], agent: Agent[Any, Any], telling: TurnTelling, used: Used
    ) -> AgentResult[Any]:
        turn = Turn(ctx, agent, self._run.model_of(agent), self._type, telling)
        try:
            return await turn.take()
        finally:
            used.add(turn.usage)

    async def _turn(self, name: str, used: Used) -> Memo:
        run = self._run
        agent = run.agents[name]
        telling = self._telling.turn(name, run.call_count + 1)
        result = await self._take(self._ctx, agent, telling, used)
        self._taken.add(f"turn:{run.call_count + 1}")
        return _memo_of(run, name, result, run.stack[1:])

    async def _turns_at_once(self, names: Sequence[str]) -> None:
        """Let several agents take their turns side by side, and merge what they did to the state in their order."""
        run = self._run
        before = self._type.dump(run.state.data)
        first = run.call_count + 1
        spent: list[Usage] = []
        turns = [self._turn_on_view(before, name, number, spent) for number, name in enumerate(names, first)]
        try:
            async with side_by_side(turns) as steps:
                memos = [await step for step in steps]
        except BaseException:
            run.lost_usage = sum(spent, run.lost_usage)
            raise
        merged = before
        for memo in memos:
            merged = apply(merged, memo["patch"])
            stack, notes = [*run.stack, *memo["stack"]], {**run.notes, **memo["notes"]}
            stop, detail = memo["stop"] or run.stop_reason, memo["detail"] or run.stop_detail
            run.take({**memo, "stack": stack, "stop": stop, "detail": detail, "notes": notes})
        run.state.data = self._type.load(merged, run.state.data)
        self._tell_turn(len(names))
        await keep_results(self._ctx, run, self._history, run.results[-len(names) :])
        if twice := conflicts([memo["patch"] for memo in memos]):
            self._ctx.log.warning("Parallel turns set the same state twice, the later agent won: %s", twice)

    async def _turn_on_view(self, before: Any, name: str, number: int, spent: list[Usage]) -> Memo:
        """Take a turn on a copy of the state; its memo has what it scheduled, noted and changed itself.

        What it used comes into `spent`, whether it ends well or not.
        """
        run, used = self._run, Used()
        known = copy.deepcopy(run.notes)
        state = self._type.view(before, run.state)
        view = run.view(state)
        view.stack = []
        ctx = self._ctx.bound(network=view, state=state)

        async def change() -> Memo:
            with enter_context(ctx):
                result = await self._take(ctx, view.agents[name], self._telling.turn(name, number), used)
                self._taken.add(f"turn:{number}")
            notes = {note: value for note, value in view.notes.items() if known.get(note) != value}
            patch = self._type.patch(before, state.data)
            return _memo_of(view, name, result, view.stack) | {"notes": notes, "patch": patch}

        wish: dict[str, Any] = {"kind": "turn", "input": {"state": before}, "spent": lambda: used.usage}
        try:
            memo: Memo = await ctx.step.scoped(f"turn:{number}", change, **wish)
        except BaseException as error:
            spent.append(spent_by(used, error))
            raise
        spent.append(Usage.parse(memo["result"]["usage"]))
        return memo

    def _tell_choice(self, memo: Memo) -> None:
        """Tell what a router's decision used, and the turn of the routing agent that made it."""
        number, used = self._run.call_count + 1, Usage.parse(memo.get("usage", {}))
        if "routed_by" in memo:
            result = replace(AgentResult.parse(memo["routed_by"]), usage=used)
            was_live = f"route:{number}" in self._taken
            self._telling.choice(result.agent, number).remembered(result, was_live=was_live)
        elif used != NOTHING:
            self._telling.chosen(number, used)

    def _tell_turn(self, count: int) -> None:
        """Tell the last turns as they are remembered; who saw them live sees nothing twice."""
        run = self._run
        for place in range(-count, 0):
            result, number = run.results[place], run.call_count + place + 1
            was_live = f"turn:{number}" in self._taken
            self._telling.turn(result.agent, number).remembered(result, was_live=was_live)


def _memo_of(run: NetworkRun[Any], name: str, result: AgentResult[Any], stack: Sequence[str]) -> Memo:
    return {
        "agent": name,
        "result": result.export(),
        "stack": list(stack),
        "stop": run.asked_to_stop,
        "detail": run.stop_detail,
        "notes": run.notes,
    }
