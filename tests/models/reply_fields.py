"""Which fields of recorded replies are read, found out by changing them, and the list of those that are not, with why.

A field is read where another value in it makes another reply. A field that is neither read nor listed is one that a
provider added without our noticing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from celeriac.platform.models.form import Asked, Form

_ID = "the provider's own name of the thing; support asks for the request id, which errors carry"
_KIND = "always the same: the form is known by whom we asked"
_ECHO = "repeats the request"
_ROLE = "a reply is always the assistant's"
_TIER = "how fast it was served; the price table does not know tiers"
_WHEN = "we note the time ourselves"
_PART = "a part of a sum that is read"
_INDEX = "only one choice is asked for"
_BUILD = "the provider's build"
_LOG = "the probabilities of tokens; never asked for"
_NOTES = "citations of the provider's own search; empty unless it is asked for, and then in `raw`"
_SEEN = "the pieces said it already"
_SEQUENCE = "numbers events; order is the order of arrival"

#: `form: {path: why it is not read}`; a path ends in `.*` where all below it is meant
IGNORED: dict[str, dict[str, str]] = {
    "openai": {
        "id": _ID,
        "object": _KIND,
        "created": _WHEN,
        "system_fingerprint": _BUILD,
        "service_tier": _TIER,
        "choices[].index": _INDEX,
        "choices[].logprobs": _LOG,
        "choices[].message.role": _ROLE,
        "choices[].message.annotations[]": _NOTES,
        "choices[].message.tool_calls[].type": "only functions are offered",
        "choices[].message.thought_signature": "stands in extra_content too, which is kept",
        "usage.completion_tokens_details.accepted_prediction_tokens": _PART,
        "usage.completion_tokens_details.rejected_prediction_tokens": _PART,
        "usage.completion_tokens_details.audio_tokens": _PART,
        "usage.prompt_tokens_details.audio_tokens": _PART,
        "choices[].delta.role": _ROLE,
        "choices[].delta.tool_calls[].type": "only functions are offered",
        "obfuscation": "noise against those who listen to the lengths of packets",
    },
    "openai_responses": {
        "id": _ID,
        "object": _KIND,
        "created_at": _WHEN,
        "background": _ECHO,
        "billing.payer": "whose account it was; the key says it",
        "instructions": _ECHO,
        "max_output_tokens": _ECHO,
        "max_tool_calls": _ECHO,
        "metadata": _ECHO,
        "parallel_tool_calls": _ECHO,
        "previous_response_id": _ECHO,
        "prompt_cache_key": _ECHO,
        "reasoning.*": _ECHO,
        "safety_identifier": _ECHO,
        "store": "an echo; beside a thought it is read, since only a stored or encrypted one can go back",
        "service_tier": _TIER,
        "temperature": _ECHO,
        "text.*": _ECHO,
        "tool_choice": _ECHO,
        "tools[].*": _ECHO,
        "top_logprobs": _ECHO,
        "top_p": _ECHO,
        "truncation": _ECHO,
        "user": _ECHO,
        "output[].id": _ID,
        "output[].role": _ROLE,
        "output[].status": "an item is whole where the response is, and that is read",
        "output[].content[].type": "texts are read whatever they are called",
        "output[].content[].annotations[]": _NOTES,
        "output[].content[].logprobs[]": _LOG,
        "usage.total_tokens": "the sum of two that are read",
        "item.*": _SEEN,
        "part.*": _SEEN,
        "text": _SEEN,
        "arguments": _SEEN,
        "item_id": "the place in the output says which item it is",
        "content_index": "the parts of a text follow one another",
        "sequence_number": _SEQUENCE,
        "type[of what is not read]": _SEEN,
    },
    "anthropic": {
        "id": _ID,
        "type": _KIND,
        "role": _ROLE,
        "stop_sequence": "which of the user's own ends was met; in `raw`",
        "stop_details": "null but for refusals; in `raw`",
        "usage.cache_creation.*": _PART,
        "usage.service_tier": _TIER,
        "usage.inference_geo": "where it was computed",
        "content[].caller.*": "who called a tool: only the model itself can, without the provider's own code tool",
    },
}

#: another value that means something, where any other would not
OTHERWISE: dict[str, Any] = {
    "finish_reason": "length",
    "stop_reason": "max_tokens",
    "store": False,
    "index": 7,
    "output_index": 7,
}


def unread(form_name: str, form: Form, asked: Asked, body: dict[str, Any]) -> list[str]:
    """Name the fields of a whole reply that are neither read nor ignored."""

    def read(changed: Any) -> str:
        return _told(lambda: form.read(asked, changed) if form.is_reply(changed) else "no reply")

    return sorted(_without_effect(body, read) - _ignored(form_name, body))


def unread_in_stream(form_name: str, form: Form, asked: Asked, events: list[dict[str, Any]]) -> list[str]:
    """Name the fields of a stream's events that are neither read nor ignored, as `event: path`."""

    def read(changed: list[dict[str, Any]]) -> str:
        return _told(lambda: _assembled(form, asked, changed))

    before = read(events)
    seen: dict[tuple[str, str], bool] = {}
    for number, event in enumerate(events):
        for path, change in _changes(event):
            where = (str(event.get("type", "chunk")), path)
            if seen.get(where) is not True:
                other = copy.deepcopy(event)
                change(other)
                seen[where] = read([*events[:number], other, *events[number + 1 :]]) != before
    left = [f"{kind}: {path}" for (kind, path), has_effect in seen.items() if not has_effect]
    return sorted(name for name in left if not _is_ignored_in_stream(form_name, name))


