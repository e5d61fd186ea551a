"""A model server for work without network, key or cost: real HTTP, real SDKs, answers by a function of yours.

Tests, the demo and the benchmarks point the `openai` and `anthropic` SDKs at it. It knows nothing of the platform and
must never import it; what it should say is the brain's business, `respond(request) -> reply`.
"""

from celeriac.testing.model_server.faults import Faults, Outcome
from celeriac.testing.model_server.server import STEP_HEADER, ModelServer, serve
from celeriac.testing.model_server.wire import (
    Refusal,
    Respond,
    WireCall,
    WireReply,
    WireRequest,
    WireResult,
    WireTool,
    WireTurn,
)

__all__ = [
    "STEP_HEADER",
    "Faults",
    "ModelServer",
    "Outcome",
    "Refusal",
    "Respond",
    "WireCall",
    "WireReply",
    "WireRequest",
    "WireResult",
    "WireTool",
    "WireTurn",
    "serve",
]
