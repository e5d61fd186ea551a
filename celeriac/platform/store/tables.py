"""The tables of the platform: events, runs with their steps, attempts and waits, declarations, bulk actions, workers.

The sql_* modules read and write them, nobody else does. JSON is kept as text, times as microseconds. What belongs to a
tenant carries `tenant_id`. There are no foreign keys between these tables: each step would pay for the check, and
rows are only ever inserted for a run whose row the same statement has locked.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text, UniqueConstraint, text

import celeriac.platform.store.thread_tables
import celeriac.platform.store.usage_tables  # noqa: F401 (what is made with these)
from celeriac.database import Moment, metadata
from celeriac.row_security import SHARED, owned_by


def _count(name: str, kind: type[Any] = Integer) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=text("0"))


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


#: statuses that lists of runs are searched for by an index
STANDING_OUT = ("parked", "failed", "cancelled", "skipped")

#: of a run that stands, whether it holds a pool from its start to its end: `held` is the first key of its `gate`
HOLDS_A_POOL = "gate < '{\"i' AND status IN ('queued', 'running', 'parked')"

events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("data", Text, nullable=False),
    #: the sender's own id; emptied when it may be used again
    Column("sender_id", Text),
    Column("ts", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    _flag("is_internal"),
    #: when its runs were started and its waits resolved; NULL until then
    Column("matched_at", Moment),
    #: the run that sent it, or whose ending it tells of
    Column("run_id", Text),
    #: `app/function_id` where it is for this function alone, whatever its triggers say (invoke, start, cron)
    Column("target", Text),
    UniqueConstraint("tenant_id", "sender_id"),
    Index("ix_events_tenant_id_name_received_at", "tenant_id", "name", "received_at"),
    Index(
        "ix_events_pending",
        "received_at",
        sqlite_where=text("matched_at IS NULL"),
        postgresql_where=text("matched_at IS NULL"),
    ),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("app", Text, nullable=False),
    Column("function_id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    #: JSON list of the ids of all its events, in order, where it is a batch
    Column("event_ids", Text),
    _flag("is_internal"),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("output", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    #: raised by each claim; only its holder may change the run
    _count("fence"),
    #: how many memos, waits and wakes there are
    _count("steps"),
    _count("waits"),
    _count("wakes"),
    #: who executes it; NULL unless it is running
    Column("worker_id", Text),
    Column("claimed_at", Moment),
    _flag("cancel_requested"),
    #: what is to stand as the reason once the request is fulfilled
    Column("cancel_reason", Text),
    #: when it is cancelled if it has not started until then, and once it has, if it has not ended
    Column("deadline", Moment),
    #: microseconds from its start to its deadline
    Column("time_limit", BigInteger),
    #: 0, or one more than the deaths of workers that it was the lone suspect of
    _count("suspicion"),
    #: the run that invoked it
    Column("parent_id", Text),
    #: the run that it does again, and what replaces the inputs of steps in it (JSON: path -> input)
    Column("rerun_of", Text),
    Column("overrides", Text),
    #: JSON of what the Gate has to know of its limits, or of a skipped one when the next may begin; NULL: of nothing
    Column("gate", Text),
    #: the Celery tasks of its chain: the first, and the last one so far
    Column("root_id", Text),
    Column("link_id", Text),
    _count("links"),
    _count("model_calls"),
    _count("tool_calls"),
    _count("input_tokens", BigInteger),
    _count("output_tokens", BigInteger),
    _count("cached_tokens", BigInteger),
    _count("reasoning_tokens", BigInteger),
    _count("cost_usd", Double),
    Column("created_at", Moment, nullable=False),
    Column("queued_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Index("ix_runs_tenant_id_created_at", "tenant_id", "created_at", "id"),
    #: for the statuses that a run does not pass through on its plain way, so that its moves leave the index alone
    Index(
        "ix_runs_tenant_id_status_created_at",
        *("tenant_id", "status", "created_at", "id"),
        sqlite_where=text(f"status IN {STANDING_OUT}"),
        postgresql_where=text(f"status IN {STANDING_OUT}"),
    ),
    Index("ix_runs_tenant_id_function_id_created_at", "tenant_id", "function_id", "created_at", "id"),
    Index("ix_runs_tenant_id_event_id", "tenant_id", "event_id"),
    Index("ix_runs_queued", "id", **_where("status = 'queued'")),
    #: how many of a tenant's are queued
    Index("ix_runs_tenant_id_queued", "tenant_id", **_where("status = 'queued'")),
    Index("ix_runs_deadline", "deadline", **_where("deadline IS NOT NULL")),
    Index("ix_runs_worker_id", "worker_id", **_where("worker_id IS NOT NULL")),
    #: those whose limits are held for as long as they stand
    Index("ix_runs_gate", "id", **_where(HOLDS_A_POOL)),
)

steps = Table(
    "steps",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    #: the place in the order of commits, from 1, without gaps
    Column("seq", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text),
    Column("error", Text),
    Column("input", Text),
    #: the attempt that ended it
    Column("attempt", Integer, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    #: the database's time of the statement that committed it
    Column("committed_at", Moment, nullable=False),
    Column("commit_id", Text, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("tenant_id", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("commit_id", Text, nullable=False),
)

waits = Table(
    "waits",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("wake_at", Moment, nullable=False),
    Column("event_name", Text),
    Column("match_path", Text),
    Column("match_value", Text),
    #: a hash of both, by which an event finds the waits that it may answer
    Column("match_key", BigInteger),
    #: an expression over `event` (the run's own) and `async` (the one that comes) that has to hold as well
    Column("condition", Text),
    Column("since", Moment),
    Column("created_at", Moment, nullable=False),
    #: set once: by its event, by its time, or by the end of its run
    Column("resolved_at", Moment),
    Column("event_id", Text),
    Column("commit_id", Text, nullable=False),
    Index("ix_waits_due", "wake_at", **_where("resolved_at IS NULL")),
    Index(
        "ix_waits_tenant_id_event_name",
        "tenant_id",
        "event_name",
        "match_key",
        **_where("resolved_at IS NULL AND event_name IS NOT NULL"),
    ),
    #: an event stays for as long as a run was woken by it
    Index("ix_waits_event_id", "event_id", **_where("event_id IS NOT NULL")),
)

#: raised whenever what an app has declared, or its pauses, change: by the sum of them a process knows what it has read
apps = Table(
    "apps",
    metadata,
    Column("app", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    info=SHARED,
)

functions = Table(
    "functions",
    metadata,
    Column("app", Text, primary_key=True),
    Column("function_id", Text, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("description", Text, nullable=False),
    _flag("is_internal"),
    Column("retries", Integer, nullable=False),
    #: JSON of its StartRules; NULL where every event starts a run at once
    Column("rules", Text),
    #: false once the app is declared without it
    Column("is_active", Boolean, nullable=False),
    Column("seen_at", Moment, nullable=False),
    info=SHARED,
)

triggers = Table(
    "triggers",
    metadata,
    #: a name, or the beginning of names with a `*` behind it
    Column("event_name", Text, primary_key=True),
    Column("app", Text, primary_key=True),
    Column("function_id", Text, primary_key=True),
    #: its place among the triggers of the function
    Column("number", Integer, primary_key=True, autoincrement=False),
    _flag("is_pattern"),
    #: an expression over `event` that has to hold as well
    Column("condition", Text),
    info=SHARED,
)

crons = Table(
    "crons",
    metadata,
    Column("app", Text, primary_key=True),
    Column("function_id", Text, primary_key=True),
    #: five fields, and the name of the time zone in which they are read
    Column("schedule", Text, primary_key=True),
    Column("tz", Text, primary_key=True),
    #: microseconds by which a start may be late
    Column("jitter", BigInteger, nullable=False),
    #: whose runs it starts; NULL: one for each active tenant
    Column("tenant_id", Text),
    Column("next_at", Moment, nullable=False),
    Index("ix_crons_next_at", "next_at"),
    info=owned_by("tenant_id", also_read="tenant_id IS NULL", web_may="SELECT"),
)

pauses = Table(
    "pauses",
    metadata,
    #: empty: for all tenants
    Column("tenant_id", Text, primary_key=True),
    Column("app", Text, primary_key=True),
    Column("function_id", Text, primary_key=True),
    Column("paused_at", Moment, nullable=False),
    info=owned_by("tenant_id", also_read="tenant_id = ''"),
)

#: the events that runs have gathered (debounce, batch), as an event knows no run but those that it started
run_events = Table(
    "run_events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Index("ix_run_events_run_id", "run_id"),
)

run_keys = Table(
    "run_keys",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("app", Text, primary_key=True),
    Column("function_id", Text, primary_key=True),
    #: debounce | batch | idempotency | rate_limit | singleton
    Column("kind", Text, primary_key=True),
    #: canonical JSON text of the evaluated key
    Column("key", Text, primary_key=True),
    #: the run that stands for the key, and the number and bytes of the events that it has gathered
    Column("run_id", Text, nullable=False),
    Column("gathered", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("begun_at", Moment, nullable=False),
    #: when its event happened
    Column("event_ts", Moment, nullable=False),
    #: when it is free again, at the latest
    Column("expires_at", Moment, nullable=False),
    #: of a rate limit: JSON list of the microseconds at which runs of the key began
    Column("times", Text),
    Index("ix_run_keys_expires_at", "expires_at"),
)

placed_steps = Table(
    "placed_steps",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("queue", Text, nullable=False),
    #: raised by each claim; only its holder may commit the step
    _count("token"),
    Column("status", Text, nullable=False),
    #: JSON of the call: where the function stands, and what it is given
    Column("call", Text, nullable=False),
    #: whose process performs it, and which one that is
    Column("worker_id", Text),
    Column("pid", BigInteger),
    Column("pid_started", BigInteger),
    #: processes that died while they performed it
    _count("deaths"),
    #: since when it is queued, or when its retry is due
    Column("queued_at", Moment, nullable=False),
    Column("claimed_at", Moment),
    Index("ix_placed_steps_queued", "queued_at", **_where("status IN ('queued', 'waiting')")),
    Index("ix_placed_steps_worker_id", "worker_id", **_where("worker_id IS NOT NULL")),
)

bulk_actions = Table(
    "bulk_actions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    #: cancel | rerun
    Column("kind", Text, nullable=False),
    #: JSON of its RunFilter
    Column("filter", Text, nullable=False),
    #: running | completed | aborted
    Column("status", Text, nullable=False),
    #: how many runs it was for when it began, how many it has looked at, and how many of those it changed
    _count("total"),
    _count("seen"),
    _count("changed"),
    #: the place among the runs that it has come to
    Column("cursor", Text),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("ix_bulk_actions_tenant_id_created_at", "tenant_id", "created_at"),
    Index("ix_bulk_actions_running", "id", **_where("status = 'running'")),
)

event_schemas = Table(
    "event_schemas",
    metadata,
    Column("name", Text, primary_key=True),
    Column("app", Text, primary_key=True),
    Column("schema", Text, nullable=False),
    info=SHARED,
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("pid_namespace", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
    Column("queues", Text, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    info=SHARED,
)
