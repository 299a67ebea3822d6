"""A Llama that votes on culprits by log-probability.

Does: put at most 20 candidates in one prompt, fill it once, and read how likely the model finds each one's number as the
answer; average that over a few fixed arrangements, so that the order in which candidates come in changes nothing.
Does not: let the model write anything, choose candidates, train, or say how much its vote counts (`ranking.scorer`).

Any causal language model of `transformers` will do, by hub id or folder, with a LoRA adapter if there is one. The
incident and the commits are untrusted text; the model's only way to answer is a number's probability.
"""

from __future__ import annotations

import copy
import hashlib
import math
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import ModelUnavailable, UsageError
from ranking.llama.election import ARRANGEMENTS, arrangements, check_size, log_softmax, shared_out
from ranking.llama.prompt import NONE, TRAINING_FILE, Layout, Prompt, read_training

#: Tokens read between two looks at the clock.
_STEP_TOKENS = 256
#: Seconds for which a model that could not be loaded is not tried again.
_FAILED_S = 600.0
#: Values of each weight that go into a model's digest.
_SAMPLE = 8


@dataclass(frozen=True, kw_only=True)
class Poll:
    """What a model found, averaged over arrangements."""

    #: Log-probability of each candidate if one of them did it, in the order given; together they are certain.
    votes: tuple[float, ...]
    #: Log-probability that none of them did. It means something only from a model trained with such lists.
    none: float


