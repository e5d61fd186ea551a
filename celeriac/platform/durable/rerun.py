"""The rerun: an ended run done again as a new one, from its beginning or from one of its steps on.

Decided alike for every store. What was committed before the step is taken over, but for what is inside the step itself:
a state that the old run has been in, branches side by side included, so that a history may be cut anywhere. What other
branches committed later is done again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.platform.codec import Uncodable, encode
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.declared import Declared
from celeriac.platform.run import Run

#: steps of these kinds may be given another input: their bodies are calls of the user's, or of a model
EDITABLE = ("run", "model")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a run is to be done again."""

    #: the path of a step; None: from the beginning
    from_step: str | None = None
    #: plain JSON that replaces what the step was given; None: it is given the same
    input: Any = None
    #: the id of the new run, of those who must not make two; None: a fresh one
    run_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse an input that belongs to nothing, or cannot be kept."""
        if self.input is not None and self.from_step is None:
            raise ConfigError("An input replaces that of a step; name the step with from_step")
        try:
            encode(self.input)
        except Uncodable as error:
            raise ConfigError(f"The input {error}") from error


@dataclass(frozen=True, kw_only=True)
class DoneStep:
    """A step as the old run remembers it."""

    path: str
    seq: int
    kind: str
    #: JSON text of what it was given
    input: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where a history is cut: what is kept was committed before, and is neither the step nor below it."""

    #: None: nothing is kept
    path: str | None = None
    #: the first place in the order of commits that is done again; None: all commits came before
    before: int | None = None

    def keeps(self, path: str, seq: int) -> bool:
        """Say whether the new run takes the step over."""
        if self.path is None or is_at(path, self.path):
            return False
        return self.before is None or seq < self.before


def cut_of(done: Sequence[DoneStep], begun: Collection[str], wish: Wish) -> Cut:
    """Return where the history of a run is cut.

    `begun` are the paths of steps that have begun and not ended. Raises `NotFoundError` for a step that the run has
    not come to, and `ConflictError` for an input that the step cannot be given.
    """
    path = wish.from_step
    if path is None:
        return Cut()
    step = next((one for one in done if one.path == path), None)
    if wish.input is not None:
        _check_input(path, step, wish.input)
    if step is not None:
        return Cut(path=path, before=step.seq)
    inside = [one.seq for one in done if is_at(one.path, path)]
    if inside:  # a scope that has not ended, or never does: what came after its beginning may rest on it
        return Cut(path=path, before=min(inside))
    if any(is_at(one, path) for one in begun):
        return Cut(path=path)
    raise NotFoundError(f"The run has come to no step {path!r}; `celeriac runs get` shows its steps")


def overrides_of(before: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """Return the edited inputs of the new run: those of the old one, and the one that is wished."""
    return dict(before) if wish.input is None else {**before, str(wish.from_step): wish.input}


def check_ended(run: Run) -> None:
    """Raise `ConflictError` for a run that may still go on by itself."""
    if not run.is_final:
        raise ConflictError(
            f"Run {run.id!r} has not ended: it is {run.status}; cancel it first, or wait", code="run_not_ended"
        )


def function_of(run: Run, declared: Declared) -> Declaration:
    """Return the function as it is declared now; raise `ConflictError` where it may start no run."""
    name = f"{run.app}/{run.function_id}"
    function = declared.functions.get(name)
    if function is None:
        raise ConflictError(f"No worker declares the function {name!r} any more", code="unknown_function")
    if declared.is_paused(run.tenant_id, function):
        raise ConflictError(f"Function {name!r} is paused; resume it first", code="paused")
    return function


def event_is_gone(run: Run) -> ConflictError:
    """Return the error of a run whose event is not kept any more."""
    return ConflictError(f"The event of run {run.id!r} is not kept any more; send it again", code="event_gone")


def is_at(path: str, place: str) -> bool:
    """Say whether the path is the place or below it."""
    return path == place or path.startswith(f"{place}/")


def deadline_of(function: Declaration, now: datetime) -> datetime | None:
    """Return when the new run is cancelled if it has not started."""
    limit = function.rules.start_timeout
    return None if limit is None else now + limit


def _check_input(path: str, step: DoneStep | None, given: Any) -> None:
    if step is None:
        raise _unfit(f"Step {path!r} has not ended, so its input is not known; rerun from it without input")
    if step.kind not in EDITABLE:
        raise _unfit(f"Step {path!r} is of kind {step.kind!r}, which takes no other input; rerun from it without input")
    known = json.loads(step.input or "null")
    wanted: type = dict if isinstance(known, dict) else list
    if not isinstance(given, wanted):
        shape = "an object, as it was" if wanted is dict else "the list of its arguments"
        raise _unfit(f"The input of step {path!r} must be {shape}")


def _unfit(message: str) -> ConflictError:
    return ConflictError(message, code="input_does_not_fit")
