"""The first request that the banner shows fits what the app declares."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter

from celeriac import App, Context
from celeriac.cli.sample import sample_event, sample_of


class Size(Enum):
    SMALL = "s"


class Line(BaseModel):
    sku: str = Field(examples=["apple"])
    size: Size
    count: int = 2


class Box(BaseModel):
    boxes: list[Box]


PEAR = {"sku": "pear", "size": "s"}


class Order(BaseModel):
    id: int
    key: UUID
    at: datetime
    ways: list[Literal["by air", "by sea"]] = Field(min_length=1)
    dozens: int = Field(ge=12)
    lines: list[Line]
    first: Line
    note: str | None
    box: Box
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


def test_an_example_of_a_parameter_goes_before_what_its_type_has() -> None:
    """It is what the author of the function would send."""
    app = App("shop")

    @app.function(on="shop/order.placed")
    async def ship(
        ctx: Context,
        item: Annotated[str, Field(examples=["lamp", "bulb"])],
        line: Annotated[Line, Field(examples=[PEAR])],
        way: Literal["by air", "by sea"],
    ) -> None: ...

    assert sample_event(app) == {
        "name": "shop/order.placed",
        "data": {"item": "lamp", "line": PEAR, "way": "by air"},
    }


def test_an_app_without_functions_has_no_sample() -> None:
    """The banner then leaves it out."""
    assert sample_event(App("empty")) is None
