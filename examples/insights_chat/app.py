"""The chat as an app: questions about numbers, and customer support, each in threads that go on.

As durable runs: `celeriac dev examples.insights_chat.app:app`, then events such as

    . .celeriac/env                       # in another terminal: the settings of this installation
    celeriac send agent/chat.requested \
        '{"user_id": "u1", "user_message": {"id": "m1", "content": "How many sign-ups came in March?"}}'
    celeriac send agent/support.requested \
        '{"user_id": "u1", "user_message": {"id": "m2", "content": "Your API is slow today."}}'

A web server of yours sends them for a user that it knows: `user_id` is its word, what is in `user_message` is the
client's. A client that keeps the conversation itself is answered by the event `insights-chat/network-insights`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from celeriac import App, Concurrency, Context, Message, NetworkRun, NonRetriableError
from examples.insights_chat.insights import Insights, insights
from examples.insights_chat.support import Desk, customer_support

CHAT, SUPPORT = "agent/chat.requested", "agent/support.requested"


class ChatMessage(BaseModel):
    """What a client sends: its words under its own id, and what it shows at the moment."""

    id: str = Field(examples=["m1"])
    content: str = Field(min_length=1, examples=["How many sign-ups came in March?"])
    state: dict[str, Any] = {}


UserId = Annotated[str, Field(examples=["u1"])]

app = App("insights-chat")


@app.function(on=CHAT, concurrency=Concurrency(1, key="event.data.thread_id"))
async def chat(
    ctx: Context,
    user_message: ChatMessage,
    user_id: UserId,
    thread_id: str | None = None,
    channel_key: str | None = None,
) -> dict[str, Any]:
    """Answer a question about the numbers; tell it to the user's channel while it goes on."""
    run = await insights.run(
        Message.user(user_message.content, id=user_message.id),
        state=state_of(user_message, user_id),
        thread_id=thread_id,
        channel=f"user:{channel_key or user_id}",
    )
    return {**run.export(), "message_ids": [user_message.id, *(result.id for result in run.results)]}


@app.function("support", on=SUPPORT, concurrency=Concurrency(1, key="event.data.thread_id"))
async def help_customer(
    ctx: Context, user_message: ChatMessage, user_id: UserId, thread_id: str | None = None
) -> NetworkRun[Desk]:
    """Help a customer."""
    message = Message.user(user_message.content, id=user_message.id)
    return await customer_support.run(
        message, state=Desk(user_id=user_id), thread_id=thread_id, channel=f"user:{user_id}"
    )


app.network(insights)


def state_of(user_message: ChatMessage, user_id: str) -> Insights:
    """Return a state with what the client may say; everything else of its state is passed over."""
    known = {name: user_message.state[name] for name in insights.client_state if name in user_message.state}
    try:
        return Insights.model_validate({**known, "user_id": user_id})
    except ValidationError as error:
        raise NonRetriableError(f"The state of message {user_message.id!r} does not fit") from error
