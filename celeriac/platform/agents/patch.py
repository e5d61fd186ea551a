"""Patches: the difference between two states as plain JSON, and how it is put onto another one.

A turn or a tool call commits its patch together with its result, so that replay restores the state without running
the tool again. Parallel calls work on copies of their own; their patches are merged in the order of the calls: dict
entries, appended list items and what is put into sets or taken out of them come together, and where two set the same
value the later call wins.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from celeriac.platform.agents.members import Members, key_of

#: `{"op": "set" | "remove" | "append" | "discard", "path": […], "value": …}`
Change = dict[str, Any]


def diff(before: Any, after: Any, path: tuple[str, ...] = ()) -> list[Change]:
    """Return the changes that lead from one JSON value to another."""
    if type(before) is type(after) and before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        changes: list[Change] = []
        for key in before:
            if key not in after:
                changes.append({"op": "remove", "path": [*path, key]})
        for key, value in after.items():
            changes += diff(before[key], value, (*path, key)) if key in before else _new(value, (*path, key))
        return changes
    if isinstance(before, list) and isinstance(after, Members):
        return _members(before, after, path)
    if isinstance(before, list) and isinstance(after, list) and before == after[: len(before)] != after:
        return [{"op": "append", "path": list(path), "value": after[len(before) :]}]
    return [{"op": "set", "path": list(path), "value": after}]


def _new(value: Any, path: tuple[str, ...]) -> list[Change]:
    """Return the changes that make a value where there is none, so that two who make it at once come together."""
    if isinstance(value, dict) and value:
        return [change for key, one in value.items() for change in _new(one, (*path, key))]
    op = "append" if isinstance(value, list) and value else "set"
    return [{"op": op, "path": list(path), "value": value}]


def _members(before: list[Any], after: list[Any], path: tuple[str, ...]) -> list[Change]:
    """Return what was put into a set, and what was taken out."""
    known, left = {key_of(one) for one in before}, {key_of(one) for one in after}
    changes = {
        "append": [one for one in after if key_of(one) not in known],
        "discard": [one for one in before if key_of(one) not in left],
    }
    return [{"op": op, "path": list(path), "value": value} for op, value in changes.items() if value]


def apply(value: Any, changes: Sequence[Change]) -> Any:
    """Return the value with the changes made, as far as their places still exist; the input stays as it is."""
    value = copy.deepcopy(value)
    for change in changes:
        value = _apply_one(value, change)
    return value


def conflicts(patches: Sequence[Sequence[Change]]) -> list[list[str]]:
    """Return the paths that more than one of the patches sets or removes."""
    seen: set[tuple[str, ...]] = set()
    twice: list[list[str]] = []
    for patch in patches:
        mine = {tuple(change["path"]) for change in patch if change["op"] in ("set", "remove")}
        twice += [list(path) for path in sorted(mine & seen)]
        seen |= mine
    return twice


def _apply_one(root: Any, change: Change) -> Any:
    op, path = change["op"], change["path"]
    given: Any = copy.deepcopy(change.get("value"))
    if not path:
        return _changed(root, op, given)
    holder = root
    for key in path[:-1]:
        if not isinstance(holder, dict):
            return root
        holder = holder.setdefault(key, {})
    if not isinstance(holder, dict):
        return root
    last = path[-1]
    if op == "remove":
        holder.pop(last, None)
    else:
        holder[last] = _changed(holder.get(last), op, given)
    return root


def _changed(there: Any, op: str, given: Any) -> Any:
    if op == "append" and isinstance(there, list):
        return there + given
    if op == "discard":
        gone = {key_of(one) for one in given}
        return [one for one in there if key_of(one) not in gone] if isinstance(there, list) else there
    return given
