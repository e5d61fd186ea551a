"""Names for annotations, and `not_durable`."""

from celeriac.platform.inline import not_durable
from celeriac.platform.message import ToolCall, ToolResult, Usage
from celeriac.platform.models.model import Model, ModelReply, ModelRequest
from celeriac.platform.step import Step

__all__ = ["Model", "ModelReply", "ModelRequest", "Step", "ToolCall", "ToolResult", "Usage", "not_durable"]
