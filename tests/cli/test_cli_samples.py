"""The first request that the banner shows fits what the app declares."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, Field, TypeAdapter

from celeriac import App, Context
from celeriac.cli.sample import sample_event, sample_of


class Size(Enum):
    SMALL = "s"


class Line(BaseModel):
    sku: str = Field(examples=["apple"])
    size: Size
    count: int = 2


class Order(BaseModel):
    id: int
    lines: list[Line]
    first: Line
    note: str | None
    is_paid: bool


def test_a_sample_fits_its_schema() -> None:
    """Nested models, enums, unions and all; what may be left out is left out."""
    sample = sample_of(Order.model_json_schema())
    assert TypeAdapter(Order).validate_python(sample).first.count == 2
    assert sample["first"] == {"sku": "apple", "size": "s"}


def test_the_sample_event_starts_the_first_function() -> None:
    """By the parameters of the function where the event has no model."""
    app = App("shop")

    @app.function(on="shop/order.placed")
    async def ship(ctx: Context, order_id: int, note: str = "") -> None: ...

    assert sample_event(app) == {"name": "shop/order.placed", "data": {"order_id": 1}}


def test_an_app_without_functions_has_no_sample() -> None:
    """The banner then leaves it out."""
    assert sample_event(App("empty")) is None
