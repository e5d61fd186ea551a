"""A durable function without any agent: an order that waits two days for its payment and seven for a review.

Nothing of it holds a worker while it waits, and nothing is done twice when one is killed.

    celeriac dev examples.durable_function:app

    . .celeriac/env                       # in another terminal: the settings of this installation
    celeriac send shop/order.placed '{"order_id": "o1", "item": "lamp"}'
    celeriac send shop/order.paid '{"order_id": "o1"}'
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, Field

from celeriac import App, Context, NonRetriableError


class OrderPlaced(BaseModel):
    """A customer ordered something."""

    order_id: str = Field(examples=["o1"])
    item: str = Field(examples=["lamp"])


class Reservation(BaseModel):
    """An item that was put aside."""

    item: str
    shelf: int


app = App("shop")
app.event("shop/order.placed", OrderPlaced)

#: stands for the warehouse, which has a lamp on shelf 4
SHELVES = {"lamp": 4}


def reserve(item: str) -> Reservation:
    """Put the item aside; whoever orders what we never had is told so at once."""
    if item not in SHELVES:
        raise NonRetriableError(f"There is no {item!r} in this shop")
    return Reservation(item=item, shelf=SHELVES[item])


def give_back(reservation: Reservation) -> None:
    """Put the item back on its shelf."""


async def ship(order_id: str, shelf: int) -> str:
    """Send the parcel; the carrier takes the order's id as idempotency key."""
    return f"parcel-{order_id}-{shelf}"


async def pack(order_id: str) -> int:
    """Weigh the parcel, in grams."""
    return 1200


@app.function(on="shop/order.placed", retries=6)
async def fulfil_order(ctx: Context, order_id: str, item: str) -> dict[str, str]:
    """Reserve, wait for the payment, ship, and ask for a review a week later."""
    reservation = await ctx.step.run("reserve", reserve, item)
    paid = await ctx.step.wait_for_event("payment", "shop/order.paid", match="data.order_id", timeout="2d")
    if paid is None:
        await ctx.step.run("give-back", give_back, reservation)
        return {"order": order_id, "outcome": "never paid"}
    parcel, grams = await asyncio.gather(
        ctx.step.run("ship", ship, order_id, reservation.shelf),
        ctx.step.run("weigh", pack, order_id),
    )
    await ctx.step.sleep("before-review", "7d")
    await ctx.step.send_event("ask-for-review", "shop/review.wanted", {"order_id": order_id})
    ctx.log.info("order %s is done, %d g", order_id, grams)
    return {"order": order_id, "outcome": "shipped", "parcel": parcel}