class LlamaVoter:
    """A causal language model from a hub id or a folder; loaded at the first vote.

    Args:
        model: hub id or folder.
        adapter: hub id or folder of a LoRA adapter.
        arrangements: how many orders of the candidates are averaged.
    """

    def __init__(self, model: str, *, adapter: str | None = None, arrangements: int = ARRANGEMENTS) -> None:
        self._source, self._adapter, self._arrangements = model, adapter, arrangements
        self._loading: Future[tuple[Any, Any, Layout]] | None = None
        self._failed_at = -math.inf
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The last parts of its id or path, and of its adapter's."""
        parts = [self._source, self._adapter] if self._adapter else [self._source]
        return "+".join(part.rstrip("/").rpartition("/")[2] for part in parts if part)

    def vote(self, incident: str, candidates: Sequence[str], *, budget_s: float) -> list[float]:
        """See `CulpritModel.vote`."""
        return list(self.poll(incident, candidates, budget_s=budget_s).votes)

    def poll(self, incident: str, candidates: Sequence[str], *, budget_s: float) -> Poll:
        """A vote, and how likely it is that none of the candidates did it.

        Args, raises: as `vote`.
        """
        check_size(candidates)
        if not candidates:
            return Poll(votes=(), none=0.0)
        end = time.monotonic() + budget_s
        if not self._lock.acquire(timeout=budget_s):
            raise self._late(budget_s)
        try:
            return self._poll(incident, candidates, end, budget_s)
        except ModelUnavailable:
            raise
        except Exception as error:
            raise ModelUnavailable(
                f"the ranking model {self.name} failed",
                why=str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}",
                way_out="unset RUNDOWN_RANKER_MODEL to rank by features alone",
            ) from error
        finally:
            self._lock.release()

    def _poll(self, incident: str, candidates: Sequence[str], end: float, budget_s: float) -> Poll:
        import torch

        loaded = self._ready(end, budget_s)
        # Equal texts stand once: two of them would share a number's votes by chance of their places.
        texts = list(dict.fromkeys(candidates))
        sums, finished = [0.0] * (len(texts) + 1), 0
        with torch.inference_mode():
            reading = _Reading(*loaded, incident, texts, end)
            for order in arrangements(texts, self._arrangements):
                votes = reading.votes(order)
                if votes is None:
                    break
                for place, value in enumerate(log_softmax(votes)):
                    sums[len(texts) if place == NONE else order[place - 1]] += value
                finished += 1
        if not finished:
            raise self._late(budget_s)
        found = log_softmax([value / finished for value in sums])
        strength = dict(zip(texts, found, strict=False))
        return Poll(votes=tuple(shared_out(candidates, strength)), none=found[-1])

    def _ready(self, end: float, budget_s: float) -> tuple[Any, Any, Layout]:
        """The model, waited for no longer than the vote may take: its loading goes on, for the next.

        A hub that does not answer is asked for a minute before it is given up, and a page must not wait for that; nor the next
        page again, so a failure is remembered for a while.
        """
        forgotten = time.monotonic() - self._failed_at > _FAILED_S
        if self._loading is None or (forgotten and self._loading.done() and self._loading.exception()):
            self._loading = Future()
            threading.Thread(target=self._fill, args=(self._loading,), daemon=True, name="load a ranking model").start()
        wait([self._loading], timeout=max(0.0, end - time.monotonic()))
        if not self._loading.done():
            raise self._late(budget_s, "it is still being loaded")
        return self._loading.result()

    def _fill(self, loading: Future[tuple[Any, Any, Layout]]) -> None:
        try:
            loading.set_result(self._load())
        except Exception as error:
            self._failed_at = time.monotonic()
            loading.set_exception(error)

    def _load(self) -> tuple[Any, Any, Layout]:
        """The model, ready to read, its tokenizer, and the layout it was trained with."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            trained = find_training(self._adapter or self._source)
            tokenizer = AutoTokenizer.from_pretrained(self._source)
            model = AutoModelForCausalLM.from_pretrained(self._source, dtype=torch.bfloat16)
            if self._adapter:
                model = self._adapted(model, self._adapter, trained[1] if trained else None)
        except (OSError, ValueError) as error:
            raise ModelUnavailable(
                f"cannot load the ranking model {self.name}",
                why=str(error).partition("\n")[0],
                way_out="check RUNDOWN_RANKER_MODEL and RUNDOWN_RANKER_ADAPTER",
            ) from error
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return model.eval().to(device), tokenizer, trained[0] if trained else Layout()

    def _adapted(self, model: Any, adapter: str, base_digest: str | None) -> Any:
        """The model with a LoRA adapter merged into its weights."""
        from peft import PeftModel

        foreign = ModelUnavailable(
            f"the adapter {adapter} does not belong to the ranking model {self._source}",
            why="it was trained on other weights",
            way_out="set RUNDOWN_RANKER_MODEL to the base that the adapter's README names",
        )
        if base_digest and base_digest != digest_of(model):
            raise foreign
        with quiet_peft():
            try:
                return PeftModel.from_pretrained(model, adapter).merge_and_unload()
            except RuntimeError as error:  # weights of other shapes, where no digest was kept
                raise foreign from error

    def _late(self, budget_s: float, why: str = "") -> ModelUnavailable:
        return ModelUnavailable(
            f"the ranking model {self.name} gave no vote",
            why=f"{why} after {budget_s:g} s" if why else f"nothing within {budget_s:g} s",
            way_out="wait for it, or choose a smaller model" if why else "choose a smaller model",
        )


class _Reading:
    """One incident read by a model: its words once, then each arrangement of the candidates after them."""

    def __init__(
        self, model: Any, tokenizer: Any, layout: Layout, incident: str, candidates: Sequence[str], end: float
    ) -> None:
        from transformers import DynamicCache

        self._model, self._end = model, end
        self._prompt = Prompt(tokenizer, layout, room_of(model), incident=incident, candidates=candidates)
        self._cache: Any = None
        self._new_cache: Any = partial(DynamicCache, config=model.config)

    def votes(self, order: Sequence[int]) -> list[float] | None:
        """The log-probability of each number, "none of these" first, or None when time is up."""
        import torch

        if self._cache is None:
            self._cache = self._new_cache()
            if self._read(self._prompt.start, self._cache) is None:
                return None
        cache = copy.deepcopy(self._cache)
        last = self._read(self._prompt.arranged(order), cache)
        if last is None:
            return None
        answers = self._prompt.answers
        longest = max(map(len, answers))
        rows = torch.tensor([[*answer, *[0] * (longest - len(answer))] for answer in answers], device=last.device)
        first = torch.log_softmax(last.float(), -1)[rows[:, 0]]
        totals = [float(value) for value in first]
        if longest > 1:
            cache.batch_repeat_interleave(len(answers))
            logits = self._model(input_ids=rows[:, :-1], past_key_values=cache, use_cache=True).logits.float()
            rest = torch.log_softmax(logits, -1).gather(-1, rows[:, 1:, None])[..., 0]
            for index, answer in enumerate(answers):
                totals[index] += float(rest[index, : len(answer) - 1].sum())
        return totals

    def _read(self, tokens: list[int], cache: Any) -> Any:
        """Fill the cache with these tokens; the logits after the last one, or None when time is up."""
        import torch

        logits = None
        for start in range(0, len(tokens), _STEP_TOKENS):
            if time.monotonic() > self._end:
                return None
            rows = torch.tensor([tokens[start : start + _STEP_TOKENS]], device=self._model.device)
            output = self._model(input_ids=rows, past_key_values=cache, use_cache=True, logits_to_keep=1)
            logits = output.logits[0, -1]
        return logits


def room_of(model: Any) -> int:
    """Tokens a model can read."""
    return int(getattr(model.config, "max_position_embeddings", 0) or 4096)


def find_training(source: str) -> tuple[Layout, str] | None:
    """What `ranking.llama.train` left beside a model or an adapter, by folder or hub id; None for another's.

    Raises:
        ValueError: the file is there and cannot be read.
    """
    from transformers.utils import cached_file

    try:
        path = cached_file(source, TRAINING_FILE)
    except OSError:  # the hub client's word for "no such file", and for a folder that is not there: loading will say so
        return None
    return read_training(Path(path)) if path else None


def digest_of(model: Any) -> str:
    """A short digest of a model's weights: the shape and first values of each, as bfloat16, in which it votes."""
    import torch

    digest = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        first = weight.detach().flatten()[:_SAMPLE].to("cpu", torch.bfloat16).view(torch.int16)
        digest.update(f"{name} {tuple(weight.shape)} {first.tolist()}\n".encode())
    return digest.hexdigest()[:16]


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Without one warning: peft asks transformers by a name that is going away; nothing we could change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
