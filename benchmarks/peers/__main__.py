"""`python -m benchmarks.peers`: measures the peers in turns; prints a JSON object a line, and at the end the table."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.peers.catalogue import CASES, PEERS, Peer
from benchmarks.peers.environments import DEFAULT_HOME, Environments
from benchmarks.peers.measurement import Record, laboratory
from benchmarks.peers.table import markdown


def main() -> None:
    """Read the options, measure, and print."""
    options = _options()
    peers, records = _named(options.peers), list[Record]()
    environments = Environments(home=options.home.expanduser().resolve())
    try:
        with laboratory(environments, peers, is_quick=options.quick) as rooms:
            for peer, case in _turns(peers, options.cases, options.repeat):
                print(f"{case} on {peer.name} …", end=" ", file=sys.stderr, flush=True)
                began = time.monotonic()
                records.append(rooms.measure(peer, case))
                print(f"{time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
                print(json.dumps(records[-1]), flush=True)
    finally:  # what was measured is not lost when somebody loses patience
        print(f"\n{markdown(records, peers)}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Measure Celeriac and its peers.")
    names = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--peers", type=_list, default=[peer.name for peer in PEERS], help=f"some of: {names}")
    parser.add_argument("--cases", type=_list, default=list(CASES), help=f"some of: {', '.join(CASES)}")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="measure all N times; the table has medians")
    parser.add_argument("--quick", action="store_true", help="a small part of the work: whether it runs, not how fast")
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="where the peers are installed (%(default)s)")
    options = parser.parse_args()
    for given, known in ((options.peers, [peer.name for peer in PEERS]), (options.cases, CASES)):
        if unknown := [name for name in given if name not in known]:
            parser.error(f"There is no {', '.join(unknown)}; there are: {', '.join(known)}")
    return options


def _list(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _named(names: Sequence[str]) -> list[Peer]:
    return [peer for peer in PEERS if peer.name in names]


def _turns(peers: Sequence[Peer], cases: Sequence[str], repeat: int) -> Iterator[tuple[Peer, str]]:
    """Go round the peers case by case, each round from another one on, so that no peer has the better hour."""
    for case in cases:
        able = [peer for peer in peers if not peer.programs or case in peer.programs]
        for number in range(repeat):
            first = number % max(1, len(able))
            yield from ((peer, case) for peer in [*able[first:], *able[:first]])


if __name__ == "__main__":
    main()
