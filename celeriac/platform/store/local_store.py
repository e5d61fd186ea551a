"""The store in memory: the twin of `SqlStore` for tests, the harness and the engine's own suite.

It keeps the same facts under the same names, one concept a file, and the conformance suite holds for both.
"""

from __future__ import annotations

from celeriac.platform.store.local_declarations import LocalDeclarations
from celeriac.platform.store.local_fleet import LocalFleet
from celeriac.platform.store.local_ingest import LocalIngest
from celeriac.platform.store.local_journal import LocalJournal
from celeriac.platform.store.local_reruns import LocalReruns
from celeriac.platform.store.local_runs import LocalRuns
from celeriac.platform.store.local_usages import LocalUsages
from celeriac.platform.store.local_waits import LocalWaits


class LocalStore(
    LocalDeclarations, LocalIngest, LocalRuns, LocalReruns, LocalJournal, LocalWaits, LocalFleet, LocalUsages
):
    """A `Store` of one process; of the operations it knows the rerun."""
