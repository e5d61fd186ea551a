"""Testing: what users test their agents with: a scripted model, a harness with a clock to move, a model server."""

from celeriac.platform.models.live_calls import allow_model_calls
from celeriac.testing.harness import Harness
from celeriac.testing.scripted_model import ScriptedModel, call, calls, say

__all__ = ["Harness", "ScriptedModel", "allow_model_calls", "call", "calls", "say"]
