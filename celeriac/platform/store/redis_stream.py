"""The streams in Redis: a stream for each channel and a book for each run, decided in one Lua script.

Made by `wiring.py`, called by the writer and by readers. Its keys and what they hold stand in `lua/streams/append.lua`;
each carries its tenant and a TTL, and a channel keeps the newest chunks only: so many, and so many bytes of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha1
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis.exceptions import NoScriptError, RedisError

from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import run_channel
from celeriac.platform.streams.stream import CAP, CAP_BYTES, Passage, Placed, StreamUnavailable

_SOURCE = (Path(__file__).with_name("lua") / "streams" / "append.lua").read_text("utf-8")
_SHA = sha1(_SOURCE.encode(), usedforsecurity=False).hexdigest()

#: what a draft says, and what it does to the book, in the script's order
_SAID = attrgetter("kind", "id", "event")
_DONE = attrgetter("part", "slot", "message", "run", "parent", "index", "span")

#: the values of a chunk in the script's answer
_WIDTH = 5


class RedisStream:
    """The streams of a fleet."""

    def __init__(
        self, redis: Redis, *, ttl: timedelta, cap: int = CAP, cap_bytes: int = CAP_BYTES, prefix: str = "cel"
    ) -> None:
        """Keep at most `cap` chunks of a channel, and so many bytes of them, for `ttl` after the last one.

        Installations that share a Redis differ in `prefix`.
        """
        self._redis = redis
        self._ttl = str(ttl // timedelta(milliseconds=1))
        self._caps = str(cap), str(cap_bytes)
        self._prefix = prefix

    def append(self, passages: Sequence[Passage]) -> list[list[Chunk]]:
        try:
            answers = self._run(passages)
            lost = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if lost:
                # Those behind a lost one were lost as well: nothing loads the script in between.
                self._redis.script_load(_SOURCE)
                again = self._run([passages[place] for place in lost])
                for place, answer in zip(lost, again, strict=True):
                    answers[place] = answer
        except RedisError as error:
            raise StreamUnavailable(type(error).__name__) from error
        if broken := next((one for one in answers if isinstance(one, Exception)), None):
            raise StreamUnavailable(f"{type(broken).__name__}: {broken}") from broken
        return [_chunks(answer) for answer in answers]

    def told(self, tenant_id: str, run_id: str, ids: Sequence[str]) -> list[bool]:
        if not ids:
            return []
        try:
            values = cast(list[Any], self._redis.hmget(self._book(tenant_id, run_id), [f"i:{id}" for id in ids]))
        except RedisError as error:
            raise StreamUnavailable(type(error).__name__) from error
        return [value is not None for value in values]

    def read(self, tenant_id: str, channel: str, *, after: int = -1, limit: int = 1_000) -> list[Placed]:
        is_of_run = channel.startswith(run_channel(""))
        start = f"({after + 1 if is_of_run else max(after, 0)}-0"
        try:
            found = cast(list[Any], self._redis.xrange(self._chunks(tenant_id, channel), min=start, count=limit))
        except RedisError as error:
            raise StreamUnavailable(type(error).__name__) from error
        return [_placed(int(id.partition("-")[0]), fields, is_of_run) for id, fields in found]

    def _run(self, passages: Sequence[Passage]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for passage in passages:
                keys = self._keys(passage)
                pipeline.evalsha(_SHA, len(keys), *keys, *self._arguments(passage))
            return pipeline.execute(raise_on_error=False)

    def _keys(self, passage: Passage) -> list[str]:
        channels = (run_channel(passage.run_id), *passage.channels)
        streams = (self._chunks(passage.tenant_id, channel) for channel in channels)
        return [self._book(passage.tenant_id, passage.run_id), *streams]

    def _arguments(self, passage: Passage) -> tuple[str | int, ...]:
        drafts = [(*_SAID(draft), str(draft.timestamp), _text(draft.data), *_DONE(draft)) for draft in passage.drafts]
        return passage.fence, *self._caps, self._ttl, int(passage.is_heard), _text(drafts)

    def _book(self, tenant_id: str, run_id: str) -> str:
        return f"{self._prefix}:book:{tenant_id}:{run_id}"

    def _chunks(self, tenant_id: str, channel: str) -> str:
        return f"{self._prefix}:chunks:{tenant_id}:{channel}"


def _text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _chunks(answer: Sequence[Any]) -> list[Chunk]:
    rows = (answer[place : place + _WIDTH] for place in range(0, len(answer), _WIDTH))
    return [
        Chunk(sequence_number=number, event=event, data=json.loads(data), timestamp=int(time), id=id)
        for number, event, data, time, id in rows
    ]


def _placed(entry: int, fields: dict[str, str], is_of_run: bool) -> Placed:
    number = entry - 1 if is_of_run else int(fields["n"])
    chunk = Chunk(
        event=fields["e"],
        data=json.loads(fields["d"]),
        timestamp=int(fields["t"]),
        sequence_number=number,
        id=fields["i"],
    )
    return Placed(position=number if is_of_run else entry, chunk=chunk)
