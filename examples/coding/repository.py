"""A git repository of Python code: what the tools of the agents do to it.

Knows no agent and no model. Whatever a model names, it stays inside the repository's folder.
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from textwrap import dedent, indent

from pydantic import BaseModel

from celeriac import ToolError


class ClassOutline(BaseModel):
    """A class as a planner sees it."""

    name: str
    start_line: int
    end_line: int
    methods: list[str]


class Outline(BaseModel):
    """The classes and functions of one file."""

    classes: list[ClassOutline]
    functions: list[str]


def git(folder: str, *arguments: str) -> str:
    """Run git in a folder and return what it prints; raise `CalledProcessError` where it fails."""
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout


def clone(source: str, folder: str) -> None:
    """Clone a repository; a clone that a killed worker began is there already, and kept."""
    if not (Path(folder) / ".git").is_dir():
        git(".", "clone", "--quiet", source, folder)


def python_files(folder: str) -> list[str]:
    """Return the Python files that git knows, in order."""
    return git(folder, "ls-files", "*.py").splitlines()


def read(folder: str, filename: str) -> str:
    """Return the text of a file."""
    return _path(folder, filename).read_text()


def outline(folder: str, filename: str) -> Outline:
    """Parse a file and return what it defines at its top."""
    tree = _parsed(filename, read(folder, filename))
    return Outline(
        classes=[
            ClassOutline(
                name=node.name,
                start_line=node.lineno,
                end_line=node.end_lineno or node.lineno,
                methods=_functions(node.body),
            )
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        ],
        functions=_functions(tree.body),
    )


def replace_method(folder: str, filename: str, class_name: str, method: str, new_code: str) -> str:
    """Put new code in the place of a method; done twice it comes to the same.

    Raises `ToolError` for a method that is not there, and for code that is no Python.
    """
    source = read(folder, filename)
    first, last, margin = _lines_of(source, filename, class_name, method)
    lines = source.splitlines()
    code = indent(dedent(new_code).strip("\n"), " " * margin)
    changed = "\n".join([*lines[: first - 1], code, *lines[last:]]) + "\n"
    _parsed(filename, changed)
    _path(folder, filename).write_text(changed)
    return f"{class_name}.{method} is replaced"


def _lines_of(source: str, filename: str, class_name: str, method: str) -> tuple[int, int, int]:
    """Return the first and last line of a method, decorators among them, and its indentation."""
    for node in _parsed(filename, source).body:
        if not isinstance(node, ast.ClassDef) or node.name != class_name:
            continue
        for one in node.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == method:
                first = min([one.lineno, *(decorator.lineno for decorator in one.decorator_list)])
                return first, one.end_lineno or one.lineno, one.col_offset
        raise ToolError(f"{class_name} in {filename} has no method {method!r}")
    raise ToolError(f"{filename} has no class {class_name!r}")


def _parsed(filename: str, source: str) -> ast.Module:
    try:
        return ast.parse(source, filename)
    except SyntaxError as error:
        raise ToolError(f"{filename} would be no Python: {error.msg} in line {error.lineno}") from error


def _path(folder: str, filename: str) -> Path:
    root = Path(folder).resolve()
    path = (root / filename).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise ToolError(f"There is no file {filename!r} in the repository")
    return path


def _functions(body: list[ast.stmt]) -> list[str]:
    return [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
