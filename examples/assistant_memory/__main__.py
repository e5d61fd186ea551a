"""Talk twice with an assistant that remembers: it learns something, and later makes use of it.

From the root of the repository, offline and without a key; a script answers in the place of a model:

    python -m examples.assistant_memory

With a model: `python -m examples.assistant_memory --model openai:gpt-4.1-mini`.
"""

from __future__ import annotations

from examples.assistant_memory.app import Talk, answer_of, orderly, reflecting
from examples.assistant_memory.script import HELLO, QUESTION, SCRIPT
from examples.stage import command_line, model_of, show


def main() -> None:
    """Have both conversations, by a network each."""
    given = command_line("assistant_memory", __doc__).parse_args()
    with model_of(given.model, SCRIPT) as model:
        for network, text in ((reflecting, HELLO), (orderly, QUESTION)):
            print(f"\n{network.name} is told: {text}")
            run = network.run_sync(text, state=Talk(user_id="u-1"), model=model)
            show(run)
            print(f"The user is told: {answer_of(run)}")


if __name__ == "__main__":
    main()
