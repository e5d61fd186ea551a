"""Vectors as bytes, and the search for those nearest to a query. Called by the stores of memories; knows no rows."""

from __future__ import annotations

import heapq
import sys
from array import array
from collections.abc import Sequence
from importlib.util import find_spec
from operator import mul

Vector = Sequence[float]


def pack(vector: Vector) -> bytes:
    """Return the vector as float32 bytes, little end first."""
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def nearest(query: Vector, candidates: Sequence[bytes], limit: int) -> list[tuple[int, float]]:
    """Return place and score (0 to 1) of the candidates nearest to the query; the earlier place wins a tie.

    All vectors have length 1, so the score is their dot product; what points away counts as 0. Candidates of another
    length than the query's are left out.
    """
    size = 4 * len(query)
    places = [place for place, packed in enumerate(candidates) if len(packed) == size]
    scores = _products(query, [candidates[place] for place in places])
    scored = ((max(0.0, min(1.0, score)), -place) for place, score in zip(places, scores, strict=True))
    return [(-place, score) for score, place in heapq.nlargest(limit, scored)]


def _products(query: Vector, candidates: list[bytes]) -> list[float]:
    # numpy comes with Mem0 but is no dependency of ours; without it a full scope takes 0.1 s instead of 5 ms.
    if len(candidates) > 100 and find_spec("numpy"):
        import numpy

        matrix = numpy.frombuffer(b"".join(candidates), dtype="<f4").reshape(len(candidates), len(query))
        return [float(score) for score in matrix @ numpy.asarray(query, dtype="<f4")]
    return [sum(map(mul, query, unpack(packed))) for packed in candidates]


def unpack(packed: bytes) -> array[float]:
    """Return the values that `pack` wrote."""
    values = array("f", packed)
    if sys.byteorder == "big":
        values.byteswap()
    return values
