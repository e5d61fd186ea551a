"""The conduct of a run's links: what its function and the settings of the installation say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.mcp.endpoint import McpLimits
from celeriac.platform.models.key_choice import KeyChooser


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How a run's links behave."""

    retries: int = 4
    retry_delay: timedelta | None = None
    #: `turn`: a link ends after each turn; `budget`: only when its time is used
    links: Literal["turn", "budget"] = "turn"
    link_budget: timedelta = timedelta(seconds=10)
    max_event_bytes: int = 512 * 1024
    max_output_bytes: int = 4 * 1024 * 1024
    max_state_bytes: int = 32 * 1024 * 1024
    max_steps: int = 1_000
    fetch_limits: FetchLimits = field(default_factory=FetchLimits)
    mcp_limits: McpLimits = field(default_factory=McpLimits)
    #: whose key models are called with for a tenant; None: as each model says
    choose_key: KeyChooser | None = field(default=None, repr=False)
