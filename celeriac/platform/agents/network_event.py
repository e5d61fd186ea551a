"""The event of a network or an agent: what its sender may say, and how it is run.

`{input, thread_id?, state?, history?, channel?}`. Whoever sends events is not trusted with what only the platform may
say: the state may carry the fields that the network names, and of what agents said before only what they did say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from celeriac.errors import ConfigError, InvalidEventError
from celeriac.platform.agents.history import as_result
from celeriac.platform.agents.network import Network
from celeriac.platform.agents.running import Wish, run_network
from celeriac.platform.agents.seals import SEAL, Seals, conversation_of
from celeriac.platform.agents.state import State
from celeriac.platform.agents.threads import LONGEST_ID
from celeriac.platform.context import Context
from celeriac.platform.message import Message
from celeriac.platform.result import AgentResult
from celeriac.platform.signature import did_you_mean, problems
from celeriac.platform.streams.draft import check_channel


def _printable(id: str) -> str:
    if not id.isprintable():
        raise ValueError("it must be printable characters")
    return id


Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AfterValidator(_printable)]


class UserInput(BaseModel):
    """The input with the id under which the sender knows the message."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    content: str


class EarlierMessage(BaseModel):
    """A message of the user's that was said before."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    role: str = Field(pattern="^user$")
    text: str = Field(alias="content")
    id: Id | None = None


async def run_for_event(
    ctx: Context[Any],
    network: Network[Any],
    *,
    input: str | UserInput,
    thread_id: str | None,
    state: Mapping[str, Any] | None,
    history: Sequence[Mapping[str, Any]] | None,
    channel: str | None,
) -> dict[str, Any]:
    """Run the network as the event says, and return its output, each result sealed.

    Raises `InvalidEventError` for a state, a history or a channel that the sender may not give.
    """
    seals: Seals | None = ctx.part("seals")
    tenant_id = ctx.run.tenant_id
    message = Message.user(input) if isinstance(input, str) else Message.user(input.content, id=input.id)
    conversation = conversation_of(thread_id, network.name)
    earlier = [] if history is None else _earlier(history, seals, tenant_id, conversation)
    results = [one for one in earlier if message.id is None or one.id != message.id]
    wish = Wish(
        input=message,
        id=None,
        state=State(_client_state(network, state or {}), results=results),
        thread_id=thread_id,
        router=network.router,
        model=None,
        max_iter=network.max_iter,
        budget=network.budget,
        channel=_channel(channel),
        on_chunk=None,
        is_for_event=True,
        is_told=history is not None,
    )
    run = await run_network(network, wish)
    output = run.export()
    if seals is not None:
        conversation = conversation_of(run.state.thread_id, network.name)
        output["results"] = [
            seals.sealed(result, tenant_id=tenant_id, conversation=conversation) for result in output["results"]
        ]
    return output


def _channel(given: str | None) -> str | None:
    try:
        return None if given is None else check_channel(given)
    except ConfigError as error:
        raise InvalidEventError(f"channel: {error.message}") from error


def _client_state(network: Network[Any], given: Mapping[str, Any]) -> Any:
    """Return the state that a run begins with, with the fields that a sender may set."""
    if forbidden := next((name for name in given if name not in network.client_state), None):
        allowed = ", ".join(network.client_state) or "nothing"
        near = did_you_mean(forbidden, network.client_state)
        raise InvalidEventError(
            f"state.{forbidden[:80]} may not be set by an event; {network.name!r} lets events set {allowed}{near}"
        )
    try:
        return network.state_type.begin(given)
    except ValidationError as error:
        raise InvalidEventError(f"state does not fit {network.name!r}: {problems(error)}") from error
    except ConfigError as error:
        if not network.client_state:
            raise
        allowed = ", ".join(network.client_state)
        raise InvalidEventError(f"{network.name!r} needs a state, of which events may set {allowed}") from error


def _earlier(
    history: Sequence[Mapping[str, Any]], seals: Seals | None, tenant_id: str, conversation: str
) -> list[AgentResult[Any]]:
    """Return what a client says was said, of which agents' results count only with their seals."""
    found: list[AgentResult[Any]] = []
    for place, one in enumerate(history):
        if one.get("role") == "user":
            found.append(_of_user(one, place))
        elif seals is None and SEAL not in one:
            raise InvalidEventError(
                f"history.{place} is no message of a user's, and results have no seals here; set CELERIAC_SECRET_KEY"
            )
        elif seals is None or not seals.is_sealed(one, tenant_id=tenant_id, conversation=conversation):
            raise InvalidEventError(
                f"history.{place} is neither a message of a user's nor a result that was given out for this "
                "conversation; send results as they came, with their seal, and the thread_id that came with them"
            )
        else:
            found.append(AgentResult.parse({name: value for name, value in one.items() if name != SEAL}))
    ids = [one.id for one in found]
    if twice := next((place for place, id in enumerate(ids) if id in ids[:place]), None):
        raise InvalidEventError(f"history.{twice} has the id of an earlier one")
    return found


def _of_user(one: Mapping[str, Any], place: int) -> AgentResult[Any]:
    try:
        said = EarlierMessage.model_validate(dict(one))
    except ValidationError as error:
        raise InvalidEventError(f"history.{place} is no message of a user's: {problems(error)}") from error
    # Without an id it is known by its place: the same words may be said twice.
    return as_result(Message.user(said.text, id=said.id or f"history.{place}"))
