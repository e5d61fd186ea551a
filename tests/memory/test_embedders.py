"""The embedders: the hashing one by itself, the one of OpenAI against a server that speaks its protocol."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from celeriac.database import connect, metadata, migrate
from celeriac.errors import ConfigError, ModelError
from celeriac.platform.memory import tables
from celeriac.platform.memory.embedder import HashingEmbedder, embedder
from celeriac.platform.memory.local_memories import LocalMemories
from celeriac.platform.memory.mem0 import mem0_memories
from celeriac.platform.memory.memory import Memories
from celeriac.platform.memory.vectors import nearest, pack, unpack
from celeriac.platform.models.key_choice import KeyChoice
from celeriac.settings import Settings
from celeriac.tenants.encryption import new_key
from celeriac.tenants.quotas import Limits
from celeriac.wiring import build


def likeness(first: str, second: str) -> float:
    one, other = HashingEmbedder().embed([first, second])
    return sum(a * b for a, b in zip(one, other, strict=True))


class EmbeddingsServer(ThreadingHTTPServer):
    """Answers `POST /v1/embeddings`: texts with a "card" in them point one way, all others another."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.status = 200


class _Handler(BaseHTTPRequestHandler):
    server: EmbeddingsServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append({"path": self.path, "key": self.headers["authorization"], **request})
        vectors = [[3.0, 4.0] if "card" in text else [-4.0, 3.0] for text in request["input"]]
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        body: dict[str, Any] = {"object": "list", "data": data, "model": request["model"], "usage": usage}
        if self.server.status != 200:
            body = {"error": {"message": "slow down, sk-test", "type": "requests"}}
        payload = json.dumps(body).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingsServer]:
    """A running server, named in the environment as an operator would name it."""
    with EmbeddingsServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{running.server_port}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        yield running
        running.shutdown()
        thread.join()


def test_the_hashing_vector_has_length_1_and_is_always_the_same() -> None:
    [first], [second] = HashingEmbedder().embed(["Ann lost her card"]), HashingEmbedder().embed(["Ann lost her card"])
    assert first == second
    assert len(first) == 512
    assert math.hypot(*first) == pytest.approx(1.0)


def test_texts_that_share_words_are_nearer_than_texts_that_do_not() -> None:
    near = likeness("My debit card was stolen", "the stolen debit cards")
    assert near > 0.3
    assert near > 3 * abs(likeness("My debit card was stolen", "exchange rate of the dollar"))


def test_case_and_width_of_letters_do_not_matter() -> None:
    assert likeness("STRASSE Lisbon", "straße lisbon") == pytest.approx(1.0)


@pytest.mark.parametrize("text", ["", "!?…", "\ud800", "x" * 10_000])
def test_any_text_has_a_vector(text: str) -> None:
    [vector] = HashingEmbedder().embed([text])
    assert len(vector) == 512


def test_many_candidates_are_ranked_as_few_are() -> None:
    """Above a hundred, numpy does what plain Python does below."""
    texts = [f"statement {number} about topic {number % 97}" for number in range(150)]
    packed = [pack(vector) for vector in HashingEmbedder().embed(texts)]
    [query] = HashingEmbedder().embed(["topic 42"])
    few, many = nearest(query, packed[:100], 3), nearest(query, packed, 100)
    assert [place for place, _ in many if place < 100][:3] == [place for place, _ in few]
    assert dict(many)[few[0][0]] == pytest.approx(few[0][1], abs=1e-5)


def test_a_vector_survives_as_bytes() -> None:
    assert list(unpack(pack([0.5, -0.25, 1.0]))) == [0.5, -0.25, 1.0]
    assert pack([1.0]) == b"\x00\x00\x80\x3f"


def test_candidates_of_another_length_are_left_out() -> None:
    [(place, score)] = nearest([1.0, 0.0], [pack([1.0]), pack([0.6, 0.8])], 5)
    assert place == 1
    assert score == pytest.approx(0.6)


def test_the_endpoint_of_openai_is_asked_once_for_all_texts(server: EmbeddingsServer) -> None:
    vectors = embedder("openai:some-model").embed(["a card", "a transfer"])
    assert [pytest.approx(vector) for vector in vectors] == [[0.6, 0.8], [-0.8, 0.6]]
    [request] = server.requests
    assert (request["path"], request["model"], request["input"]) == (
        "/v1/embeddings",
        "some-model",
        ["a card", "a transfer"],
    )


