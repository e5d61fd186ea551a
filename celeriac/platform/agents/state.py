"""The state of a network's run: the user's own typed data, and what was said.

`state.data` is a fresh object of the declared type for every run, so that nothing leaks between runs or tenants. It
is kept as JSON wherever it is remembered, and comes back through the type.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from typing_extensions import TypeVar

from celeriac.errors import ConfigError
from celeriac.platform.agents.members import with_members
from celeriac.platform.agents.patch import Change, diff
from celeriac.platform.message import Message
from celeriac.platform.result import AgentResult
from celeriac.platform.signature import did_you_mean, problems

S = TypeVar("S", default=Any)

#: what a network takes as `state=`: a type, or what makes a fresh object
StateSource = type[Any] | Callable[[], Any] | None


class State(Generic[S]):
    """Typed data, earlier messages, and the results of this run's turns in order."""

    def __init__(
        self,
        data: S,
        *,
        messages: Sequence[Message] = (),
        results: Sequence[AgentResult[Any]] = (),
        thread_id: str | None = None,
    ) -> None:
        """Hold the data as it is given."""
        self.data = data
        self.messages = list(messages)
        self.results = list(results)
        self.thread_id = thread_id

    def history(self) -> list[Message]:
        """Return everything that was said before: earlier messages, then those of the results."""
        return [*self.messages, *(message for result in self.results for message in result.messages)]

    def to_json(self) -> str:
        """Return the whole state as JSON text; `from_json` reads it back."""
        kept = {
            "data": _dump(_adapter_of(self.data), self.data),
            "messages": [message.export() for message in self.messages],
            "results": [result.export() for result in self.results],
            "thread_id": self.thread_id,
        }
        return json.dumps(kept, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, type: Any = Any) -> State[S]:
        """Read back what `to_json` wrote, the data through its type."""
        kept = json.loads(text)
        return cls(
            TypeAdapter(type).validate_python(kept["data"], by_alias=False, by_name=True),
            messages=[Message.parse(message) for message in kept["messages"]],
            results=[AgentResult.parse(result) for result in kept["results"]],
            thread_id=kept["thread_id"],
        )


class StateType:
    """How a network's state is made, written as JSON and read back."""

    def __init__(self, source: StateSource, *, network: str) -> None:
        """Take a type, a factory, or None for a plain dict."""
        self._source = dict if source is None else source
        self._network = network
        self._adapter: TypeAdapter[Any] | None = None
        if source is not None and _is_type(source):
            declared: Any = source
            try:
                self._adapter = TypeAdapter(declared)
            except PydanticUserError as error:
                raise ConfigError(f"Network {network!r}: state={declared!r} cannot be validated: {error}") from error
        elif source is not None and not callable(source):
            raise ConfigError(f"Network {network!r}: state= takes a type or a factory, never an instance")

    def check_fields(self, names: Sequence[str]) -> None:
        """Raise `ConfigError` for a name that the type has no field of; a dict has any."""
        fields = _fields_of(self._adapter)
        if unknown := next((name for name in names if fields and name not in fields), None):
            near = did_you_mean(unknown, fields)
            raise ConfigError(
                f"Network {self._network!r}: client_state= names {unknown!r}, no field of its state{near}"
            )

    def fresh(self) -> Any:
        """Make a new object; raise `ConfigError` where its type has required fields."""
        try:
            return self._source()
        except (TypeError, ValidationError) as error:
            reason = problems(error) if isinstance(error, ValidationError) else str(error)
            raise ConfigError(
                f"Network {self._network!r} needs run(state=…), its state cannot be empty: {reason}"
            ) from error

    def take(self, given: Any) -> Any:
        """Return a copy of data that a caller gives for one run; raise `ConfigError` where it is of another type."""
        try:
            return copy.deepcopy(given if self._adapter is None else self._adapter.validate_python(given))
        except ValidationError as error:
            raise ConfigError(f"Network {self._network!r}: run(state=…) does not fit: {problems(error)}") from error

    def begin(self, given: Mapping[str, Any]) -> Any:
        """Make a new object with these fields, by the names that the type has for them.

        Raises Pydantic's `ValidationError` for a value that does not fit, and `ConfigError` where others are required.
        """
        if not given:
            return self.fresh()
        if self._adapter is not None:
            return self._adapter.validate_python(copy.deepcopy(dict(given)), by_alias=False, by_name=True)
        made = self.fresh()
        return self._read({**self.dump(made), **given}, made)

    def dump(self, data: Any) -> Any:
        """Return the data as plain JSON; raise `ConfigError` for what has no such form."""
        try:
            return _dump(self._adapter or _adapter_of(data), data)
        except PydanticSerializationError as error:
            raise ConfigError(f"The state of network {self._network!r} is no JSON: {error}") from error

    def patch(self, before: Any, data: Any) -> list[Change]:
        """Return what has changed in the data since they were dumped as `before`.

        Raises `ConfigError` where they would not come back through the type: each replay would fail on them.
        """
        after = self.dump(data)
        changes = diff(before, after)
        if changes:
            self.load(after, data)
        return changes

    def load(self, plain: Any, like: Any) -> Any:
        """Return plain JSON as an object of the type; `like` is one where only a factory was declared.

        Raises `ConfigError` for what does not fit.
        """
        try:
            return self._read(plain, like)
        except ValidationError as error:
            raise ConfigError(
                f"The state of network {self._network!r} does not fit its type: {problems(error)}"
            ) from error

    def _read(self, plain: Any, like: Any) -> Any:
        adapter = self._adapter or _adapter_of(like)
        # A copy, because untyped parts are taken over as they are and `plain` is what a change is told from.
        return adapter.validate_python(copy.deepcopy(plain), by_alias=False, by_name=True)

    def view(self, plain: Any, of: State[Any]) -> State[Any]:
        """Return a state with its own data, read from plain JSON, and all else of another one: for one of several."""
        data = self.load(plain, of.data)
        return State(data, messages=of.messages, results=of.results, thread_id=of.thread_id)


def shown(data: Any) -> Any:
    """Return the data as the JSON that others are given: by its aliases, with what is computed of it."""
    return _dump(_adapter_of(data), data, by_alias=True, round_trip=False)


def _fields_of(adapter: TypeAdapter[Any] | None) -> list[str]:
    """Return the names of the fields of an object's type; none where that is not known."""
    if adapter is None:
        return []
    try:
        schema = adapter.json_schema(by_alias=False)
    except PydanticUserError:  # a field of it has no form in JSON schema
        return []
    if "$ref" in schema:
        schema = schema.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {})
    return list(schema.get("properties", ()))


def _dump(adapter: TypeAdapter[Any], data: Any, *, by_alias: bool = False, round_trip: bool = True) -> Any:
    # Without warnings of values that do not fit: they are looked at when they are read.
    plain = adapter.dump_python(data, mode="json", by_alias=by_alias, round_trip=round_trip, warnings=False)
    return with_members(adapter, data, plain, by_alias=by_alias, round_trip=round_trip)


def _adapter_of(data: Any) -> TypeAdapter[Any]:
    made: Any = type(data)
    return _adapter(made)


@lru_cache(maxsize=256)
def _adapter(made: Any) -> TypeAdapter[Any]:
    return TypeAdapter(made)


def _is_type(source: Any) -> bool:
    return isinstance(source, type) or getattr(source, "__origin__", None) is not None
