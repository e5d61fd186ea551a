"""Chaos: a play that breaks an installation by a seed, and a judge that holds the outcome against the promises.

`celeriac chaos` runs it; workers import `app` for the functions that the play starts. Nothing else depends on it, and
it ends, stops and empties only what it has started itself.
"""