def test_memories_are_found_by_the_vectors_of_the_endpoint(server: EmbeddingsServer) -> None:
    memories = LocalMemories(embedder("openai:some-model"))
    memories.add("ten_a", "ann", ["a transfer", "the card"])
    [found] = memories.search("ten_a", "ann", "my cards", 1)
    assert found.text == "the card"
    assert found.score == pytest.approx(1.0)


def choose_key(tenant_id: str, provider: str) -> KeyChoice:
    """Know a tenant with a key of its own, and one that has none and may not use the operator's."""
    assert provider == "openai"
    return KeyChoice(own="sk-own" if tenant_id == "ten_own" else None, may_use_operators=tenant_id == "ten_free")


@pytest.fixture(params=["local", "mem0"])
def embedded(request: pytest.FixtureRequest, server: EmbeddingsServer) -> Iterator[Memories]:
    """Each implementation, with the embedder of the server and the keys of tenants."""
    if request.param == "local":
        yield LocalMemories(embedder("openai:some-model", choose_key))
        return
    engine = connect(request.getfixturevalue("sqlite_url"))
    metadata.create_all(engine, [tables.memories])
    yield mem0_memories(engine, "openai:some-model", choose_key=choose_key)
    engine.dispose()


def test_texts_are_embedded_with_the_key_of_their_tenant(embedded: Memories, server: EmbeddingsServer) -> None:
    """Side by side with those of a tenant that has none and may use the operator's."""
    for tenant, key in (("ten_own", "sk-own"), ("ten_free", "sk-test"), ("ten_own", "sk-own")):
        server.requests.clear()
        [added] = embedded.add(tenant, "ann", "the card")
        embedded.search(tenant, "ann", "my card", 1)
        embedded.update(tenant, added.id, "a transfer")
        assert {request["key"] for request in server.requests} == {f"Bearer {key}"}
        assert len(server.requests) >= 3


def test_the_operators_key_is_not_used_where_the_plan_forbids_it(embedded: Memories, server: EmbeddingsServer) -> None:
    """The error says what to do, and nothing is sent."""
    with pytest.raises(ModelError, match="celeriac secrets set openai") as refused:
        embedded.add("ten_bound", "ann", "the card")
    assert (refused.value.kind, refused.value.is_retriable, server.requests) == ("auth", False, [])


def test_an_installation_embeds_by_the_plans_and_secrets_of_its_tenants(
    server: EmbeddingsServer, sqlite_url: str
) -> None:
    """First the tenant has no key and may not use the operator's; then it has one."""
    migrate(sqlite_url)
    rooms = build(Settings(database_url=sqlite_url, memory_embedder="openai:some-model", encryption_keys=new_key("k1")))
    tenant = rooms.tenants.create("Acme", Limits(may_use_operator_keys=False)).id
    with pytest.raises(ModelError, match="key of its own only"):
        rooms.memories.add(tenant, "ann", "the card")
    rooms.secrets.put(tenant, "mine", "sk-own", provider="openai", actor="cli:me")
    rooms.memories.add(tenant, "ann", "the card")
    assert {request["key"] for request in server.requests} == {"Bearer sk-own"}
    rooms.close()


def test_a_refusal_of_the_endpoint_is_our_error_and_shows_no_key(server: EmbeddingsServer) -> None:
    server.status = 429
    with pytest.raises(ModelError) as refused:
        embedder("openai:some-model").embed(["a card"])
    assert (refused.value.kind, refused.value.retry_after) == ("rate_limit", 7.0)
    assert "sk-test" not in str(refused.value)
    assert len(server.requests) == 1


def test_an_endpoint_without_a_key_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        embedder("openai:some-model").embed(["a card"])


def test_a_test_does_not_call_openai_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="public address"):
        embedder("openai:some-model").embed(["a card"])


@pytest.mark.parametrize("name", ["", "openai", "openai:", "word2vec"])
def test_an_unknown_embedder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="Unknown memory embedder"):
        embedder(name)
