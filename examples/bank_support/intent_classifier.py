"""A multinomial naive Bayes over words and pairs of neighbouring words.

The desk model asks it what a customer wants. It is small on purpose: it learns in a fraction of a second and stands in
for the judgement of a large model, with a true error rate. It must never see the queries that it is tested on.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Self

from examples.bank_support.dataset import Query

#: Added to every count. Chosen on 1,500 queries held out of `train.csv`, not on `test.csv`.
SMOOTHING = 0.03


class IntentClassifier:
    """Knows the most likely intent of a text; the same text always gets the same answer."""

    def __init__(self, intents: Counter[str], counts: dict[str, Counter[str]]) -> None:
        """Turn the counts (queries by intent; intents by feature) into logarithms, once."""
        totals: Counter[str] = Counter()
        for by_intent in counts.values():
            totals.update(by_intent)
        queries = intents.total()
        self._prior = {intent: math.log(count / queries) for intent, count in intents.items()}
        #: What a known feature adds to an intent that it was never seen with.
        self._unseen = {intent: math.log(SMOOTHING / (totals[intent] + SMOOTHING * len(counts))) for intent in intents}
        #: What it adds on top of that to those it was seen with.
        self._gain = {
            feature: [(intent, math.log1p(count / SMOOTHING)) for intent, count in by_intent.items()]
            for feature, by_intent in counts.items()
        }

    @classmethod
    def learn(cls, queries: Iterable[Query]) -> Self:
        """Count the features of labelled queries."""
        intents: Counter[str] = Counter()
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for query in queries:
            intents[query.intent] += 1
            for feature in _features(query.text):
                counts[feature][query.intent] += 1
        return cls(intents, counts)

    def predict(self, text: str) -> str:
        """The most likely intent; of a text without a single known word, the most frequent one."""
        known = [self._gain[feature] for feature in _features(text) if feature in self._gain]
        scores = {intent: prior + len(known) * self._unseen[intent] for intent, prior in self._prior.items()}
        for gains in known:
            for intent, gain in gains:
                scores[intent] += gain
        return max(scores, key=scores.__getitem__)

    def accuracy(self, queries: Iterable[Query]) -> float:
        """The share of queries whose predicted intent is the labelled one."""
        hits = [self.predict(query.text) == query.intent for query in queries]
        return sum(hits) / len(hits)


def _features(text: str) -> list[str]:
    words = re.findall(r"[a-z0-9']+", text.lower())
    pairs = zip(["^", *words], [*words, "$"], strict=True)
    return words + [f"{left} {right}" for left, right in pairs]
