"""Events in: `POST /e/<event key>` as the Inngest SDKs send, and `POST /v1/events` for everybody else."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from celeriac.web.api.answers import run_json
from celeriac.web.api.models import (
    BODY,
    AcceptedEvents,
    EventIds,
    EventKeyPath,
    EventPath,
    EventsIn,
    RunList,
    refusals,
)
from celeriac.web.auth import needs, tenant_id
from celeriac.web.once import once, own_id
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms
from celeriac.web.signatures import check_signature, signable

events = APIBlueprint(
    "events",
    __name__,
    abp_tags=[Tag(name="events", description="what starts and wakes runs")],
    abp_responses=refusals("404", "409", *BODY),
)


@events.before_request
def check_what_came() -> None:
    """Know who signed what was sent, and its size, before anything of it is read."""
    if request.method == "POST":
        check_signature()
        _count(request.get_json())


@events.post("/e/<event_key>", responses={"200": EventIds}, summary="Send events with an event key")
@needs("events:send", key_in_path="event_key")
@signable
@once
def send_by_key(path: EventKeyPath, body: EventsIn) -> dict[str, Any]:
    """Take one event or a list; the path's key says whose they are. Any Inngest SDK can send here."""
    accepted = rooms().intake.accept(tenant_id(), _given(body))
    return {"ids": [event.id for event in accepted], "status": 200}


@events.post("/v1/events", responses={"202": AcceptedEvents}, security=[{"key": []}], summary="Send events")
@needs("events:send")
@signable
@once
def send(body: EventsIn) -> tuple[dict[str, Any], int]:
    """Take one event or a list, all or none."""
    accepted = rooms().intake.accept(tenant_id(), _given(body))
    return {"data": [{"id": event.id, "name": event.name} for event in accepted]}, 202


@events.get(
    "/v1/events/<event_id>/runs", responses={"200": RunList}, security=[{"key": []}], summary="Runs of an event"
)
@needs("runs:read")
def runs_of_event(path: EventPath) -> dict[str, Any]:
    """List the runs that the event started."""
    return {"data": [run_json(run) for run in rooms().reads.event_runs(tenant_id(), path.event_id)]}


def _given(body: EventsIn) -> list[dict[str, Any]]:
    """Return what the intake takes; events without an id get one where the request must not count twice."""
    given = body.given()
    for index, event in enumerate(given):
        event["id"] = event["id"] or own_id("evt", str(index))
    return given


def _count(body: dict[str, Any] | list[Any]) -> None:
    most = rooms().settings.max_events
    if isinstance(body, list) and len(body) > most:
        raise Problem(413, "too_many_events", f"{len(body)} events in one request; the limit is {most}")
