"""The truth in SQLite or Postgres: `SqlStore` joins its parts, one concept a file.

wiring.py makes it; the engine, ingest and the fleet use it through the `Store` protocol. The same conformance suite
holds for it on both databases and for its twin in memory.
"""

from __future__ import annotations

from celeriac.platform.store.sql_cancelling import SqlCancelling
from celeriac.platform.store.sql_claims import SqlClaims
from celeriac.platform.store.sql_due import SqlDue
from celeriac.platform.store.sql_endings import SqlEndings
from celeriac.platform.store.sql_fleet import SqlFleet
from celeriac.platform.store.sql_ingest import SqlIngest
from celeriac.platform.store.sql_journal import SqlJournal
from celeriac.platform.store.sql_placements import SqlPlacements
from celeriac.platform.store.sql_runs import SqlRuns
from celeriac.platform.store.sql_signals import SqlSignals
from celeriac.platform.store.sql_waits import SqlWaits


class SqlStore(
    SqlIngest,
    SqlCancelling,
    SqlClaims,
    SqlRuns,
    SqlEndings,
    SqlJournal,
    SqlWaits,
    SqlSignals,
    SqlDue,
    SqlPlacements,
    SqlFleet,
):
    """A `Store` over an engine of `celeriac.database.connect`, whose schema has been migrated."""
