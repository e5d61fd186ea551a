"""The Celery app of the fleet, for `celeriac worker` and for `celery -A celeriac.tasks.celery worker` alike."""

from __future__ import annotations

from celeriac.platform.store.celery_links import celery_app
from celeriac.settings import load_settings

app = celery_app(load_settings())
app.conf.update(imports=("celeriac.tasks.links", "celeriac.tasks.steps"))
app.set_default()
