"""The dashboard: server-rendered pages for people; `web/app.py` registers its blueprints."""
