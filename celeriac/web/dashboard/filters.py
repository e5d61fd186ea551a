"""The filters of pages: what stands in an address or a form, as text, and the filter that it means.

Texts that say nothing are shown again with the reason, so that they can be mended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import ValidationError

from celeriac.platform.durable.run_filter import RunFilter
from celeriac.tenants.audit_filter import AuditFilter
from celeriac.web.api.key_models import AuditFilterIn
from celeriac.web.api.models import FilterIn
from celeriac.web.filters import audit_filter, run_filter
from celeriac.web.problems import Problem

#: the names that stand in addresses and forms: of runs, and of the audit log
NAMES = ("status", "function", "event_name", "created_after", "created_before", "if")
AUDIT_NAMES = ("action", "actor", "subject", "since", "until")

Filter = TypeVar("Filter")


def given_filters(given: Mapping[str, str], names: Sequence[str] = NAMES) -> dict[str, str]:
    """Return what was given of the filters; what is empty is left out."""
    return {name: given[name].strip() for name in names if given.get(name, "").strip()}


def shown_filter(given: Mapping[str, str]) -> tuple[RunFilter | None, str | None]:
    """Return the filter, or None and the reason why there is none."""
    return _shown(lambda: run_filter(FilterIn.model_validate(dict(given))))


def shown_audit_filter(given: Mapping[str, str]) -> tuple[AuditFilter | None, str | None]:
    """Return the filter of the audit log, or None and the reason why there is none."""
    return _shown(lambda: audit_filter(AuditFilterIn.model_validate(dict(given))))


def _shown(meant: Callable[[], Filter]) -> tuple[Filter | None, str | None]:
    try:
        return meant(), None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return None, f"{_LABELS.get(str(first['loc'][0]), 'A filter')}: {first['msg']}"
    except Problem as problem:
        return None, problem.detail


_LABELS = {"created_after": "Created after", "created_before": "Created before", "status": "Status", "if": "Expression"}
_LABELS |= {name: name.capitalize() for name in AUDIT_NAMES}
