"""The chat as an app: questions about numbers, and customer support, each in threads that go on.

As durable runs: `celeriac dev examples.insights_chat.app:app`, then the events below. A web server of yours sends them
for a user that it knows: `user_id` is its word, what is in `user_message` is the client's. A client that keeps the
conversation itself is answered by the event `insights-chat/network-insights`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, ValidationError

from celeriac import App, Concurrency, Context, Message, NetworkRun, NonRetriableError
from examples.insights_chat.insights import Insights, insights
from examples.insights_chat.support import Desk, customer_support

CHAT, SUPPORT = "agent/chat.requested", "agent/support.requested"


class ChatMessage(BaseModel):
    """What a client sends: its words under its own id, and what it shows at the moment."""

    id: str
    content: str = Field(min_length=1)
    state: dict[str, Any] = {}


app = App("insights-chat")
app.network(insights)


@app.function(on=CHAT, concurrency=Concurrency(1, key="event.data.thread_id"))
async def chat(
    ctx: Context, user_message: ChatMessage, user_id: str, thread_id: str | None = None, channel_key: str | None = None
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
    ctx: Context, user_message: ChatMessage, user_id: str, thread_id: str | None = None
) -> NetworkRun[Desk]:
    """Help a customer."""
    message = Message.user(user_message.content, id=user_message.id)
    return await customer_support.run(
        message, state=Desk(user_id=user_id), thread_id=thread_id, channel=f"user:{user_id}"
    )


def state_of(user_message: ChatMessage, user_id: str) -> Insights:
    """Return a state with what the client may say; everything else of its state is passed over."""
    known = {name: user_message.state[name] for name in insights.client_state if name in user_message.state}
    try:
        return Insights.model_validate({**known, "user_id": user_id})
    except ValidationError as error:
        raise NonRetriableError(f"The state of message {user_message.id!r} does not fit") from error
