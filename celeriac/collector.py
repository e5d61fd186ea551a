"""The garbage collector, spared what is there for good.

A process that has loaded its libraries and its app holds some 500,000 objects that will never be garbage. Walking them
stops every thread of it for about a quarter of a second, again and again under load: that was 10 to 25 % of a busy
worker's time. Workers and the web call this once, when everything is loaded and before work comes.
"""

from __future__ import annotations

import gc

#: how many new objects the collector waits for; Python's own 700 are a few steps of a run
_YOUNG_OBJECTS = 10_000


def set_aside_what_is_loaded() -> None:
    """Leave everything that exists now out of all collections to come; later garbage is found as before."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
