"""The table: the medians of all records as Markdown, one row a peer, and what could not be measured below it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.catalogue import NOT_MEASURED, Peer

Record = Mapping[str, Any]
Show = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class _Column:
    title: str
    case: str
    key: str
    show: Show


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A peer, or a second way in which Celeriac was measured within the same case: `prefix` opens its keys."""

    title: str
    peer: Peer
    prefix: str = ""
    #: the cases that have such keys; all without a prefix
    cases: tuple[str, ...] = ()


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _fine(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


_COLUMNS = (
    _Column(title="steps/s", case="throughput", key="steps_per_s", show=_whole),
    _Column(title="CPU ms a step", case="throughput", key="cpu_ms", show=_fine),
    _Column(title="step p50 ms", case="steps", key="p50_ms", show=_fine),
    _Column(title="CPU ms a step, alone", case="steps", key="cpu_ms", show=_fine),
    _Column(title="one-step run p50 ms", case="latency", key="p50_ms", show=_fine),
    _Column(title="agent runs/s", case="agent", key="runs_per_s", show=_fine),
    _Column(title="CPU ms an agent run", case="agent", key="cpu_ms", show=_whole),
    _Column(title="all ended after the kill, s", case="recovery", key="all_seconds", show=_fine),
    _Column(title="steps again", case="recovery", key="steps_again", show=_whole),
)


def markdown(records: Sequence[Record], peers: Sequence[Peer]) -> str:
    """Write the table of these peers, how each was submitted to, and the reasons of all gaps."""
    cases = {record["case"] for record in records}
    peers = [peer for peer in peers if any(record["system"] == peer.name for record in records)]
    columns = [column for column in _COLUMNS if column.case in cases]
    lines = ["| system | " + " | ".join(column.title for column in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in _rows(peers):
        cells = [_cell(records, row, column) for column in columns]
        if any(cells):
            lines.append(f"| {row.title} | " + " | ".join(cell or "–" for cell in cells) + " |")
    submits = [f"- {peer.title}: {peer.submit}." for peer in peers]
    gaps = [f"- {text}" for text in _gaps(records, peers)]
    missing = [f"- {name}: not measured: {reason}." for name, reason in NOT_MEASURED.items()]
    return "\n".join(
        [*lines, "", "How the runs are submitted:", "", *submits, "", "Not measured:", "", *gaps, *missing]
    )


def _rows(peers: Sequence[Peer]) -> Iterator[_Row]:
    for peer in peers:
        if peer.programs:
            yield _Row(title=peer.title, peer=peer)
        else:
            yield _Row(title=f'{peer.title}, singly; agents `links="budget"`', peer=peer)
            yield _Row(title=f"{peer.title}, one request", peer=peer, prefix="batch_", cases=("throughput",))
            yield _Row(title=f'{peer.title}, agents `links="turn"`', peer=peer, prefix="turn_", cases=("agent",))


def _cell(records: Sequence[Record], row: _Row, column: _Column) -> str:
    """Return the median; empty where the peer does not have the case."""
    if row.cases and column.case not in row.cases:
        return ""
    own = [record for record in records if (record["system"], record["case"]) == (row.peer.name, column.case)]
    values = [record[row.prefix + column.key] for record in own if record.get(row.prefix + column.key) is not None]
    if values:
        return column.show(statistics.median(values))
    if any("error" in record for record in own):
        return "failed"
    return "never" if own and column.key == "all_seconds" else ""


def _gaps(records: Sequence[Record], peers: Sequence[Peer]) -> Iterator[str]:
    """Say what failed, and whose runs did not all end after the kill."""
    for peer in peers:
        own = [record for record in records if record["system"] == peer.name]
        failed = [record for record in own if "error" in record]
        if failed:
            cases = ", ".join(dict.fromkeys(record["case"] for record in failed))
            yield f"{peer.title} ({cases}): {failed[0]['error']}"
        for record in own:
            if record.get("completed", 0) < record.get("runs", 0):
                yield f"{peer.title}: only {record['completed']} of {record['runs']} runs ended after the kill"
