"""The declaration: what the fleet has to know of a function without loading its code.

A worker writes its app's declarations to the store at boot; ingest and web match events from there, so that an event
for a stopped fleet still gets its run, and the versions of two deploys may overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: the Celery queues of the fleet
QUEUES = ("runs", "cpu", "memory")


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A function as it stands in the store; (app, function_id) is its key."""

    app: str
    function_id: str
    #: names of the events that start it; a name may end in `*`
    triggers: tuple[str, ...] = ()
    #: the Celery queue of its links
    queue: str = "runs"
    version: str = ""
    description: str = ""
    #: whether it is the platform's own (memory writes, …): its starts take no token
    is_internal: bool = False
    retries: int = 4


@dataclass(frozen=True, kw_only=True)
class EventSchema:
    """The JSON schema that an app bound to an event name; ingest answers data that does not fit with 422."""

    app: str
    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)
