"""How each rule of the engine is taken out that a race, a crash or a measurement has shown to be needed.

`test_rules_taken_out.py` takes them out one by one and runs the named test, which then has to fail.
"""

from __future__ import annotations

from rules.taking_out import TakingOut

_DURABLE = "celeriac/platform/durable"
_STORE = "celeriac/platform/store"
_MEETING = "rules/test_moves_that_meet.py"

#: the steps of a run are inserted by what its row says, and the row is not updated
_WITHOUT_ITS_LOCK = """
    row_as_it_is = "SELECT id, tenant_id, steps + 1 AS steps FROM runs WHERE id = %s AND tenant_id = %s AND fence = %s"
    insert = _LONE[_LONE.index("INSERT INTO steps") :].replace("FROM run", f"FROM ({row_as_it_is}) AS run")
    base = connection.exec_driver_sql(insert, (*row[2:], *right)).scalar_one_or_none()
    return {} if base is None else {0: base}
    if step.usage is NOTHING:
"""

TAKEN_OUT = (
    TakingOut(
        rule=2,
        lost="a claim asks for a queued run",
        file=f"{_STORE}/sql_claims.py",
        text="WHERE id = ? AND status = 'queued' AND fence",
        instead="WHERE id = ? AND fence",
        test="store/test_store_runs.py::test_a_doubled_message_claims_nothing[sqlite]",
    ),
    TakingOut(
        rule=3,
        lost="a commit locks the run",
        file=f"{_STORE}/sql_journal_postgres.py",
        text="    if step.usage is NOTHING:\n",
        instead=_WITHOUT_ITS_LOCK,
        test=f"{_MEETING}::test_a_claim_waits_for_a_commit_that_is_under_way",
    ),
    TakingOut(
        rule=4,
        lost="parking asks whether something woke the run",
        file=f"{_STORE}/sql_runs.py",
        text='runs.c.wakes == bindparam("seen_wakes")',
        instead='runs.c.wakes >= bindparam("seen_wakes")',
        test=f"{_MEETING}::test_a_wake_that_is_not_committed_yet_keeps_the_run_from_parking",
    ),
    TakingOut(
        rule=5,
        lost="a link ends after each turn",
        file=f"{_DURABLE}/kernel.py",
        text='is_turn = call.kind == "turn" and self._conduct.links == "turn"',
        instead="is_turn = False",
        test="durable/test_links.py::test_each_turn_ends_a_link_and_the_chain_has_them_all",
    ),
    TakingOut(
        rule=5,
        lost="whoever publishes a link puts it on its run's chain",
        file=f"{_STORE}/celery_links.py",
        text="root_id=run.root_id or task_id,",
        instead="root_id=task_id,",
        test="rules/test_link_messages.py::test_the_gate_and_a_wake_publish_on_the_runs_own_chain",
    ),
    TakingOut(
        rule=5,
        lost="a next link leaves only after the body",
        file="celeriac/tasks/links.py",
        text="    if current_process().advance(run_id, link):\n",
        instead='    self.si(run_id).apply_async(queue="runs")\n    if current_process().advance(run_id, link):\n',
        test="rules/test_link_messages.py::test_a_link_that_is_over_or_broken_sends_nothing[broken]",
    ),
    TakingOut(
        rule=6,
        lost="after an outage nobody is judged for the dead time",
        file="celeriac/tasks/heartbeat.py",
        text="            self._unbroken_since = time.monotonic()\n            if",
        instead="            if",
        test="rules/test_liveness.py::test_after_an_outage_of_the_database_nobody_is_judged_for_the_whole_dead_time",
    ),
    TakingOut(
        rule=7,
        lost="queued runs that Redis does not know are brought back",
        file="celeriac/tasks/reconcile.py",
        text="            self._dispatcher.dispatch(lost)\n",
        instead="",
        test="tasks/test_reconcile.py::test_a_run_behind_a_long_backlog_of_another_tenant_is_found",
    ),
    TakingOut(
        rule=8,
        lost="a suspect of a second death executes alone",
        file=f"{_DURABLE}/poison.py",
        text="            return not others\n",
        instead="            return True\n",
        test="durable/test_poison.py::test_a_suspect_of_a_second_death_executes_alone",
    ),
    TakingOut(
        rule=11,
        lost="one id from two tasks is refused",
        file="celeriac/platform/scope.py",
        text="if owner is not task:",
        instead="if owner is None:",
        test="durable/test_steps.py::test_one_id_in_two_tasks_is_refused",
    ),
    TakingOut(
        rule=12,
        lost="memos take turns",
        file=f"{_DURABLE}/replay.py",
        text="if not self._parking.is_single:",
        instead="if self._parking.is_over:",
        test="durable/test_replay_order.py::test_the_branch_that_won_live_wins_the_replay",
    ),
    TakingOut(
        rule=13,
        lost="a part of the memos is not trusted",
        file=f"{_STORE}/local_cache.py",
        text="if len(values) != expected:",
        instead="if not values:",
        test="durable/test_replay_order.py::test_a_cache_that_holds_a_part_of_the_memos_is_not_trusted",
    ),
    TakingOut(
        rule=14,
        lost="the time of a wait is fixed by its commit",
        file=f"{_DURABLE}/waiting.py",
        text="        wait = self._waits.get(path)\n        if wait is None:\n            wake_at =",
        instead="        wait = None\n        if wait is None:\n            wake_at =",
        test="durable/test_standing_still.py::test_a_sleeps_time_is_fixed_by_its_commit_and_a_crash_does_not_start_it_anew",
    ),
    TakingOut(
        rule=15,
        lost="events and waits of one name lock each other out",
        file=f"{_STORE}/sql_part.py",
        text='    if connection.dialect.name != "postgresql":\n        return present(connection)\n    hashes',
        instead="    if names is not None:\n        return present(connection)\n    hashes",
        test=f"{_MEETING}::test_an_event_and_a_wait_that_meet_find_each_other[event]",
    ),
    TakingOut(
        rule=16,
        lost="a placed step is committed by its token",
        file=f"{_STORE}/sql_placements.py",
        text="placed_steps.c.token == claim.token",
        instead="placed_steps.c.token >= claim.token",
        test="store/test_store_placements.py::test_an_old_token_commits_nothing[sqlite]",
    ),
    TakingOut(
        rule=18,
        lost="each tool call works on a state of its own",
        file="celeriac/platform/agents/turn.py",
        text="            self._state_type.load(before, self._ctx.state.data),\n",
        instead="            self._ctx.state.data,\n",
        test="agents/test_durable_networks.py"
        "::test_parallel_calls_merge_alike_live_and_after_a_crash_between_their_commits[True]",
    ),
    TakingOut(
        rule=19,
        lost="a step's final error is not tried again by the scopes around it",
        file=f"{_DURABLE}/retry.py",
        text="    StepError,\n    ToolError,\n    LimitError,\n",
        instead="    ToolError,\n    LimitError,\n",
        test="durable/test_step_retries.py::test_a_step_error_from_inside_fails_the_scope_without_another_attempt",
    ),
    TakingOut(
        rule=20,
        lost="values are checked before they enter the queue",
        file="celeriac/platform/codec.py",
        text="    if _has_nul(text):\n",
        instead="    if not text:\n",
        test="durable/test_journal.py::test_a_value_that_cannot_be_stored_fails_only_its_own_step[nul]",
    ),
    TakingOut(
        rule=20,
        lost="a failed group is tried row by row",
        file=f"{_DURABLE}/journal.py",
        text="return [self._try(kind, [item])[0] for item in items]",
        instead="return [error] * len(items)",
        test="durable/test_journal.py::test_a_row_that_the_database_refuses_fails_alone",
    ),
    TakingOut(
        rule=20,
        lost="an entry on record is known by its commit_id",
        file=f"{_STORE}/sql_journal.py",
        text="if commit_id == entries[place].commit_id:",
        instead="if commit_id is entries:",
        test="store/test_store_journal.py::test_an_entry_on_record_is_answered_as_it_was_then[sqlite]",
    ),
    TakingOut(
        rule=21,
        lost="unknown awaits get their second",
        file=f"{_DURABLE}/parking.py",
        text="if all(self._is_known(task) for task in self._tasks):",
        instead="if self._tasks:",
        test="durable/test_parking.py::test_io_outside_of_steps_beside_a_wait_is_given_time_to_end",
    ),
    TakingOut(
        rule=21,
        lost="a body at work keeps the run from parking",
        file=f"{_DURABLE}/parking.py",
        text="        return not self._at_work\n",
        instead="        return True\n",
        test="durable/test_parking.py::test_a_body_that_executes_keeps_the_run_from_parking",
    ),
    TakingOut(
        rule=22,
        lost="a closed scope takes no step",
        file=f"{_DURABLE}/record.py",
        text="        if self.parking.is_over:\n            raise Suspended\n        memo = self.replay.ask(path)",
        instead="        memo = self.replay.ask(path)",
        test="durable/test_parking.py::test_a_step_in_finally_is_skipped_at_parking_and_runs_at_the_real_end",
    ),
    TakingOut(
        rule=22,
        lost="asyncio.timeout around a wait is refused",
        file=f"{_DURABLE}/parking.py",
        text="            if _awaits(owner, task):\n",
        instead="            if owner is None:\n",
        test="durable/test_standing_still.py::test_asyncio_timeout_around_a_wait_is_refused[False]",
    ),
)
