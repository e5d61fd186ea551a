"""Quick start: a DevOps team of two experts, routed by plain code over the state that they share.

From the root of the repository, with a key of the provider in the environment and no server at all:

    python -m examples.quick_start "How do I find slow queries, and who may see them?"

The same network as durable runs: `celeriac dev examples.quick_start:app`, then
`. .celeriac/env && celeriac send agent-kit/network-devops-team '{"input": "…"}'`.
"""

from __future__ import annotations

import argparse

from pydantic import BaseModel

from celeriac import Agent, App, Context, Network, anthropic, tool


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
    "Database security expert",
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


def main() -> None:
    """Ask the team here, in this process."""
    parser = argparse.ArgumentParser(prog="python -m examples.quick_start")
    parser.add_argument("question")
    parser.add_argument("--model", help="another model, such as openai:gpt-4.1")
    options = parser.parse_args()
    run = devops.run_sync(options.question, model=options.model)
    print(f"Database administrator: {run.state.data.dba}\n\nSecurity expert: {run.state.data.security}")


if __name__ == "__main__":
    main()
