"""The Celery app of the fleet, for `celeriac worker` and for `celery -A celeriac.tasks.celery worker` alike."""

from __future__ import annotations

from celeriac.settings import load_settings
from celeriac.wiring import broker_app

app = broker_app(load_settings())
app.conf.update(
    imports=("celeriac.tasks.links", "celeriac.tasks.perform", "celeriac.tasks.steps"),
    worker_pool="threads",  # one loop a process; forked children would have none
    worker_concurrency=32,
)
app.set_default()
