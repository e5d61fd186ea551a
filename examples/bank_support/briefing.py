"""What a specialist is told besides the question, as lines of the system prompt.

The app writes a briefing under its own instructions, the desk model reads it back; a real model simply understands it.
"""

from __future__ import annotations

from dataclasses import dataclass

_INTENT, _CUSTOMER, _REMEMBERED = "Intent: ", "Customer: ", "Remembered: "


@dataclass(frozen=True, kw_only=True)
class Briefing:
    """The facts of a case."""

    intent: str | None = None
    customer: str | None = None
    remembered: tuple[str, ...] = ()

    def text(self) -> str:
        """One fact a line. Line breaks inside a fact become blanks, so no memory can pose as another fact."""
        lines = [_INTENT + self.intent] if self.intent else []
        lines += [_CUSTOMER + self.customer] if self.customer else []
        lines += [_REMEMBERED + memory for memory in self.remembered]
        return "\n".join(" ".join(line.split()) for line in lines)


def read_briefing(prompt: str) -> Briefing:
    """Find the facts in a prompt, wherever they stand; the first intent and customer count."""
    lines = [line.strip() for line in prompt.splitlines()]

    def facts(label: str) -> list[str]:
        return [line.removeprefix(label).strip() for line in lines if line.startswith(label)]

    return Briefing(
        intent=next(iter(facts(_INTENT)), None),
        customer=next(iter(facts(_CUSTOMER)), None),
        remembered=tuple(facts(_REMEMBERED)),
    )
