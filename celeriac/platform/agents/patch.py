"""Patches: the difference between two states as plain JSON, and how it is put onto another one.

A turn or a tool call commits its patch together with its result, so that replay restores the state without running
the tool again. Parallel calls work on copies of their own; their patches are merged in the order of the calls: dict
entries and appended list items come together, and where two set the same value the later call wins.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

#: `{"op": "set" | "remove" | "append", "path": […], "value": …}`
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
    if isinstance(before, list) and isinstance(after, list) and before == after[: len(before)] != after:
        return [{"op": "append", "path": list(path), "value": after[len(before) :]}]
    return [{"op": "set", "path": list(path), "value": after}]


def _new(value: Any, path: tuple[str, ...]) -> list[Change]:
    """Return the changes that make a value where there is none, so that two who make it at once come together."""
    if isinstance(value, dict) and value:
        return [change for key, one in value.items() for change in _new(one, (*path, key))]
    op = "append" if isinstance(value, list) and value else "set"
    return [{"op": op, "path": list(path), "value": value}]


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
        mine = {tuple(change["path"]) for change in patch if change["op"] != "append"}
        twice += [list(path) for path in sorted(mine & seen)]
        seen |= mine
    return twice


def _apply_one(root: Any, change: Change) -> Any:
    op, path = change["op"], change["path"]
    given: Any = copy.deepcopy(change.get("value"))
    if not path:
        return root + given if op == "append" and isinstance(root, list) else given
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
    elif op == "append":
        there = holder.get(last)
        holder[last] = there + given if isinstance(there, list) else given
    else:
        holder[last] = given
    return root
