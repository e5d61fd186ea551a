"""Rates: how an answer tells a client what is left of its tenant's requests, in the form of the IETF's draft."""

from __future__ import annotations

from math import ceil, floor

from flask import Response, g

from celeriac.platform.flow.meter import Level


def add_rate_headers(response: Response) -> Response:
    """Say how many requests may be sent at once, how many are left of them, and in how many seconds all are back.

    Only where the tenant's requests are limited.
    """
    level: Level | None = g.get("rate_level")
    if level is not None:
        window = ceil(level.window.total_seconds())
        response.headers["RateLimit-Policy"] = f'"tenant";q={floor(level.limit)};w={max(1, window)}'
        left, reset = max(0, floor(level.left)), ceil(level.reset.total_seconds())
        response.headers["RateLimit"] = f'"tenant";r={left};t={reset}'
    return response
