"""What a recipe is, what comes out of it, and how that is held against its bounds.

A bound is on the product's own figures, or on those of the control arm: the same work with what is being measured taken
away, which has to miss by far, so that a recipe that cannot fail is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fleet import Servers

Figures = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a figure has to keep; one that is missing does not."""

    figure: str
    at_most: float | None = None
    at_least: float | None = None

    def holds(self, figures: Figures) -> bool:
        """Whether the figure keeps it."""
        value = figures.get(self.figure)
        if value is None:
            return False
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    @property
    def words(self) -> str:
        """The bound as `<= 150`, `>= 0.99`, or `= 0` where both are the same."""
        if self.at_most is not None and self.at_most == self.at_least:
            return f"= {self.at_most:g}"
        parts = [("<=", self.at_most), (">=", self.at_least)]
        return " and ".join(f"{sign} {value:.6g}" for sign, value in parts if value is not None)


def at_most(figure: str, value: float) -> Bound:
    """Make a bound from above."""
    return Bound(figure=figure, at_most=value)


def at_least(figure: str, value: float) -> Bound:
    """Make a bound from below."""
    return Bound(figure=figure, at_least=value)


def exactly(figure: str, value: float) -> Bound:
    """Make a bound that one value keeps."""
    return Bound(figure=figure, at_most=value, at_least=value)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The figures of a recipe and of its control arm, and what both have to keep."""

    figures: Figures
    bounds: tuple[Bound, ...]
    control: Figures = field(default_factory=dict)
    control_bounds: tuple[Bound, ...] = ()

    @property
    def missed(self) -> list[str]:
        """Each bound that does not hold, with the figure."""
        return [
            f"{name}{bound.figure} is {_short(figures.get(bound.figure))}, not {bound.words}"
            for name, figures, bounds in (
                ("", self.figures, self.bounds),
                ("control ", self.control, self.control_bounds),
            )
            for bound in bounds
            if not bound.holds(figures)
        ]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a recipe runs on: the servers, and whether a small part of the work is enough."""

    servers: Servers
    is_quick: bool


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One measurement."""

    id: str
    title: str
    run: Callable[[Setting], Outcome]
    #: whether its quick form is part of what every change has to pass
    is_for_ci: bool = False


def line(recipe: Recipe, outcome: Outcome, **circumstances: Any) -> dict[str, Any]:
    """Return the JSON object of a recipe that was run."""
    missed = outcome.missed
    return {
        "recipe": recipe.id,
        "title": recipe.title,
        "passed": not missed,
        "missed": missed,
        "figures": _rounded(outcome.figures),
        "bounds": {bound.figure: bound.words for bound in outcome.bounds},
        "control": _rounded(outcome.control),
        "control_bounds": {bound.figure: bound.words for bound in outcome.control_bounds},
        **circumstances,
    }


def broken(recipe: Recipe, error: BaseException, **circumstances: Any) -> dict[str, Any]:
    """Return the JSON object of a recipe that came to no figures."""
    empty = Outcome(figures={}, bounds=())
    return {**line(recipe, empty, **circumstances), "passed": False, "missed": [f"{type(error).__name__}: {error}"]}


def markdown(lines: list[dict[str, Any]]) -> str:
    """Write the table of all recipes that were run."""
    rows = ["| recipe | bound | measured | control arm | |", "|---|---|---|---|---|"]
    for one in lines:
        bounds = "<br>".join(f"{figure} {words}" for figure, words in one["bounds"].items())
        measured = "<br>".join(_short(one["figures"].get(figure)) for figure in one["bounds"]) or one["missed"][0]
        control = "<br>".join(
            f"{figure} {_short(one['control'].get(figure))} (has to be {words})"
            for figure, words in one["control_bounds"].items()
        )
        rows.append(f"| {one['recipe']} {one['title']} | {bounds} | {measured} | {control} | {_verdict(one)} |")
    return "\n".join(rows)


def _verdict(one: Mapping[str, Any]) -> str:
    return "passed" if one["passed"] else "**failed**"


def _rounded(figures: Figures) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def _short(value: Any) -> str:
    match value:
        case None:
            return "missing"
        case float():
            return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
        case _:
            return str(value)
