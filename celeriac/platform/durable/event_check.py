"""The check that every event passes, whether it comes from outside or from a step."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from celeriac.errors import InvalidEventError
from celeriac.platform.codec import encode
from celeriac.platform.event import RESERVED, Event

_NAME = re.compile(r"[^\s\x00-\x1f\ud800-\udfff*]{1,512}")
_ID = re.compile(r"[^\x00-\x1f\ud800-\udfff]{1,255}")


@dataclass(frozen=True)
class CheckedEvent(Event):
    """An event whose data is a plain JSON object, with the text of it."""

    text: str = "{}"


def check_event(event: Event, most_bytes: int, index: int = 0) -> CheckedEvent:
    """Return the event with plain JSON as its data.

    Raises `InvalidEventError` that names the place by `index`: `invalid_event`, or `payload_too_large` for data of
    more than `most_bytes` bytes of JSON.
    """
    if not isinstance(event.name, str) or not _NAME.fullmatch(event.name):
        raise invalid(index, "name", "must be 1 to 512 characters without spaces and '*'")
    if event.name.startswith(RESERVED):
        raise invalid(index, "name", f"names below {RESERVED!r} are the platform's own")
    if event.id is not None and not (isinstance(event.id, str) and _ID.fullmatch(event.id)):
        raise invalid(index, "id", "must be a text of 1 to 255 characters that can be printed")
    data = {} if event.data is None else event.data
    try:
        text = encode(data)
    except ValueError as error:
        raise invalid(index, "data", str(error)) from error
    if len(text.encode()) > most_bytes:
        raise InvalidEventError(
            f"Event {index} has {len(text.encode())} bytes of data; the limit is {most_bytes}",
            code="payload_too_large",
        )
    plain = json.loads(text)
    if not isinstance(plain, dict):
        raise invalid(index, "data", "must be an object")
    return CheckedEvent(event.name, plain, id=event.id, ts=event.ts, text=text)


def invalid(index: int, field: str, detail: str) -> InvalidEventError:
    """Return the error for one field of one event of a request."""
    pointer = f"/{index}/{field}" if field else f"/{index}"
    name = f"{field!r} of event {index}" if field else f"Event {index}"
    return InvalidEventError(f"{name} {detail}", errors=[{"pointer": pointer, "detail": detail}])
