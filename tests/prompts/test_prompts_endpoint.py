"""The whole way: settings, LlamaIndex's OpenAI-compatible client, a real server on loopback, checks, draft."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from prompt_world import EVIDENCE, INCIDENT, RANKING, said

from core.llm import open_model
from core.settings import read_settings
from prompts.drafter import Drafter

TEXT = "Requests time out waiting for a payments connection."
ANSWER = json.dumps({"sentences": [{"text": TEXT, "evidence": ["I"]}]})


@pytest.fixture
def endpoint() -> Iterator[Any]:
    """Starts a server that answers each call by the next of its replies: a status and a text, or a hang."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []
    release = threading.Event()

    def start(*replies: tuple[int, str] | None) -> tuple[str, list[bytes]]:
        queue, asked = list(replies), list[bytes]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(self.rfile.read(int(self.headers["Content-Length"])))
                reply = queue.pop(0)
                if reply is None:
                    release.wait(30)
                status, text = reply or (200, "late")
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                raw = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "tiny", "choices": [choice]}).encode()  # fmt: skip
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                except OSError:  # the caller gave up, as it should
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/v1", asked

    yield start
    release.set()
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize(
    ("replies", "timeout_s", "author", "calls"),
    [
        ([(200, ANSWER)], 20.0, "tiny", 1),
        ([(200, f"```json\n{ANSWER}\n```")], 20.0, "tiny", 1),
        ([(500, "boom"), (200, ANSWER)], 20.0, "tiny", 2),
        ([(200, "no JSON"), (200, ANSWER)], 20.0, "tiny", 2),
        ([(500, "boom"), (500, "boom")], 20.0, "extractive", 2),
        ([None], 0.2, "extractive", None),
    ],
    ids=["good", "fenced", "500 then good", "prose then good", "500 twice", "hangs"],
)
def test_a_configured_endpoint_writes_or_the_extractive_draft_stands(endpoint, replies, timeout_s, author, calls):
    """Nothing is fetched from anywhere else: the network beyond loopback is closed in every test."""
    url, asked = endpoint(*replies)
    model = open_model(read_settings(llm_url=url, llm_model="tiny"))
    draft = Drafter(model, timeout_s=timeout_s).summary(INCIDENT, EVIDENCE, RANKING)
    extractive = said(Drafter(None).summary(INCIDENT, EVIDENCE, RANKING))
    expected = extractive if author == "extractive" else {"What's going on": [(TEXT, ("I",))]}

    # A call given up after 0.2 s may reach the server later than that.
    assert (draft.author, said(draft), len(asked) if calls else None) == (author, expected, calls)
