"""The stage: a running installation in the hands of whoever plays on it, such as the demo.

`celeriac dev` makes it once everything answers. It stays good until the processes are ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from celeriac.cli.supervisor import Child

if TYPE_CHECKING:
    from celeriac.wiring import Installation


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A running installation."""

    #: the settings of all its processes, by the names of the environment
    settings: Mapping[str, str]
    #: where the web answers
    base_url: str
    installation: Installation
    data_dir: Path
    #: the worker processes; each can be killed and started again
    workers: Sequence[Child]
    #: whether somebody watches, and may be left with everything running
    is_terminal: bool

    def signin_link(self, tenant_id: str) -> str:
        """Make a link that signs its holder in to the tenant's dashboard, once, within ten minutes."""
        from celeriac.web.auth import signin_link

        return signin_link(self.base_url, tenant_id, self.installation.settings.secret_key)
