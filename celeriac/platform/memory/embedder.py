"""Embedders: they turn texts into vectors that are near to each other where the texts are.

`hashing` needs nothing and knows only the letters: it finds what shares words with the query. `openai:<model>` asks an
OpenAI-compatible endpoint and finds what means the same. Called by the implementations of `Memories`; vectors of two
embedders cannot be compared, so each row names the one that made it.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

from celeriac.errors import ConfigError
from celeriac.platform.memory.vectors import Vector
from celeriac.platform.models.failure import Callee, refused, unreachable, unreadable
from celeriac.platform.models.key_choice import KeyChoice, KeyLookUp, own_key_only
from celeriac.platform.models.live_calls import check_live_call
from celeriac.platform.signature import did_you_mean

#: the name in the settings of the embedder that needs nothing
HASHING = "hashing"

#: how long an answer of the endpoint may take
EMBED_SECONDS = 30.0

#: how many keys have connections of their own
MOST_CLIENTS = 64

_WORD = re.compile(r"\w+")


class Embedder(Protocol):
    """What turns texts into vectors of length 1."""

    @property
    def name(self) -> str:
        """What made the vectors; another name means that they cannot be compared."""
        ...

    def embed(self, texts: Sequence[str], *, tenant_id: str | None = None) -> list[Vector]:
        """Return one vector for each text; of the tenant's own, where one is named."""
        ...


def embedder(name: str, choose_key: KeyLookUp | None = None) -> Embedder:
    """Return the embedder that the setting names: `hashing` or `openai:<model>`.

    `choose_key` tells whose key a provider is asked with; None: the environment's.
    """
    provider, _, model = name.partition(":")
    if name == HASHING:
        return HashingEmbedder()
    if provider == "openai" and model:
        return OpenAIEmbedder(model, choose_key)
    known = (HASHING, "openai:text-embedding-3-small")
    raise ConfigError(
        f"Unknown memory embedder {name!r}{did_you_mean(name, known)}; write 'hashing' or 'openai:<model>'"
    )


class HashingEmbedder:
    """Hashes words, pairs of words and runs of four letters into 512 signed buckets. Deterministic, no download."""

    name = "hashing-512"
    _buckets = 512

    def embed(self, texts: Sequence[str], *, tenant_id: str | None = None) -> list[Vector]:
        return [self._embed(text) for text in texts]

    def _embed(self, text: str) -> Vector:
        buckets = [0.0] * self._buckets
        for feature, weight in _features(text):
            number = _hashed(feature)
            buckets[number % self._buckets] += weight if number & (1 << 20) else -weight
        return unit(buckets)


class OpenAIEmbedder:
    """Asks the embeddings endpoint of OpenAI, or of whoever `OPENAI_BASE_URL` names.

    With the tenant's own key at `openai`, else `OPENAI_API_KEY` where the tenant may be served with the operator's.
    """

    def __init__(self, model: str, choose_key: KeyLookUp | None = None) -> None:
        """Connect to nothing yet."""
        self.name = f"openai:{model}"
        self._callee = Callee(provider="openai", model=model)
        self._choose_key = choose_key
        #: by key; the one that was used last stands last
        self._clients: dict[str, Any] = {}
        self._guard = threading.Lock()

    def embed(self, texts: Sequence[str], *, tenant_id: str | None = None) -> list[Vector]:
        """Ask for all vectors in one request; raise `ModelError`, and `ConfigError` in a test that would call OpenAI.

        Retrying is the step's business.
        """
        import openai  # heavy, and only needed here

        client = self._client_with(self._key_for(tenant_id))
        callee = replace(self._callee, secret=client.api_key)
        check_live_call("openai", str(client.base_url))
        try:
            reply = client.embeddings.create(model=callee.model, input=list(texts), encoding_format="float")
        except openai.APIStatusError as error:
            raise refused(callee, error.status_code, error.response.headers, error.body) from None
        except openai.APIConnectionError as error:
            raise unreachable(callee, error) from None
        vectors = [unit(item.embedding) for item in reply.data or ()]
        if len(vectors) != len(texts):
            raise unreadable(callee, f"{len(vectors)} vectors for {len(texts)} texts")
        return vectors

    def _key_for(self, tenant_id: str | None) -> str:
        choice = KeyChoice()
        if self._choose_key is not None and tenant_id is not None:
            choice = self._choose_key(tenant_id, "openai")
        if choice.own is None and not choice.may_use_operators:
            raise own_key_only("openai")
        key = (choice.own or os.environ.get("OPENAI_API_KEY", "")).strip()
        if not key:
            raise ConfigError("The memory embedder 'openai:…' needs OPENAI_API_KEY in the environment")
        return key

    def _client_with(self, key: str) -> Any:
        """Return the client of this key, so that no two keys share a connection."""
        with self._guard:
            client = self._clients.pop(key, None) or _openai_client(key)
            self._clients[key] = client
            if len(self._clients) > MOST_CLIENTS:
                del self._clients[next(iter(self._clients))]  # it closes itself once nobody uses it any more
            return client


def unit(vector: Vector) -> Vector:
    """Return the vector at length 1; one of zeros stays as it is."""
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else list(vector)


def _openai_client(key: str) -> Any:
    import openai

    return openai.OpenAI(api_key=key, max_retries=0, timeout=EMBED_SECONDS)


def _features(text: str) -> Iterator[tuple[str, float]]:
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    for word in words:
        # Short words are mostly grammar, in every language.
        yield f"w {word}", 1.0 if len(word) > 3 else 0.4
        padded = f" {word} "
        for start in range(len(padded) - 3):
            yield padded[start : start + 4], 0.35 if len(word) > 3 else 0.1
    for first, second in pairwise(words):
        yield f"p {first} {second}", 0.5


@lru_cache(maxsize=16_384)
def _hashed(feature: str) -> int:
    return int.from_bytes(hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "big")
