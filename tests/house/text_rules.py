"""The rules on texts, which hold for every file: nothing unfinished, nothing about a machine.

Run by `test_house_rules.py`. The patterns and the planted snippets are written so that this file passes them itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from house_source import EVERYWHERE, Breach, Rule, Source

UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b(?!\(#\d+\))")
MACHINE_PATH = re.compile(r"(?<![\w.~)}])/(?:work|root|home/\w+|Users/\w+)/")
OTHER_FOLDER = re.compile(r"\.\./shared\b|(?<![\w.])[s]hared/|\b(?:DESIGN|ENGINE|STYLE|API)[.]md\b")
REGISTRY = re.compile(r"index[-]url|find[-]links|pypi[.]org/simple")
RUN_BY_PATH = re.compile(r"python[\d.]*(?:\s+-\w+)*\s+(?:\./)?celeriac/\S+\.py")


def without(pattern: re.Pattern[str], why: str) -> Callable[[Source], Iterator[Breach]]:
    """Make the check that finds the lines with this pattern."""

    def check(source: Source) -> Iterator[Breach]:
        for number, line in source.numbered_lines:
            if found := pattern.search(line):
                yield number, f"{found.group()!r}: {why}"

    return check


RULES = [
    Rule(
        name="nothing is put off without an issue number",
        check=without(UNFINISHED, "do it, or name the issue: (#12)"),
        where=EVERYWHERE,
        bad=("# " + "TO" + "DO: later",),
        good="# " + "TO" + "DO(#12): when Redis 8 is the oldest",
    ),
    Rule(
        name="no file knows a machine",
        check=without(MACHINE_PATH, "write a path below the project, or find it"),
        where=EVERYWHERE,
        bad=("cd " + "/".join(["", "home", "ann", "celeriac"]),),
        good="curl http://localhost:8288/v1/runs  # frame/work/",
    ),
    Rule(
        name="no file needs another folder than the project",
        check=without(OTHER_FOLDER, "say it here; the project stands alone"),
        where=EVERYWHERE,
        bad=("as in " + "/".join(["..", "shared", "README"]),),
        good="a shared lock",
    ),
    Rule(
        name="no file names a package registry",
        check=without(REGISTRY, "where packages come from is the machine's business"),
        where=EVERYWHERE,
        bad=("pip install --" + "index" + "-url x celeriac",),
        good="pip install celeriac",
    ),
    Rule(
        name="no text runs a file of the package by its path",
        check=without(RUN_BY_PATH, "its `platform` would shadow Python's own; use `python -m celeriac`"),
        where=EVERYWHERE,
        bad=("python3 -u " + "celeriac/cli/dev.py",),
        good="python -m celeriac dev",
    ),
]
