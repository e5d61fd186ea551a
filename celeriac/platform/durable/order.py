"""The order of steps: what becomes of a run whose code comes to a new step and has passed over remembered ones.

That is a deploy of other code, or code that is not the same at each replay. The run stands still rather than do its
steps twice, until somebody says that it is to go on: by the signal `order:<run id>`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from celeriac.platform.durable.memo import Wait
from celeriac.platform.event import signal_name

#: the path of the wait; no step can have it for an id
ORDER = "~order"

#: the reason of a run that stands still for it
STEP_ORDER_CHANGED = "step_order_changed"

_LONGEST = timedelta(days=366)


def order_signal(run_id: str) -> str:
    """Return the signal by which somebody says that the run is to go on with its new code."""
    return f"order:{run_id}"


def order_wait(run_id: str, steps: int, now: datetime) -> Wait:
    """Return the wait; its number tells how many steps there were, so that a later change is met by a new one."""
    return Wait(
        path=ORDER, kind="order", number=steps, wake_at=now + _LONGEST, event_name=signal_name(order_signal(run_id))
    )
