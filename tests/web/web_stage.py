"""The stage on which each test of the web plays: a real server over an installation, and banks as its tenants."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bank_runs import Desk
from http_client import Client
from werkzeug.serving import make_server

from celeriac.web.app import create_app
from celeriac.wiring import Installation
from services import free_port
from waiting import wait_until

SECRET_KEY = "a key for tests only, and long enough"


@dataclass(frozen=True)
class Bank:
    """A tenant with its keys, its desk, and a client for each key."""

    tenant_id: str
    event_key: str
    api_key: str
    desk: Desk
    api: Client
    sender: Client


@contextmanager
def serving(installation: Installation) -> Iterator[str]:
    """Serve the installation on a free port of the loopback, and close it at the end."""
    server = make_server("127.0.0.1", 0, create_app(installation), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        installation.close()


@contextmanager
def server_process(installation: Installation, **more: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve the installation by a process of its own, as an operator does, and yield its address when it answers."""
    port, settings = free_port(), installation.settings
    given = {"database_url": settings.database_url, "redis_url": settings.redis_url, "secret_key": SECRET_KEY, **more}
    environment = os.environ | {f"CELERIAC_{name.upper()}": value for name, value in given.items()}
    program = f"from celeriac.web.server import serve; serve('127.0.0.1', {port}, threads=4)"
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(Client(url)), 30, "the server to answer")
        yield url, process
    finally:
        process.kill()
        process.wait()


def _answers(client: Client) -> bool:
    try:
        return bool(client.get("/healthz").status == 200)
    except OSError:
        return False


def open_bank(installation: Installation, server: str, name: str) -> Bank:
    """Make a tenant."""
    tenant_id = installation.tenants.create(name).id
    event_key, api_key = (installation.keys.create(tenant_id, kind)[1] for kind in ("event", "api"))
    desk = Desk(installation.store, tenant_id).open()
    return Bank(tenant_id, event_key, api_key, desk, Client(server, api_key), Client(server, event_key))


def signed_in(server: str, bank: Bank) -> Client:
    """Return a visitor of the dashboard who signed in with the bank's API key."""
    visitor = Client(server)
    answer = visitor.submit("/signin", key=bank.api_key, csrf=csrf_in(visitor.get("/signin").text))
    assert answer.status == 303, answer.text
    return visitor


def csrf_in(page: str) -> str:
    """Read the token of the page's first form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]
