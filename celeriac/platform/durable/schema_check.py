"""The check of event data against the schemas that apps have bound to its name.

The intake asks for it. Data comes from outside, so it costs no more than a look at each part of it: no more places are
looked for than are shown, and items that must differ are compared all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from celeriac.platform.codec import canonical
from celeriac.platform.durable.declaration import EventSchema
from celeriac.platform.durable.formats import format_checker
from celeriac.platform.event import Event

#: more places than this help nobody
MOST_MISFITS = 100

_LONGEST_DETAIL = 500


def misfits(schemas: Sequence[EventSchema], events: Sequence[Event]) -> list[dict[str, str]]:
    """Return the first places that do not fit, each `{"pointer", "detail"}`."""
    return list(islice(_misfits(schemas, events), MOST_MISFITS))


def _misfits(schemas: Sequence[EventSchema], events: Sequence[Event]) -> Iterator[dict[str, str]]:
    for schema in schemas:
        validator: Validator = _kind()(schema.schema, format_checker=format_checker())
        for index, event in enumerate(events):
            if event.name == schema.name:
                for error in validator.iter_errors(event.data):
                    where = "/".join(str(part) for part in ("", index, "data", *error.absolute_path))
                    yield {"pointer": where, "detail": error.message[:_LONGEST_DETAIL]}


@cache
def _kind() -> type[Validator]:
    kind: type[Validator] = extend(Draft202012Validator, {"uniqueItems": _unique_items})  # type: ignore[no-untyped-call]
    return kind


def _unique_items(validator: Validator, wanted: bool, given: Any, _: Any) -> Iterator[ValidationError]:
    """Find equal items by their text; the library compares each with each where they cannot be sorted."""
    if wanted and validator.is_type(given, "array") and len({canonical(item) for item in given}) < len(given):
        yield ValidationError("has items that are equal")
