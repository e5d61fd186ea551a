"""The Celery app of the fleet, for `celeriac worker` and for `celery -A celeriac.tasks.celery worker` alike."""

from __future__ import annotations

from celeriac.settings import load_settings
from celeriac.wiring import broker_app

app = broker_app(load_settings())
app.conf.update(imports=("celeriac.tasks.links", "celeriac.tasks.steps"))
app.set_default()
