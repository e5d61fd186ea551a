"""Filters: makes a filter of what somebody gave, for the lists and the bulk actions of API and dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from celeriac.errors import ConfigError
from celeriac.platform.durable.run_filter import RunFilter, function_named
from celeriac.tenants.audit_filter import AuditFilter
from celeriac.web.api.key_models import AuditFilterIn
from celeriac.web.api.models import FilterIn
from celeriac.web.problems import Problem


def run_filter(given: FilterIn, *, status: int = 400) -> RunFilter:
    """Return the filter; raise `Problem` with this status for one that says nothing."""
    with refusing(status):
        return RunFilter(
            status=given.status,
            **function_named(given.function),
            event_name=given.event_name,
            created_after=given.created_after,
            created_before=given.created_before,
            if_=given.if_,
        )


def audit_filter(given: AuditFilterIn) -> AuditFilter:
    """Return the filter; raise `Problem` for one that says nothing."""
    with refusing(400):
        return AuditFilter(
            action=given.action, actor=given.actor, subject=given.subject, since=given.since, until=given.until
        )


@contextmanager
def refusing(status: int) -> Iterator[None]:
    """Answer with this status what a room below refuses as something that cannot work."""
    try:
        yield
    except ConfigError as error:
        code = "invalid_request" if status == 400 else "validation_error"
        raise Problem(status, code, error.message) from error
