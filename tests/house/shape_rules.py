"""The rules on shape: how long, how many, how named, and with which docstring. Run by `test_house_rules.py`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from house_source import PACKAGE, PYTHON, SHIPPED, TESTS, Breach, FunctionNode, Rule, Source

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 50
MOST_LINES_OF_A_TEST = 20
MOST_POSITIONAL_PARAMETERS = 5

#: Words that say nothing (util …), or something else than we mean (job …).
FORBIDDEN_WORDS = {
    *("util", "utils", "helper", "helpers", "manager", "managers", "service", "services"),
    *("job", "jobs", "workflow", "workflows"),
}

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def too_long_files(source: Source) -> Iterator[Breach]:
    """Find a file that holds more than one concept, by its length."""
    if len(source.numbered_lines) > MOST_LINES_OF_A_FILE:
        yield len(source.numbered_lines), f"a file has at most {MOST_LINES_OF_A_FILE} lines"


def too_long_functions(source: Source) -> Iterator[Breach]:
    """Find functions that do more than one thing, by their length."""
    yield from _longer_than(MOST_LINES_OF_A_FUNCTION, source.functions)


def too_long_tests(source: Source) -> Iterator[Breach]:
    """Find tests with more than one reason to fail, by their length."""
    yield from _longer_than(MOST_LINES_OF_A_TEST, source.tests)


def too_many_positionals(source: Source) -> Iterator[Breach]:
    """Find functions whose calls nobody can read."""
    for function in source.functions:
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        if names[:1] in (["self"], ["cls"]):
            names = names[1:]
        if len(names) > MOST_POSITIONAL_PARAMETERS:
            yield function.lineno, f"{function.name} takes {len(names)} positional parameters; make it a dataclass"


def modules_without_docstring(source: Source) -> Iterator[Breach]:
    """Find modules that do not say what lives in them."""
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield 1, "the module says nowhere what lives here, who calls it and what it must never do"


def public_names_without_docstring(source: Source) -> Iterator[Breach]:
    """Find public classes, functions and methods of a Protocol without a docstring."""
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef | FunctionNode) and _lacks_docstring(node):
            yield node.lineno, f"{node.name} is public and has no docstring"
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
            for method in node.body:
                if isinstance(method, FunctionNode) and _lacks_docstring(method):
                    yield method.lineno, f"{node.name}.{method.name} is a promise and has no docstring"


def forbidden_names(source: Source) -> Iterator[Breach]:
    """Find names made of words that the house does not use."""
    for line, name in [(1, Path(source.path).stem), *_names_given_in(source.tree)]:
        for word in _WORD.findall(name):
            if word.lower() in FORBIDDEN_WORDS:
                yield line, f"{name!r}: {word.lower()!r} is no noun of this house"


def _longer_than(limit: int, functions: list[FunctionNode]) -> Iterator[Breach]:
    for function in functions:
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > limit:
            yield function.lineno, f"{function.name} has {length} lines, at most {limit} are allowed"


def _lacks_docstring(node: ast.ClassDef | FunctionNode) -> bool:
    is_overload = any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
    return not (node.name.startswith("_") or is_overload or ast.get_docstring(node))


def _names_given_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id


def _lines(count: int, indent: str = "") -> str:
    return f"{indent}x = 1\n" * count


RULES = [
    Rule(
        name="a file has at most 400 lines",
        check=too_long_files,
        where=PYTHON,
        bad=(_lines(401),),
        good=_lines(400),
    ),
    Rule(
        name="a function has at most 50 lines",
        check=too_long_functions,
        where=PYTHON,
        bad=("class A:\n    async def f(self):\n" + _lines(50, " " * 8),),
        good="def f():\n" + _lines(49, "    "),
    ),
    Rule(
        name="a test has at most 20 lines",
        check=too_long_tests,
        where=TESTS,
        bad=("def test_it():\n" + _lines(20, "    "),),
        good="def test_it():\n" + _lines(19, "    ") + "def the_setup():\n" + _lines(20, "    "),
        path="tests/room/test_example.py",
    ),
    Rule(
        name="a function has at most 5 positional parameters",
        check=too_many_positionals,
        where=PYTHON,
        bad=("def f(a, b, c, d, e=1, f=2): ...",),
        good="class A:\n    def f(self, a, b, c, d, e, *, f, g): ...",
    ),
    Rule(
        name="a module has a docstring",
        check=modules_without_docstring,
        where=PYTHON,
        bad=("import os\n",),
        good='"""What lives here."""\n',
    ),
    Rule(
        name="a public name has a docstring",
        check=public_names_without_docstring,
        where=PACKAGE,
        bad=('class Store(Protocol[T]):\n    """Keeps."""\n    def load(self): ...',),
        good='class A:\n    """Is."""\n    def run(self): ...\ndef _private(): ...\n@overload\ndef f(): ...',
    ),
    Rule(
        name="a name consists of the nouns of the house",
        check=forbidden_names,
        where=SHIPPED,
        bad=("class RunManager: ...",),
        good="from contextlib import asynccontextmanager\nstatus_manageress = 1",
    ),
]
