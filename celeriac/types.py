"""Names for annotations, and `not_durable`."""

from celeriac.platform.agents.streaming import OnChunk, Streaming
from celeriac.platform.agents.window import Window
from celeriac.platform.inline import not_durable
from celeriac.platform.message import Attachment, ToolCall, ToolResult, Usage
from celeriac.platform.models.delta import (
    CallDelta,
    Delta,
    ReasoningDelta,
    Restarted,
    TextDelta,
    UsageDelta,
)
from celeriac.platform.models.fallback import Fallback
from celeriac.platform.models.model import Model, ModelReply, ModelRequest, OutputSpec, ToolSpec
from celeriac.platform.step import Step

__all__ = [
    "Attachment",
    "CallDelta",
    "Delta",
    "Fallback",
    "Model",
    "ModelReply",
    "ModelRequest",
    "OnChunk",
    "OutputSpec",
    "ReasoningDelta",
    "Restarted",
    "Step",
    "Streaming",
    "TextDelta",
    "ToolCall",
    "ToolResult",
    "ToolSpec",
    "Usage",
    "UsageDelta",
    "Window",
    "not_durable",
]
