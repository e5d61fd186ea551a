"""The rooms that views work with: the installation that `create_app` was given, found through Flask's current app."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import Flask, current_app

if TYPE_CHECKING:
    from celeriac.web.hints import Hints
    from celeriac.wiring import Installation


def furnish(app: Flask, installation: Installation, hints: Hints) -> None:
    """Give the app its rooms."""
    app.extensions["celeriac.installation"] = installation
    app.extensions["celeriac.hints"] = hints


def rooms() -> Installation:
    """Return the installation that this request is for."""
    return cast("Installation", current_app.extensions["celeriac.installation"])


def hints() -> Hints:
    """Return what the web keeps in Redis."""
    return cast("Hints", current_app.extensions["celeriac.hints"])
