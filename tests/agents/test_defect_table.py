"""Each defect of AgentKit that must not be here has tests, and this table says which."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

#: the number of the defect, what is wrong in AgentKit, and the tests that show that it is not wrong here
DEFECTS: dict[int, tuple[str, list[str]]] = {
    1: (
        "an agent's loop forgets its tools' results",
        ["agents/test_agentkit_defects.py::test_w01_an_agents_loop_keeps_the_results_of_its_tools_and_all_its_replies"],
    ),
    2: (
        "the new message is there twice, before the history",
        [
            "agents/test_agentkit_defects.py::test_w02_the_new_message_comes_once_and_after_the_history",
            "threads/test_history_hooks.py::test_the_new_message_stands_once_in_the_prompt_and_last",
        ],
    ),
    3: (
        "arguments are not validated, and a bad call or a raising tool fails the run",
        [
            "agents/test_agent_tools.py::test_arguments_that_do_not_fit_go_back_to_the_model",
            "agents/test_agent_tools.py::test_arguments_that_are_no_json_go_back_to_the_model",
            "agents/test_agent_tools.py::test_an_unknown_tool_goes_back_to_the_model_with_a_suggestion",
            "agents/test_agent_tools.py::test_an_exception_goes_to_the_model_without_a_stack_trace",
        ],
    ),
    4: (
        "an agent alone has no history and no steps in its tools",
        [
            "agents/test_agentkit_defects.py::test_w04_the_tools_of_an_agent_alone_have_steps_and_may_wait",
            "threads/test_history_hooks.py::test_an_agent_alone_has_a_history_too",
        ],
    ),
    5: (
        "tools see a copy of the network, state is shared, a thread is lost",
        [
            "agents/test_agentkit_defects.py::test_w05_tools_and_hooks_see_the_network_that_runs",
            "agents/test_agentkit_defects.py::test_w05_two_runs_share_no_state_however_deep",
            "agents/test_agentkit_defects.py::test_w05_a_state_that_was_written_down_keeps_its_thread",
            "agents/test_agent_hooks.py::test_replace_keeps_every_option",
        ],
    ),
    6: (
        "unknown and disabled agents are passed over, and limits end runs in silence",
        [
            "agents/test_agentkit_defects.py::test_w06_a_router_that_names_nobody_who_may_run_is_an_error",
            "agents/test_agentkit_defects.py::test_w06_a_run_that_reaches_its_limit_says_so_and_keeps_its_results",
        ],
    ),
    7: (
        "ids, times and checksums differ from replay to replay",
        [
            "agents/test_agentkit_defects.py::test_w07_a_result_keeps_its_id_its_time_and_its_checksum_over_replays",
            "threads/test_history_hooks.py::test_a_replay_calls_no_hook_again_and_ids_and_checksums_are_the_same",
        ],
    ),
    8: ("adapters drop system prompts, tool calls and stop reasons", ["models/test_adapter_defects.py::test_w08*"]),
    9: (
        "three decisions call the router ten times",
        ["agents/test_agentkit_defects.py::test_w09_three_decisions_are_three_calls_of_the_router"],
    ),
    10: (
        "ids and published events are steps",
        ["agents/test_agentkit_defects.py::test_w10_a_run_has_no_steps_but_decisions_turns_model_calls_and_tool_calls"],
    ),
    11: (
        "a failure at a late turn loses the results of all before",
        [
            "threads/test_history_hooks.py::test_a_run_that_fails_keeps_the_turns_it_finished",
            "threads/test_thread_crashes.py::test_a_thread_holds_the_same_wherever_a_worker_died",
        ],
    ),
    12: (
        "no cancel, no budget, no limits of tools",
        [
            "agents/test_agentkit_defects.py::"
            "test_w12_a_network_that_waits_can_be_cancelled_and_calls_no_model_afterwards",
            "agents/test_network_limits.py::test_a_budget_stops_before_the_next_call_and_says_which_limit_it_was",
            "agents/test_agent_tools.py::test_the_calls_of_one_reply_run_side_by_side",
        ],
    ),
    13: (
        "a step's id is the agent's name",
        ["agents/test_agentkit_defects.py::test_w13_an_agent_that_runs_twice_in_a_function_is_told_apart"],
    ),
    14: (
        "no tokens are streamed, most events never come, and a failed run is completed",
        [
            "agents/test_streams.py::test_tokens_thoughts_and_arguments_are_told_as_they_come",
            "agents/test_streams.py::test_the_canonical_case_is_agentkits_with_additions_in_their_places",
            "agents/test_streams.py::test_a_failed_run_is_never_completed",
        ],
    ),
    17: (
        "keys stand in steps and outputs",
        ["models/test_adapter_defects.py::test_w17*", "mcp_servers/test_mcp_defects.py::test_w17*"],
    ),
    18: ("a tool server's failures are swallowed", ["mcp_servers/test_mcp_defects.py::test_w18*"]),
}


def named(name: str) -> list[str]:
    """Return the tests of a file that a name, or a beginning with a star, stands for."""
    file, _, test = name.partition("::")
    found = re.findall(r"^(?:async )?def (test_\w+)", (TESTS / file).read_text(), re.MULTILINE)
    return [one for one in found if one == test or (test.endswith("*") and one.startswith(test[:-1]))]


def test_the_table_has_every_defect() -> None:
    assert sorted(DEFECTS) == [*range(1, 15), 17, 18]


@pytest.mark.parametrize("number", DEFECTS)
def test_a_defect_has_the_tests_that_the_table_names(number: int) -> None:
    _, names = DEFECTS[number]
    assert [name for name in names if not named(name)] == []
