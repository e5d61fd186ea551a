"""Quotas: what a tenant may take, as frozen values. Wiring hands them to the Gate, which enforces them."""

from __future__ import annotations

from dataclasses import dataclass

from celeriac.errors import ConfigError

#: a hundred years
MOST_RETENTION_DAYS = 36_500


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A tenant's limits; the defaults are generous. Raises `ConfigError` for one that stops the tenant for ever."""

    #: links running at the same time
    running: int = 1_000
    #: run starts that are refilled each second
    starts_per_second: float = 1_000.0
    #: run starts that may be saved up
    starts_burst: int = 5_000
    #: how long ended runs and their events are kept; None: as the installation says; 0: for ever
    retention_days: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would stop the tenant for ever."""
        for name in ("running", "starts_per_second", "starts_burst"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"The limit {name!r} is {value!r}; give a number above zero")
        if self.retention_days is not None and not 0 <= self.retention_days <= MOST_RETENTION_DAYS:
            raise ConfigError(
                f"The limit 'retention_days' is {self.retention_days!r}; give 1 to {MOST_RETENTION_DAYS}, or 0 for ever"
            )
