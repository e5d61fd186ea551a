"""Celeriac: AI agents as durable, multi-tenant jobs on Celery.

The public names, and nothing else. Importing it loads no database, Redis, Celery, Flask, Mem0 or provider SDK.
"""

from celeriac.errors import CeleriacError, NonRetriableError, RetryAfterError, StepError, ToolError
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.budget import Budget
from celeriac.platform.agents.history import History
from celeriac.platform.agents.mcp_server import McpServer
from celeriac.platform.agents.network import Network
from celeriac.platform.agents.network_run import NetworkRun
from celeriac.platform.agents.prompt import Prompt
from celeriac.platform.agents.router import Parallel
from celeriac.platform.agents.routing_agent import RoutingAgent
from celeriac.platform.agents.sql_history import SqlHistory
from celeriac.platform.agents.state import State
from celeriac.platform.agents.summarise import Summarise
from celeriac.platform.agents.tool import Tool, tool
from celeriac.platform.agents.truncate_tokens import TruncateTokens
from celeriac.platform.app import App
from celeriac.platform.context import Context
from celeriac.platform.durable.function import Function
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import (
    Batch,
    Concurrency,
    Debounce,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
)
from celeriac.platform.memory.memory import Memory
from celeriac.platform.message import Message
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.compatible import azure_openai, gemini, grok
from celeriac.platform.models.openai import openai
from celeriac.platform.result import AgentResult
from celeriac.platform.run import Run
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.trigger import Cron, Trigger

__all__ = [
    # apps and their functions
    "App",
    "Batch",
    "Concurrency",
    "Context",
    "Cron",
    "Debounce",
    "Event",
    "Function",
    "Priority",
    "RateLimit",
    "Run",
    "Singleton",
    "Throttle",
    "Trigger",
    # agents
    "Agent",
    "AgentResult",
    "Budget",
    "Chunk",
    "History",
    "McpServer",
    "Memory",
    "Message",
    "Network",
    "NetworkRun",
    "Parallel",
    "Prompt",
    "RoutingAgent",
    "SqlHistory",
    "State",
    "Summarise",
    "Tool",
    "TruncateTokens",
    "tool",
    # models
    "anthropic",
    "azure_openai",
    "gemini",
    "grok",
    "openai",
    # errors
    "CeleriacError",
    "NonRetriableError",
    "RetryAfterError",
    "StepError",
    "ToolError",
]
