"""The server: runs the web application under gunicorn.

`celeriac web` and `celeriac dev` call `serve`; it returns when the process is told to end and all requests are
answered. Connections are made in gunicorn's worker process, never before the fork.
"""

from __future__ import annotations

from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from celeriac.collector import set_aside_what_is_loaded

#: seconds that requests have to end after SIGTERM
_GRACEFUL_SECONDS = 10


def serve(host: str, port: int, *, threads: int = 64, processes: int = 1) -> None:
    """Serve this process's installation on the address until SIGTERM or SIGINT."""
    _Server(
        {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "worker_class": "gthread",
            "workers": processes,
            "threads": threads,
            "graceful_timeout": _GRACEFUL_SECONDS,
            "keepalive": 5,
            "proc_name": "celeriac web",
            "loglevel": "warning",
        }
    ).run()


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from celeriac.web.app import create_app  # in the worker process, after the fork
        from celeriac.wiring import installation

        app = create_app(installation())
        installation().meter.begin()
        set_aside_what_is_loaded()
        return app
