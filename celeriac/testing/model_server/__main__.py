"""`python -m celeriac.testing.model_server module:respond`: the model server as a process.

A process tree starts it and reads the one JSON line with its URLs from standard output; SIGTERM ends it. It must never
print anything else there.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from celeriac.errors import ConfigError
from celeriac.testing.model_server.faults import read_faults
from celeriac.testing.model_server.server import ModelServer, serve
from celeriac.testing.model_server.wire import Respond


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m celeriac.testing.model_server", description=__doc__)
    parser.add_argument("brain", help="the function that answers, as module:function")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--log", type=Path, help="append a JSON line for each answered request")
    parser.add_argument("--faults", default="{}", help="JSON, as for POST /_control")
    options = parser.parse_args()
    try:
        brain = load_brain(options.brain)
    except ConfigError as error:
        parser.exit(1, f"Error: {error.message}\n")
    server = ModelServer(
        brain,
        latency=options.latency,
        host=options.host,
        port=options.port,
        log=options.log,
        faults=read_faults(options.faults.encode()),
    )
    serve(server)


def load_brain(name: str) -> Respond:
    """Import `module:function`. Raises `ConfigError` when there is no such function."""
    module, _, attribute = name.partition(":")
    try:
        brain: Respond = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"No brain at {name!r}: {error}; name it as module:function.") from error
    return brain


if __name__ == "__main__":
    main()
