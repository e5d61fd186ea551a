"""Quotas: what a tenant may take, as frozen values. Wiring hands them to the Gate, which enforces them."""

from __future__ import annotations

from dataclasses import dataclass

from celeriac.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A tenant's limits; the defaults are generous. Raises `ConfigError` for one that stops the tenant for ever."""

    #: links running at the same time
    running: int = 1_000
    #: run starts that are refilled each second
    starts_per_second: float = 1_000.0
    #: run starts that may be saved up
    starts_burst: int = 5_000

    def __post_init__(self) -> None:
        """Refuse what would stop the tenant for ever."""
        for name in ("running", "starts_per_second", "starts_burst"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"The limit {name!r} is {value!r}; give a number above zero")
