"""The filters of pages: what stands in an address or a form, as text, and the run filter that it means.

Texts that say nothing are shown again with the reason, so that they can be mended.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from celeriac.platform.durable.run_filter import RunFilter
from celeriac.web.api.models import FilterIn
from celeriac.web.filters import run_filter
from celeriac.web.problems import Problem

#: the names that stand in addresses and forms
NAMES = ("status", "function", "event_name", "created_after", "created_before", "if")


def given_filters(given: Mapping[str, str]) -> dict[str, str]:
    """Return what was given of the filters; what is empty is left out."""
    return {name: given[name].strip() for name in NAMES if given.get(name, "").strip()}


def shown_filter(given: Mapping[str, str]) -> tuple[RunFilter | None, str | None]:
    """Return the filter, or None and the reason why there is none."""
    try:
        return run_filter(FilterIn.model_validate(dict(given))), None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return None, f"{_LABELS.get(str(first['loc'][0]), 'A filter')}: {first['msg']}"
    except Problem as problem:
        return None, problem.detail


_LABELS = {"created_after": "Created after", "created_before": "Created before", "status": "Status", "if": "Expression"}
