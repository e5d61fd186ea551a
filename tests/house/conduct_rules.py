"""The rules on conduct: what code may not do, and what tests may not do. Run by `test_house_rules.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from house_source import PACKAGE, PYTHON, SHIPPED, TESTS, Breach, Rule, Source

#: The only file that may look at a clock, and so the only one that may pause.
WAITING = "tests/waiting.py"

#: A call of such a name fails the test when what it says is not so.
ASSERTING_PREFIXES = ("assert_", "check_", "expect", "wait_until", "until")


def swallowed_exceptions(source: Source) -> Iterator[Breach]:
    """Find handlers that hide what went wrong."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield node.lineno, "`except:` catches everything; name what can go wrong"
        if all(isinstance(line, ast.Pass) or _is_ellipsis(line) for line in node.body):
            yield node.lineno, "swallowed; log it, or use contextlib.suppress and say why"


def unwritten_code(source: Source) -> Iterator[Breach]:
    """Find promises that nobody has kept yet."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == "NotImplementedError":
            yield node.lineno, "write it, or leave the name out"


def main_guards(source: Source) -> Iterator[Breach]:
    """Find modules that are meant to be run by path, where `platform` would shadow Python's own."""
    if Path(source.path).name == "__main__.py":
        return
    if source.text.startswith("#!"):
        yield 1, "nothing in the package is run by path; use `python -m celeriac`"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Compare) and ast.unparse(node).replace('"', "'") == "__name__ == '__main__'":
            yield node.lineno, "nothing in the package is run by path; use `python -m celeriac`"


def sleeps(source: Source) -> Iterator[Breach]:
    """Find tests that let time pass and hope."""
    if source.path == WAITING:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio", "anyio"):
            if any(alias.name == "sleep" for alias in node.names):
                yield node.lineno, "wait for a signal (tests/waiting.py) or move a clock"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("time.sleep", "asyncio.sleep", "anyio.sleep") or called.endswith("Event().wait"):
                yield node.lineno, f"{called}: wait for a signal (tests/waiting.py) or move a clock"


def patches(source: Source) -> Iterator[Breach]:
    """Find tests that replace our code instead of using it."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names) if any(alias.name in ("mock", "unittest.mock") for alias in names):
                yield node.lineno, "use a real part or a twin, not a mock"
            case ast.ImportFrom(module="mock" | "unittest.mock" | "pytest_mock"):
                yield node.lineno, "use a real part or a twin, not a mock"
            case ast.ImportFrom(module="unittest", names=names) if any(alias.name == "mock" for alias in names):
                yield node.lineno, "use a real part or a twin, not a mock"
            case ast.arg(arg="mocker"):
                yield node.lineno, "use a real part or a twin, not a mock"
            case ast.Attribute(value=ast.Name(id="monkeypatch"), attr="setattr"):
                yield node.lineno, "hand the part in through a seam; monkeypatch is for the environment"


def tests_that_prove_nothing(source: Source) -> Iterator[Breach]:
    """Find tests that cannot fail."""
    for test in source.tests:
        if not any(_asserts(node) for node in ast.walk(test)):
            yield test.lineno, f"{test.name} asserts nothing"


def _asserts(node: ast.AST) -> bool:
    match node:
        case ast.Assert(test=condition):
            return not isinstance(condition, ast.Constant)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="pytest"), attr="raises" | "warns" | "fail")):
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name.startswith(ASSERTING_PREFIXES)
        case ast.Raise(exc=ast.Call(func=ast.Name(id="AssertionError"))):
            return True
    return False


def _is_ellipsis(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and line.value.value is ...


RULES = [
    Rule(
        name="no exception is swallowed",
        check=swallowed_exceptions,
        where=PYTHON,
        bad=("try:\n    f()\nexcept OSError:\n    pass", "try:\n    f()\nexcept:\n    log.exception('f')"),
        good="try:\n    f()\nexcept OSError:\n    log.exception('f')",
    ),
    Rule(
        name="nothing is left unwritten",
        check=unwritten_code,
        where=SHIPPED,
        bad=("def f():\n    raise NotImplementedError",),
        good="def f(self) -> None: ...",
    ),
    Rule(
        name="nothing in the package is run by path",
        check=main_guards,
        where=PACKAGE,
        bad=('if __name__ == "__main__":\n    main()',),
        good="main()",
    ),
    Rule(
        name="a test never sleeps",
        check=sleeps,
        where=TESTS,
        bad=(
            "async def test_it():\n    await asyncio.sleep(0.1)",
            "from time import sleep",
            "threading.Event().wait(1)",
        ),
        good="async def test_it(ctx):\n    await ctx.step.sleep('a while', '1h')\n    ended.wait(10)",
        path="tests/room/test_example.py",
    ),
    Rule(
        name="a test patches and mocks nothing",
        check=patches,
        where=TESTS,
        bad=(
            "def test_it(monkeypatch):\n    monkeypatch.setattr(celeriac.clock, 'now', lambda: 0)",
            "from unittest import mock",
            "from unittest.mock import patch",
        ),
        good="def test_it(monkeypatch):\n    monkeypatch.setenv('CELERIAC_APP', 'app:app')",
        path="tests/room/test_example.py",
    ),
    Rule(
        name="a test asserts something",
        check=tests_that_prove_nothing,
        where=TESTS,
        bad=("async def test_it():\n    f()", "def test_it():\n    assert True"),
        good="def test_it():\n    with pytest.raises(ValueError):\n        f()\ndef test_other():\n    assert f() == 1",
        path="tests/room/test_example.py",
    ),
]
