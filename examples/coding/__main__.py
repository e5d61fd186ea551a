"""Let a planner and an editor mend a bug in a small git repository, in a plain script.

From the root of the repository, offline and without a key; a script answers in the place of a model:

    python -m examples.coding

With a model: `python -m examples.coding --model openai:gpt-4.1-mini`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from examples.coding.app import CodeState, coding
from examples.coding.repository import git
from examples.coding.sample import PROBLEM, make_repository
from examples.coding.script import SCRIPT
from examples.stage import command_line, model_of, show


def main() -> None:
    """Make the repository, mend it, and print the patch."""
    given = command_line("coding", __doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder, model_of(given.model, SCRIPT) as model:
        repo = str(Path(folder) / "shop")
        make_repository(Path(repo))
        run = coding.run_sync(PROBLEM, state=CodeState(repo=repo), model=model)
        show(run)
        print(f"\n{git(repo, 'diff')}")


if __name__ == "__main__":
    main()
