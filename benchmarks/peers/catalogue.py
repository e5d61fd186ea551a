"""The catalogue: which peers there are, what each is made of, and how its runs are submitted.

`docs/benchmarks.md` repeats the remarks; a peer that cannot be measured stands here too, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Database = Literal["postgres", "redis", "its own log", "none"]

CASES = ("steps", "throughput", "latency", "agent", "recovery")
_ALL_BUT_AGENT = ("steps", "throughput", "latency", "recovery")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where programs run: a virtual environment and a folder of npm packages; both may be empty, then it is ours."""

    name: str
    python: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A system in one of its ways of use."""

    name: str
    title: str
    environment: Environment
    #: for each case the module in `programs`
    programs: Mapping[str, str]
    #: where the state of a run is kept; the server that this names is started
    db: Database
    #: how many runs are sent by one request, from where to where
    submit: str
    variables: Mapping[str, str] = field(default_factory=dict)


OURS = Environment(name="ours")
_DBOS = Environment(
    name="dbos", python=("dbos==3.4.0", "pydantic-ai-slim[openai]==2.62.0", "psycopg[binary]~=3.3", "uvloop~=0.22")
)
_RESTATE = Environment(
    name="restate",
    python=(
        "restate-sdk==1.2.0",
        "openai-agents==0.24.0",
        "hypercorn==0.18.0",
        "aiohttp~=3.14",
        "uvloop~=0.22",
    ),
    npm=("@restatedev/restate-server@1.7.12",),
)
_LANGGRAPH = Environment(
    name="langgraph",
    python=(
        "langgraph==1.2.22",
        "langgraph-checkpoint-postgres==3.2.0",
        "langchain-openai==1.7.3",
        "psycopg[binary,pool]~=3.3",
        "uvloop~=0.22",
    ),
)
_PROCRASTINATE = Environment(name="procrastinate", python=("procrastinate==3.10.0", "psycopg[binary,pool]~=3.3"))
_OPENAI = Environment(name="openai", python=("openai[aiohttp]~=3.51", "uvloop~=0.22"))

#: what brings back the messages of a dead worker after 15 s instead of an hour
_RESTORING = '{"visibility_timeout": 15, "unacked_restore_interval": 2, "unacked_restore_throttle": 1}'

PEERS = (
    Peer(
        name="celeriac",
        title="Celeriac",
        environment=OURS,
        programs={},
        db="postgres",
        submit="one request each, from 8 threads, to worker processes; `agent` and `recovery`: one request for all",
    ),
    Peer(
        name="restate",
        title="Restate 1.7, 2 Hypercorn processes",
        environment=_RESTATE,
        programs=dict.fromkeys(_ALL_BUT_AGENT, "restate_calls") | {"agent": "restate_agents"},
        db="its own log",
        submit="one HTTP call each, all at once, to a server that calls the handlers",
    ),
    Peer(
        name="dbos",
        title="DBOS 3.4, in the sender's process",
        environment=_DBOS,
        programs=dict.fromkeys(_ALL_BUT_AGENT, "dbos_in_process") | {"agent": "dbos_agents"},
        db="postgres",
        submit="one call each, run by threads of the sender: no queue, no worker",
    ),
    Peer(
        name="dbos-queue",
        title="DBOS 3.4, its queue and 2 worker processes",
        environment=_DBOS,
        programs=dict.fromkeys(("throughput", "latency", "recovery"), "dbos_queue"),
        db="postgres",
        submit="one insert each, one after the other, polled by the workers once a second (its default)",
    ),
    Peer(
        name="langgraph",
        title="LangGraph 1.2 functions, Postgres checkpointer",
        environment=_LANGGRAPH,
        programs=dict.fromkeys(_ALL_BUT_AGENT, "langgraph_runs") | {"agent": "langgraph_agents"},
        db="postgres",
        submit="one coroutine each in the sender's process: no queue, no worker; tasks are written behind the run",
        variables={"BENCH_API": "functions"},
    ),
    Peer(
        name="langgraph-graph",
        title="LangGraph 1.2 graph of one node a step, Postgres checkpointer",
        environment=_LANGGRAPH,
        programs=dict.fromkeys(_ALL_BUT_AGENT, "langgraph_runs"),
        db="postgres",
        submit="one coroutine each in the sender's process: no queue, no worker",
        variables={"BENCH_API": "graph"},
    ),
    Peer(
        name="celery",
        title="Celery 5.7 chains on Redis, prefork 2",
        environment=OURS,
        programs=dict.fromkeys(_ALL_BUT_AGENT, "celery_chains"),
        db="redis",
        submit="one message each, one after the other; nothing but the message is durable",
    ),
    Peer(
        name="celery-restoring",
        title="Celery 5.7 chains, visibility timeout 15 s",
        environment=OURS,
        programs={"recovery": "celery_chains"},
        db="redis",
        submit="one message each, one after the other",
        variables={"BENCH_TRANSPORT": _RESTORING},
    ),
    Peer(
        name="procrastinate",
        title="Procrastinate 3.10, each task defers the next, 2 worker processes",
        environment=_PROCRASTINATE,
        programs=dict.fromkeys(_ALL_BUT_AGENT, "procrastinate_chains"),
        db="postgres",
        submit="one insert each, one after the other",
    ),
    Peer(
        name="openai",
        title="the bare OpenAI client, nothing durable",
        environment=_OPENAI,
        programs={"agent": "openai_client"},
        db="none",
        submit="one coroutine each in the sender's process",
    ),
    Peer(
        name="openai-aiohttp",
        title="the bare OpenAI client over aiohttp (as we use it), nothing durable",
        environment=_OPENAI,
        programs={"agent": "openai_client"},
        db="none",
        submit="one coroutine each in the sender's process",
        variables={"BENCH_TRANSPORT": "aiohttp"},
    ),
)

#: what cannot be installed from PyPI and npm alone
NOT_MEASURED = {
    "Inngest": "its npm package holds no server; the install script downloads one from the vendor's own site",
    "Temporal": "its packages hold no server; they download one from the vendor's own site when it is first used",
    "Hatchet": "its server comes as a container image; PyPI and npm have only the clients",
}
