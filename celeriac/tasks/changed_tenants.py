"""Changed tenants: a round of the worker that takes new limits to the Gate, so that they bind what is queued."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.tenants.tenant import Tenants

log = logging.getLogger(__name__)

#: How far a round looks back: limits are cached for a second, and a change may commit some time after its time was
#: taken. Telling the Gate twice changes nothing.
_LOOKS_BACK = timedelta(seconds=10)


@dataclass(frozen=True)
class ChangedTenants:
    """Tells the Gate of the tenants that were changed lately."""

    tenants: Tenants
    dispatcher: Dispatcher

    def run_once(self) -> int:
        """Do one round; return of how many tenants the Gate was told."""
        changed = self.tenants.changed_within(_LOOKS_BACK)
        try:
            self.dispatcher.learn(changed)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # the gate is a hint, whatever breaks in it
            log.warning("The gate does not answer about tenants: %s", error)
            return 0
        return len(changed)
