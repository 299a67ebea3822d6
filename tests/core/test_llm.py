"""The door to a language model: one contract over the real client and its fake, against a real server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from core.errors import ModelUnavailable, SettingsError
from core.llm import Deadline, LanguageModel, LlamaIndexModel, ScriptedModel, open_model
from core.settings import read_settings


class Endpoint:
    """An OpenAI-compatible server that answers as told and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.status, self.text = 200, "hello"
        self.release = threading.Event()
        self.hang = False
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(json.loads(request.rfile.read(int(request.headers["Content-Length"]))))
        self.keys.append(request.headers["Authorization"])
        if self.hang:
            self.release.wait(30)
        message = {"role": "assistant", "content": self.text}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "tiny", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}  # fmt: skip
        raw = json.dumps(body if self.status == 200 else {"error": {"message": "no GPU left"}}).encode()
        try:
            request.send_response(self.status)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(raw)))
            request.end_headers()
            request.wfile.write(raw)
        except OSError:  # the caller gave up, as it should
            request.close_connection = True

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A model server on loopback."""
    server = Endpoint()
    yield server
    server.close()


def opened(endpoint: Endpoint, **changes: Any) -> LanguageModel:
    """The configured model."""
    model = open_model(read_settings(llm_url=endpoint.url, llm_model="tiny", **changes))
    assert model is not None
    return model


@pytest.mark.parametrize("kind", ["scripted", "openai-like"])
def test_a_model_answers_with_text(kind, endpoint):
    """The contract of the door, over the fake and over a real endpoint."""
    model = ScriptedModel("hello") if kind == "scripted" else opened(endpoint)

    assert (model.complete("be brief", "hi", timeout_s=20), model.name) == (
        "hello",
        "scripted" if kind == "scripted" else "tiny",
    )


@pytest.mark.parametrize("kind", ["scripted", "openai-like"])
def test_a_model_that_fails_says_so(kind, endpoint):
    """Whatever goes wrong behind the door is one error before it."""
    endpoint.status = 500
    model = ScriptedModel() if kind == "scripted" else opened(endpoint)

    with pytest.raises(ModelUnavailable):
        model.complete("be brief", "hi", timeout_s=20)


def test_an_endpoint_is_asked_once_for_a_short_plain_answer(endpoint):
    """System and user message, no sampling, bounded length, the key in its header; no retry behind our back."""
    opened(endpoint, llm_api_key=SecretStr("k-1")).complete("be brief", "hi", timeout_s=20)
    asked = endpoint.asked[0]

    assert (
        [(message["role"], message["content"]) for message in asked["messages"]],
        (asked["model"], asked["temperature"], asked["max_tokens"], asked.get("tools")),
        endpoint.keys,
    ) == ([("system", "be brief"), ("user", "hi")], ("tiny", 0.0, 1024, None), ["Bearer k-1"])


def test_a_failing_endpoint_is_not_asked_again_behind_our_back(endpoint):
    """Who calls decides on a retry; the time is theirs."""
    endpoint.status = 500
    with pytest.raises(ModelUnavailable, match="no GPU left"):
        opened(endpoint).complete("be brief", "hi", timeout_s=20)

    assert len(endpoint.asked) == 1


def test_an_endpoint_that_hangs_is_given_up_in_time(endpoint):
    """The caller's budget holds, whatever the server does."""
    endpoint.hang = True

    with pytest.raises(ModelUnavailable, match=r"gave no answer: nothing within 0\.2 s"):
        opened(endpoint).complete("be brief", "hi", timeout_s=0.2)


def test_a_model_that_keeps_hanging_is_not_asked_for_ever():
    """Four calls left behind, and the fifth fails at once; when they end it is asked again."""
    from llama_index.core.llms import MockLLM

    release, calls = threading.Event(), []

    class Hanging(MockLLM):
        def chat(self, messages: Any, **kwargs: Any) -> Any:
            calls.append(messages)
            release.wait(30)
            return super().chat(messages, **kwargs)

    model = LlamaIndexModel(Hanging(), "hanging")
    told = []
    for _ in range(5):
        with pytest.raises(ModelUnavailable) as failure:
            model.complete("s", "u", timeout_s=0.05)
        told.append(failure.value.what)
    release.set()
    for thread in model._left_behind:
        thread.join(10)

    assert (told, len(calls), bool(model.complete("s", "u", timeout_s=20))) == (
        ["the model hanging gave no answer"] * 4 + ["the model hanging was not asked"],
        4,
        True,
    )


def test_without_an_address_there_is_no_model():
    """The extractive drafter writes."""
    assert open_model(read_settings()) is None


def test_a_deadline_only_runs_down():
    """And ends at 0."""
    spent, fresh = Deadline(0.0), Deadline(1000.0)

    assert (spent.left_s, 0 < fresh.left_s <= 1000.0) == (0.0, True)


def test_any_llama_index_model_by_its_class():
    """LlamaIndex's own mock stands for every other; it says back what it was told."""
    settings = read_settings(llm_class="llama_index.core.llms.MockLLM", llm_options={"max_tokens": 3})
    model = open_model(settings)

    assert model is not None
    assert (model.name, bool(model.complete("system", "user", timeout_s=20))) == ("MockLLM", True)


@pytest.mark.parametrize("path", ["nowhere.Model", "llama_index.core.llms.Nothing", "pathlib.Path", "word"])
def test_a_model_class_that_cannot_be_used_is_named(path):
    """With what to do about it."""
    with pytest.raises(SettingsError, match=path):
        open_model(read_settings(llm_class=path))