def _assembled(form: Form, asked: Asked, events: list[dict[str, Any]]) -> tuple[Any, ...]:
    assembler = form.assembler(asked)
    deltas = [delta for event in events for delta in assembler.feed(event)]
    body = assembler.body()
    return deltas, assembler.is_complete, form.read(asked, body) if form.is_reply(body) else body.get("error")


def _told(read: Callable[[], Any]) -> str:
    """Say what was read without the raw body; an error is an effect too."""
    try:
        found = read()
    except Exception as error:  # noqa: BLE001 - reading a nonsense value may end in any way, so long as it was looked at
        return repr(error)
    raws = [part.raw for part in (found if isinstance(found, tuple) else (found,)) if hasattr(part, "raw")]
    told = repr(found)
    return told.replace(repr(raws[0]), "") if raws else told


def _without_effect(body: Any, read: Callable[[Any], str]) -> set[str]:
    before, effects = read(copy.deepcopy(body)), dict[str, bool]()
    for path, change in _changes(body):
        other = copy.deepcopy(body)
        change(other)
        effects[path] = effects.get(path, False) or read(other) != before
    return {path for path, has_effect in effects.items() if not has_effect}


def _changes(body: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Yield each leaf's path, and what changes it in a copy."""
    for path, steps, value in list(_leaves(body, "", ())):
        yield path, _setter(steps, value)


def _setter(steps: tuple[Any, ...], value: Any) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        for step in steps[:-1]:
            body = body[step]
        body[steps[-1]] = _another(str(steps[-1]), value)
        if steps[-1] == "incomplete_details":
            body |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
        elif steps[-1] == "status":
            body |= {"status": "incomplete"}

    return change


def _another(key: str, value: Any) -> Any:
    if key in OTHERWISE and value != OTHERWISE[key]:
        return OTHERWISE[key]
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str() if value.startswith("{"):
            return '{"another": 1}'
        case _:
            return f"{value or ''}another"


def _leaves(value: Any, path: str, steps: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key, (*steps, key))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[]", (*steps, place))
    elif value not in ({}, []):
        yield path, steps, value


def _ignored(form_name: str, body: Mapping[str, Any]) -> set[str]:
    return {path for path, _, _ in _leaves(body, "", ()) if _is_ignored(form_name, path)}


def _is_ignored(form_name: str, path: str) -> bool:
    known = IGNORED[form_name]
    parents = [path[:place] for place, letter in enumerate(path) if letter in ".["]
    return path in known or any(f"{parent}.*" in known or f"{parent}[].*" in known for parent in parents)


def _is_ignored_in_stream(form_name: str, name: str) -> bool:
    """An event's fields are those of the whole reply, in an envelope."""
    kind, _, path = name.partition(": ")
    for envelope in ("message.", "response.", "delta."):
        path = path.removeprefix(envelope)
    path = path.replace("content_block.", "content[].").replace("choices[].delta.", "choices[].message.")
    return _is_ignored(form_name, path) or (kind, path) in IGNORED_EVENTS or (kind, "*") in IGNORED_EVENTS


#: `(event, field)`, or `*` for all of an event, that tell nothing that other events do not
IGNORED_EVENTS: dict[tuple[str, str], str] = {
    ("ping", "*"): "keeps the connection open",
    ("response.created", "*"): "the last event brings the whole response",
    ("response.in_progress", "*"): "the last event brings the whole response",
    ("response.content_part.added", "*"): _SEEN,
    ("response.content_part.done", "*"): _SEEN,
    ("response.output_text.done", "*"): _SEEN,
    ("response.function_call_arguments.done", "*"): _SEEN,
    ("response.output_item.done", "*"): "the last event brings all items",
    ("response.output_item.added", "type"): _SEEN,
    ("response.output_item.added", "output_index"): "a call's is read; a message's tells nothing",
    ("response.output_text.delta", "output_index"): "the texts of all messages are one text",
    ("chunk", "usage"): "null until the last chunk",
    ("[DONE]", "type"): "the finish reason said already that the end is near",
    ("content_block_start", "index"): "tells blocks apart, and tells nothing where there is one",
    ("content_block_start", "content[].signature"): "empty at the start",
    ("content_block_start", "content[].content"): "null at the start",
    ("content_block_start", "content[].encrypted_content"): "null at the start",
    ("content_block_stop", "*"): "a block ends where the next one begins",
    ("message_start", "usage.output_tokens"): "overwritten by the last count",
    ("message_start", "usage.input_tokens"): "overwritten by the last count, where that has one",
    ("message_start", "usage.cache_read_input_tokens"): "overwritten by the last count, where that has one",
    ("message_start", "usage.cache_creation_input_tokens"): "overwritten by the last count, where that has one",
    ("message_start", "stop_reason"): "null until the end",
    ("message_start", "stop_sequence"): "null until the end",
}

__all__ = ["IGNORED", "IGNORED_EVENTS", "unread", "unread_in_stream"]
