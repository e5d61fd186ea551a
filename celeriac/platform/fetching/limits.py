"""The limits of a fetch: how much, how long, how far, and where to. Made by wiring from the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from celeriac.platform.fetching.address import Network, networks_of


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """What a fetch may cost, and which networks it may reach beside the public ones."""

    #: the largest body of an answer, counted after it was decompressed
    max_bytes: int = 4 * 1024 * 1024
    #: for a request that names none: the time from the look-up of the name to the last byte of the body
    timeout: timedelta = timedelta(seconds=30)
    #: 0: a redirect is an answer like any other
    max_redirects: int = 5
    #: networks that are not public and are allowed nevertheless, such as `10.1.0.0/16`
    allowed_networks: tuple[str, ...] = ()
    #: the same, read once
    networks: tuple[Network, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the networks; raise `ConfigError` for one that is none."""
        object.__setattr__(self, "networks", networks_of(self.allowed_networks))
