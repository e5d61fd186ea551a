"""All examples as one app, for one fleet of workers to run: `plays.every_example:app`."""

from __future__ import annotations

from celeriac import App
from examples import quick_start
from examples.assistant_memory.app import app as assistant_memory_app
from examples.assistant_memory.script import SCRIPT as ASSISTANT_MEMORY
from examples.coding.app import app as coding_app
from examples.coding.script import SCRIPT as CODING
from examples.deep_research.app import app as deep_research_app
from examples.deep_research.script import SCRIPT as DEEP_RESEARCH
from examples.insights_chat.app import app as insights_chat_app
from examples.insights_chat.script import SCRIPT as INSIGHTS_CHAT
from examples.script import Script
from examples.support_desk.app import app as support_desk_app
from examples.support_desk.script import SCRIPT as SUPPORT_DESK

_APPS = (
    quick_start.app,
    coding_app,
    support_desk_app,
    assistant_memory_app,
    insights_chat_app,
    deep_research_app,
)
_SCRIPTS = (quick_start.SCRIPT, CODING, SUPPORT_DESK, ASSISTANT_MEMORY, INSIGHTS_CHAT, DEEP_RESEARCH)

app = App("every-example")
for one in _APPS:
    app.include(one)

#: what a model says to all of them
SCRIPT = Script(*(part for script in _SCRIPTS for part in script.parts))
