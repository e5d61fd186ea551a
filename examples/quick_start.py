"""Quick start: a DevOps team of two experts, routed by plain code over the state that they share.

From the root of the repository, offline and without a key; a script answers in the place of a model:

    python -m examples.quick_start

With a model and a question of your own: `python -m examples.quick_start --model openai:gpt-4.1-mini "…"`. The same
network as durable runs: `celeriac dev examples.quick_start:app`, then
`. .celeriac/env && celeriac send agent-kit/network-devops-team '{"input": "…"}'`.
"""

from __future__ import annotations

from pydantic import BaseModel

from celeriac import Agent, App, Context, Network, anthropic, tool
from examples.script import Part, Script, call
from examples.stage import command_line, model_of, show


class Answers(BaseModel):
    """What the experts have said so far; a fresh one for every run."""

    dba: str | None = None
    security: str | None = None


@tool
def provide_answer(ctx: Context[Answers], answer: str) -> None:
    """Provide the answer to the question."""
    if ctx.agent.name == dba.name:
        ctx.state.data.dba = answer
    else:
        ctx.state.data.security = answer


dba = Agent[Answers](
    "Database administrator",
    description="Provides expert support for managing PostgreSQL databases",
    system="You are a PostgreSQL expert. Answer only through the tool.",
    tools=[provide_answer],
    tool_choice="provide_answer",
)
security = Agent[Answers](
    "Database Security Expert",
    description="Provides expert guidance on PostgreSQL security",
    system="You are a PostgreSQL security expert. Answer only through the tool.",
    tools=[provide_answer],
    tool_choice="provide_answer",
)


def route(ctx: Context[Answers]) -> Agent[Answers] | None:
    """First the administrator, then the security expert; the end when both have answered."""
    answers = ctx.state.data
    if answers.dba and answers.security:
        return None
    return security if answers.dba else dba


devops = Network[Answers](
    "DevOps team",
    agents=[dba, security],
    state=Answers,
    router=route,
    default_model=anthropic("claude-haiku-4-5", max_tokens=1000),
    max_iter=6,
)

app = App("agent-kit")
app.network(devops)  # started by the event "agent-kit/network-devops-team" with {"input": "…"}


QUESTION = "How do I find slow queries, and who may see them?"
SLOW = "Load pg_stat_statements, then order its rows by total_exec_time."
WHO = "Grant pg_read_all_stats to whoever tunes queries; everybody else sees only their own."
SCRIPT = Script(
    Part("PostgreSQL expert", says=call("provide_answer", answer=SLOW)),
    Part("PostgreSQL security expert", says=call("provide_answer", answer=WHO)),
)


def main() -> None:
    """Ask the team here, in this process."""
    parser = command_line("quick_start", __doc__)
    parser.add_argument("question", nargs="?", default=QUESTION)
    given = parser.parse_args()
    with model_of(given.model, SCRIPT, like="anthropic") as model:
        run = devops.run_sync(given.question, model=model)
    show(run)
    print(f"\nOn performance: {run.state.data.dba}\nOn security: {run.state.data.security}")


if __name__ == "__main__":
    main()
