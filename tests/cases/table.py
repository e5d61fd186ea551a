"""The table: where each behaviour that Inngest's own end-to-end tests assert is asserted here.

A row is a test there, in the words of its name, and the case files that hold for us, or the reason why there is none.
Some of theirs assert several behaviours; each of ours is one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Elsewhere:
    """A behaviour that has no case here: who asserts it, or why nobody can."""

    where: Literal["other issue", "not ours"]
    why: str


_LIVE = Elsewhere("other issue", "live chunks and the streams that carry them come with the agents")

TABLE: dict[str, tuple[str, ...] | Elsewhere] = {
    # steps, sleeps, waits
    "TestFunctionSteps": ("steps_run_once_in_order",),
    "TestSleep": ("sleep_is_never_early",),
    "TestSleepFudging": ("sleeping_run_holds_up_nobody",),
    "TestWait": ("wait_returns_its_event",),
    "TestWaitGroup": ("wait_comes_after_a_retry",),
    "TestWaitForEvent_Timeout": ("wait_times_out_to_none",),
    "TestWaitInvalidExpression": ("wait_condition_without_meaning_fails_the_run",),
    "TestWaitInvalidExpressionSyntaxError": ("wait_condition_with_a_typo_says_where",),
    "TestManyWaitInvalidExpressions": ("broken_waits_leave_good_ones_alone",),
    "TestStepPauseDeadlockRegression": ("step_after_an_invoke_fails_once",),
    # children
    "TestInvoke": ("invoke_returns_the_value_of_its_child", "failure_of_a_child_is_raised_to_its_parent"),
    "TestInvokeGroup": ("invoke_comes_after_a_retry",),
    "TestInvokeTimeout": ("invoke_that_takes_too_long_fails",),
    "TestInvokeRateLimit": ("invoke_of_what_is_rate_limited_fails",),
    "TestInvokeInProgressRunID": ("invoke_names_its_child_while_it_runs",),
    # side by side
    "TestParallelSteps": ("parallel_steps_all_run",),
    "TestParallelCoalesce": ("parallel_steps_meet_and_part_again",),
    "TestParallelSequential": ("parallel_branches_keep_their_own_order",),
    "TestParallelDisabledOptimization": ("fast_branch_waits_for_no_other", "parallel_steps_of_all_kinds"),
    "TestParallelStepsDuplicatePlan": ("executing_step_is_not_begun_again",),
    "TestParallelStepFailuresOnFailureDeduplication": ("parallel_failures_are_handled_once",),
    # errors and retries
    "TestStepErrors": ("step_error_can_be_caught",),
    "TestStepErrorCalledOnce": ("failed_step_is_final_for_the_run",),
    "TestStepRetry": (
        "step_without_retries_runs_once",
        "step_with_one_retry_runs_twice",
        "final_error_of_a_step_is_not_retried",
        "function_without_retries_runs_once",
        "final_error_of_a_function_is_not_retried",
        "swallowed_step_error_fails_nothing",
    ),
    "TestRetry": ("attempts_of_step_and_body_are_counted_apart",),
    "TestMaxRetries": ("retries_have_a_maximum",),
    "TestFunctionFailure": ("failed_run_says_why",),
    "TestFunctionFailureWithRetries": ("function_with_retries_fails_in_the_end",),
    "TestFunctionFailureHandling": ("failure_is_told_to_others", "on_failure_gets_the_event_and_the_error"),
    "TestFunctionFailureHandlingWithRateLimit": ("failure_of_what_is_rate_limited_is_handled",),
    "TestOutputTooLarge": ("output_that_is_too_large_is_refused",),
    # the Gate's
    "TestConcurrency_ScopeFunction": ("concurrency_counts_links_that_execute",),
    "TestConcurrency_ScopeFunction_FanOut": ("concurrency_of_functions_that_one_event_starts",),
    "TestConcurrency_ScopeFunction_Key": ("concurrency_goes_by_key",),
    "TestConcurrency_ScopeFunction_Key_Fn": ("concurrency_keys_are_each_functions_own",),
    "TestConcurrency_ScopeAccount": (
        "concurrency_of_the_tenant_counts_all_functions",
        "concurrency_of_the_app_counts_its_functions",
    ),
    "TestFnConcurrency": ("run_concurrency_is_held_until_the_end",),
    "TestFnConcurrencyKey": ("run_concurrency_goes_by_key",),
    "TestWorkerConcurrency": ("worker_executes_no_more_than_it_has_room_for",),
    "TestThrottle": ("throttle_spreads_the_starts",),
    "TestThrottleKeys": ("throttle_goes_by_key",),
    "TestFunctionWithRateLimit": ("rate_limit_skips_what_is_beyond_it",),
    "TestSingletonSkip": ("singleton_skips_a_second_run",),
    "TestSingletonCancel": ("singleton_cancels_the_run_that_stands",),
    "TestSingletonFalseKey": ("singleton_with_a_false_key_is_none",),
    "TestSingletonDifferentKeys": ("singleton_goes_by_key",),
    "TestFunctionPriorityRun": ("priority_starts_before_others",),
    # what begins and what ends a run
    "TestDebounceWithSingleKey": ("debounce_runs_once_with_the_last_event",),
    "TestDebounceWithMultipleKeys": ("debounce_goes_by_key",),
    "TestDebounce_OutOfOrderTS": ("debounce_takes_the_event_that_is_last_by_its_time",),
    "TestDebounce_Timeout": ("debounce_waits_no_longer_than_its_maximum",),
    "TestTimeoutStart": ("start_timeout_cancels_what_has_not_begun",),
    "TestStartTimeoutEagerCancellation": ("start_timeout_cancels_without_being_asked",),
    "TestTimeoutFinish": ("timeout_ends_a_run_between_steps",),
    "TestFinishTimeoutEagerCancellation": ("timeout_ends_a_run_that_stands_still",),
    "TestEventCancellation": ("event_cancels_the_runs_that_it_matches",),
    "TestPauseCancelFunction": ("run_of_a_paused_function_can_be_cancelled", "cancelled_run_goes_no_further"),
    "TestCron": ("cron_starts_a_run_at_its_time",),
    "TestCronAddCronTrigger": ("cron_that_is_added_starts_runs",),
    "TestCronUpdateCronTrigger": ("cron_that_is_changed_goes_by_its_new_times",),
    "TestCronRemoveCronTrigger": ("cron_that_is_removed_starts_nothing",),
    "TestCronJitter": ("cron_with_jitter_starts_within_it",),
    "TestCronJitterRemovalAppliesToCurrentOccurrence": ("cron_whose_jitter_is_removed_is_on_time",),
    "TestMultiTriggerExpressions": (
        "trigger_condition_belongs_to_its_own_event",
        "trigger_without_a_condition_takes_any_data",
        "wildcard_trigger_takes_what_begins_like_it",
    ),
    "TestEventIdempotency": ("event_id_starts_one_run",),
    "TestSendIdempotentRetry": ("request_sent_again_starts_nothing",),
    # links and limits
    "TestFnCheckpoint": ("plain_steps_share_a_link",),
    "TestCheckpointMaxDuration": ("link_over_its_budget_hands_on",),
    "TestFunctionStepLimit": ("step_limit_fails_the_run",),
    "TestFunctionStateSizeLimit": ("state_size_limit_fails_the_run",),
    "TestFunctionRunList": ("run_list_is_paged_and_filtered",),
    "TestFunctionRunListCelFilters": ("run_list_is_filtered_by_expression",),
    # over the wire
    "TestRealtime": _LIVE,
    "TestStreaming": _LIVE,
    "TestRedirect": ("fetch_follows_a_redirect",),
    "TestNotSDKResponse": ("fetch_returns_what_is_no_json",),
}

#: behaviours of ours that the list does not name, with what they are there for
BEYOND: dict[str, str] = {
    "batch_is_one_run_of_many_events": "batches have no name on the list",
    "deferred_function_runs_after_the_end": "defer is younger than the list",
    "event_of_the_future_waits_for_its_time": "what `ts` of an event may do",
    "idempotency_key_starts_one_run": "a key of the function's own beside the event's id",
    "race_has_one_winner": "losers that go on were the complaint",
    "sent_event_starts_its_runs_once": "what a step sends is sent with its memo",
    "signal_wakes_the_run_that_waits_for_it": "signals have no name on the list",
    "wait_finds_an_event_that_came_before": "waits that miss what came right before were the complaint",
    "wait_never_misses_what_its_sibling_sends": "the same, side by side",
}

#: cases whose feature is not there yet; a case in this list may have no file, and is not played
WAITING: frozenset[str] = frozenset()
