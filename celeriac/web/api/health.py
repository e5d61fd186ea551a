"""Health: whether this process lives and can serve, and the description of the API.

Open to everybody, load balancers among them, so it tells no addresses and no figures.
"""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any, cast

from flask import current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI

from celeriac.errors import StoreUnavailable
from celeriac.web.api.models import Health, Readiness, problems
from celeriac.web.auth import need_of, open_to_all
from celeriac.web.once import PARAMETER as IDEMPOTENCY_KEY
from celeriac.web.once import is_once
from celeriac.web.rooms import hints, rooms
from celeriac.web.signatures import PARAMETER as SIGNATURE
from celeriac.web.signatures import is_signable

_CONVERTED = re.compile(r"<(?:\w+:)?(\w+)>")

log = logging.getLogger(__name__)

health = APIBlueprint(
    "health",
    __name__,
    abp_tags=[Tag(name="health", description="for load balancers")],
    abp_responses=problems(),
)


@health.get("/healthz", responses={"200": Health}, summary="Whether the process lives")
@open_to_all
def healthz() -> dict[str, str]:
    """Answer ok without asking anybody else."""
    return {"status": "ok"}


@health.get("/readyz", responses={"200": Readiness, "503": Readiness}, summary="Whether requests can be served")
@open_to_all
def readyz() -> tuple[dict[str, str], int]:
    """Answer 503 while the database is away; without Redis events are accepted and run later."""
    database, redis = _is_database_up(), hints().is_reachable()
    status = "unavailable" if not database else "ok" if redis else "degraded"
    body = {"status": status, "database": "ok" if database else "down", "redis": "ok" if redis else "down"}
    return body, 200 if database else 503


@health.get("/openapi.json", doc_ui=False)
@open_to_all
def openapi() -> dict[str, Any]:
    """Describe the API, as OpenAPI 3.1, with what each operation asks for: its scope, and the headers that it takes."""
    described: dict[str, Any] = cast("OpenAPI", current_app).api_doc
    for rule in current_app.url_map.iter_rules():
        operations = described["paths"].get(_CONVERTED.sub(r"{\1}", rule.rule), {})
        view = current_app.view_functions[rule.endpoint]
        for operation in (operations[method.lower()] for method in rule.methods or () if method.lower() in operations):
            if (need := need_of(view)) and "security" in operation:
                operation["security"] = [{"key": [need]}]
            taken = [IDEMPOTENCY_KEY] if is_once(view) else []
            taken += [SIGNATURE] if is_signable(view) else []
            named = operation.setdefault("parameters", [])
            named += [one for one in taken if one not in named]
    return described


def _is_database_up() -> bool:
    try:
        rooms().reads.workers(timedelta(0))  # reads a table, so that a database without any is not ready
    except StoreUnavailable as error:
        log.warning("Not ready: %s", error)
        return False
    return True
