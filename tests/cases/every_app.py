"""The app of the fleets: the functions of all cases, for one pair of workers."""

from __future__ import annotations

from cases.catalog import case_of, playable
from celeriac import App

app = App("cases")
for _name in playable():
    app.include(case_of(_name).app)
