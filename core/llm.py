"""The door to a language model, with a hard limit on how long it may take.

Does: one call, text in and text out, given up after `timeout_s` whatever the model does; the deadline callers share; its fake.
Does not: know prompts, retry, or trust the answer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import ModelUnavailable
from core.named import build_named

if TYPE_CHECKING:
    from core.settings import Settings

#: Calls given up on and still running, after which the model is not called again until one of them ends.
_MOST_LEFT_BEHIND = 4
#: Tokens an answer may have: every schema fits, and a model that rambles ends.
_MOST_TOKENS = 1024


class LanguageModel(Protocol):
    """Anything that completes a conversation of one system and one user message."""

    @property
    def name(self) -> str:
        """What to call it in a release and on the card's footer."""
        ...

    def complete(self, system: str, user: str, *, timeout_s: float) -> str:
        """The model's answer.

        Raises:
            ModelUnavailable: no answer within `timeout_s` seconds, or the model failed.
        """
        ...


class Deadline:
    """A time budget that several calls share.

    Args:
        seconds: how long they may take together, from now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._end - time.monotonic())


class LlamaIndexModel:
    """Any LlamaIndex LLM behind the door.

    Args:
        llm: an instance of `llama_index.core.llms.LLM`.
        name: what to call it.
    """

    def __init__(self, llm: Any, name: str) -> None:
        self._llm, self._name = llm, name
        self._left_behind: list[threading.Thread] = []

    @property
    def name(self) -> str:
        """What to call it."""
        return self._name

    def complete(self, system: str, user: str, *, timeout_s: float) -> str:
        """The model's answer; the call runs on a thread of its own, which is left behind if it hangs.

        Raises:
            ModelUnavailable: no answer in time, a failure, or too many earlier calls that still hang.
        """
        self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
        if len(self._left_behind) >= _MOST_LEFT_BEHIND:
            raise ModelUnavailable(
                f"the model {self._name} was not asked",
                why=f"{len(self._left_behind)} earlier calls still hang",
                way_out="check RUNDOWN_LLM_URL",
            )
        outcome: list[str | Exception] = []
        thread = threading.Thread(
            target=self._call, args=(system, user, outcome), name=f"llm-{self._name}", daemon=True
        )
        thread.start()
        thread.join(timeout_s)
        if not outcome:
            self._left_behind.append(thread)
            raise ModelUnavailable(
                f"the model {self._name} gave no answer",
                why=f"nothing within {timeout_s:.1f} s",
                way_out="check RUNDOWN_LLM_URL or raise RUNDOWN_LLM_TIMEOUT_S",
            )
        if isinstance(outcome[0], Exception):
            raise ModelUnavailable(
                f"the model {self._name} failed",
                why=str(outcome[0]),
                way_out="check RUNDOWN_LLM_URL and RUNDOWN_LLM_MODEL",
            ) from outcome[0]
        return outcome[0]

    def _call(self, system: str, user: str, outcome: list[str | Exception]) -> None:
        try:
            from llama_index.core.llms import ChatMessage, MessageRole

            messages = [
                ChatMessage(role=MessageRole.SYSTEM, content=system),
                ChatMessage(role=MessageRole.USER, content=user),
            ]
            outcome.append(str(self._llm.chat(messages).message.content or ""))
        except Exception as error:
            outcome.append(error)


class ScriptedModel:
    """The fake: answers what was queued, and remembers what it was asked. An exception in the queue is raised."""

    name = "scripted"

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = deque(answers)
        self.asked: list[tuple[str, str]] = []

    def complete(self, system: str, user: str, *, timeout_s: float) -> str:
        """The next queued answer.

        Raises:
            ModelUnavailable: the queue is empty, or an exception in it that is not one already.
        """
        self.asked.append((system, user))
        if not self.answers:
            raise ModelUnavailable("the scripted model has no answer left")
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


def open_model(settings: Settings) -> LanguageModel | None:
    """The configured model, or None when the extractive drafter is to write. Opens no connection yet."""
    if settings.llm_class:
        return LlamaIndexModel(
            _named_model(settings),
            settings.llm_model or settings.llm_class.rpartition(".")[2],
        )
    if not settings.llm_url:
        return None
    from llama_index.llms.openai_like import OpenAILike

    name = settings.llm_model or "default"
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else "none"
    llm = OpenAILike(
        model=name,
        api_base=settings.llm_url,
        api_key=key,
        is_chat_model=True,
        timeout=settings.llm_timeout_s,
        max_retries=0,
        max_tokens=_MOST_TOKENS,
        temperature=0.0,
    )
    return LlamaIndexModel(llm, name)


def _named_model(settings: Settings) -> Any:
    """An LLM of LlamaIndex by the path of its class."""
    from llama_index.core.llms import LLM

    return build_named(
        settings.llm_class or "",
        settings.llm_options,
        kind=LLM,
        what="model",
        setting="RUNDOWN_LLM_CLASS",
        example="llama_index.llms.ollama.Ollama",
    )
