"""A staging app, as an operator makes it: an app of one's own that includes the functions of the play."""

from __future__ import annotations

from celeriac import App
from celeriac.chaos.app import app as chaos_app

app = App("staging")
app.include(chaos_app)
