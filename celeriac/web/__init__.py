"""The web: the HTTP API, the event door and the dashboard of an installation. It starts nothing and decides nothing."""
