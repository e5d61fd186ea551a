"""The HTTP API: events in, runs out, as JSON; `web/app.py` registers its blueprints."""
