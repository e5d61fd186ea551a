"""All examples as one app, for one fleet of workers to run: `plays.every_example:app`."""

from __future__ import annotations

from celeriac import App
from examples import quick_start
from examples.coding.app import app as coding_app
from examples.coding.script import SCRIPT as CODING
from examples.script import Script

app = App("every-example")
for one in (quick_start.app, coding_app):
    app.include(one)

#: what a model says to all of them
SCRIPT = Script(*(part for script in (quick_start.SCRIPT, CODING) for part in script.parts))
