"""Estimates: how many tokens a call of a model may take, before it is made. What it used settles it after the call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from celeriac.platform.message import Message
from celeriac.platform.models.model import Model, ModelRequest

#: characters of most texts that make a token
_CHARACTERS = 4

#: tokens of an image or a file, whose bytes are no text
_ATTACHMENT = 1_000

#: tokens of a reply whose length nothing limits
_REPLY = 1_000

#: the parameters by which the providers are told how long a reply may be
_LONGEST = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def estimate(model: Model, request: ModelRequest) -> int:
    """Return the tokens of the prompt, tools included, and those of the longest reply that may come."""
    prompt = len(request.system) + len(json.dumps([message.export() for message in request.messages]))
    prompt += sum(len(json.dumps(tool.export())) for tool in request.tools)
    return prompt // _CHARACTERS + _longest_reply(model)


def tokens_of(text: str, messages: Iterable[Message] = ()) -> int:
    """Return the tokens of a text and of messages, each attachment as a fixed number."""
    characters = len(text)
    for message in messages:
        characters += len(json.dumps(replace(message, attachments=(), id=None, created_at=None).export()))
        characters += _CHARACTERS * _ATTACHMENT * len(message.attachments)
    return characters // _CHARACTERS


def _longest_reply(model: Model) -> int:
    params = getattr(model, "params", None)
    if isinstance(params, Mapping):
        for name in _LONGEST:
            if isinstance(params.get(name), int):
                return int(params[name])
    return _REPLY
