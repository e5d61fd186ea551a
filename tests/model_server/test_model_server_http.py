"""The model server as an HTTP server: strange requests, the request log, its life in a thread and as a process."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from celeriac.errors import ConfigError
from celeriac.testing.model_server import STEP_HEADER, Faults, ModelServer
from waiting import wait_until

HELLO: Any = [{"role": "user", "content": "hello"}]
ROOT = Path(__file__).parents[2]


def ask(connection: http.client.HTTPConnection, path: str, body: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """One POST on an open connection."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body, named)
    answer = connection.getresponse()
    return answer.status, json.load(answer)


def test_errors_have_the_providers_shape_and_keep_the_connection(server: ModelServer) -> None:
    """Five bad requests and a good one on a single connection."""
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]), timeout=10)
    key = {"authorization": "Bearer offline"}
    claude = {"x_api_key": "offline", "anthropic_version": "2023-06-01"}
    bad = [
        (404, ask(connection, "/v1/nothing", "{}", **key)),
        (404, ask(connection, "/v1/nothing", "{}", **claude)),
        (400, ask(connection, "/v1/chat/completions", "{not json", **key)),
        (400, ask(connection, "/v1/messages", "{not json", **claude)),
        (401, ask(connection, "/v1/chat/completions", json.dumps({"model": "m", "messages": HELLO}))),
    ]
    assert [status for status, _ in bad] == [got for _, (got, _) in bad]
    assert [("type" in body, "message" in body["error"]) for _, (_, body) in bad] == [
        (False, True), (True, True), (False, True), (True, True), (False, True)
    ]  # fmt: skip
    assert ask(connection, "/v1/chat/completions", json.dumps({"model": "m", "messages": HELLO}), **key)[0] == 200
    connection.close()


def test_every_answer_is_a_line_of_the_log(serve_brain: Any, tmp_path: Path) -> None:
    """With its step, its status and the time of the answer; what was cut has no line."""
    log = tmp_path / "logs" / "model.jsonl"
    server = serve_brain(log=log, latency=0.02, faults=Faults(script=("ok", 500, "cut")))
    began = time.time()
    with openai.OpenAI(base_url=server.openai_base_url, api_key="offline", max_retries=0) as client:
        client.chat.completions.create(model="m", messages=HELLO, extra_headers={STEP_HEADER: "run_1 turn:1/infer"})
        for _ in range(2):
            with pytest.raises(openai.APIError):
                client.chat.completions.create(model="m", messages=HELLO)
    first, second = (json.loads(line) for line in log.read_text().splitlines())
    assert (first["key"], first["status"], first["provider"], first["model"]) == (
        "run_1 turn:1/infer",
        200,
        "openai",
        "m",
    )
    assert (second["key"], second["status"]) == (None, 500)
    assert began <= first["started"] < first["at"] <= second["at"] <= time.time()


def test_a_request_whose_client_left_has_no_line(serve_brain: Any, tmp_path: Path) -> None:
    """What nobody received was not answered."""
    log = tmp_path / "model.jsonl"
    server: ModelServer = serve_brain(log=log, latency=5.0)
    with openai.OpenAI(base_url=server.openai_base_url, api_key="offline", max_retries=0, timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="m", messages=HELLO)
    wait_until(lambda: server.stats()["in_flight"] == 0, timeout=3, what="the request to be given up")
    assert log.read_text() == ""
    assert server.requests == 1


def test_a_port_that_is_taken_is_a_clear_error(server: ModelServer) -> None:
    """The message names the address."""
    taken = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(ConfigError, match=server.url):
        ModelServer(lambda request: None, port=taken).start()  # type: ignore[arg-type,return-value]


def test_the_desk_model_runs_as_a_process_and_ends_on_sigterm(tmp_path: Path) -> None:
    """Exactly as the README says; the first line of its output tells where it is."""
    command = [sys.executable, "-m", "celeriac.testing.model_server", "examples.bank_support.desk_model:respond"]
    with subprocess.Popen(
        [*command, "--log", str(tmp_path / "log")], cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        with openai.OpenAI(base_url=address["openai_base_url"], api_key="offline") as client:
            question: Any = [{"role": "user", "content": "My card was stolen"}]
            reply = client.chat.completions.create(model="desk", messages=question)
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert reply.choices[0].message.content == "Intent: lost_or_stolen_card"
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_a_brain_that_does_not_exist_is_a_clear_error() -> None:
    """The message says how to name one."""
    from celeriac.testing.model_server.__main__ import load_brain

    with pytest.raises(ConfigError, match="module:function"):
        load_brain("examples.bank_support.desk_model:answer")


def test_a_brain_that_is_not_there_is_one_line() -> None:
    """Examples of one file have their script in themselves, which is easily got wrong."""
    command = [sys.executable, "-m", "celeriac.testing.model_server", "examples.quick_start.script:SCRIPT"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: No brain at 'examples.quick_start.script:SCRIPT'")
    assert line.endswith("name it as module:function.")
