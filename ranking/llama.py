"""The door to a model that votes on culprits: a Llama by log-probability, and its fake.

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
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from core.errors import ModelUnavailable

#: Candidates that fit one prompt: what Meta's election used (engineering.fb.com, June 2024).
ELECTION_SIZE = 20
#: Arrangements of the candidates that are averaged; each costs one reading of the list.
ARRANGEMENTS = 4
_INCIDENT_TOKENS = 384
_CANDIDATE_TOKENS = 48
#: Tokens read between two looks at the clock.
_STEP_TOKENS = 256
_TASK = "One of the numbered changes below caused this incident.\n\nIncident:\n"
_ASK = "\n\nThe change that caused the incident is number "


class CulpritModel(Protocol):
    """Anything that can say how likely each of a few candidates is the culprit."""

    @property
    def name(self) -> str:
        """What to call it in a release and in a reason."""
        ...

    def vote(self, incident: str, candidates: Sequence[str], *, budget_s: float) -> list[float]:
        """The log-probability of each candidate, in the order given; their probabilities add up to one.

        Args:
            incident: the incident's words.
            candidates: one text each, `ELECTION_SIZE` at most; the same whatever their order.
            budget_s: seconds after which to stop; an average over fewer arrangements is given if one was finished.

        Raises:
            ModelUnavailable: it cannot be loaded, failed, or finished nothing within the budget.
        """
        ...


class WordModel:
    """The fake: the more words of the incident a candidate holds, the likelier. Deterministic, instant, no weights.

    Args:
        failure: raised instead of an answer.
    """

    name = "words"

    def __init__(self, failure: ModelUnavailable | None = None) -> None:
        self._failure = failure
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def vote(self, incident: str, candidates: Sequence[str], *, budget_s: float) -> list[float]:
        """See `CulpritModel.vote`."""
        _check_size(candidates)
        self.asked.append((incident, tuple(candidates)))
        if self._failure:
            raise self._failure
        wanted = set(incident.lower().split())
        return log_softmax([float(len(wanted & set(candidate.lower().split()))) for candidate in candidates])


class LlamaVoter:
    """A causal language model from a hub id or a folder; loaded at the first vote.

    Args:
        model: hub id or folder.
        adapter: hub id or folder of a LoRA adapter.
        arrangements: how many orders of the candidates are averaged.
    """

    def __init__(self, model: str, *, adapter: str | None = None, arrangements: int = ARRANGEMENTS) -> None:
        self._source, self._adapter, self._arrangements = model, adapter, arrangements
        self._loaded: tuple[Any, Any] | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The last parts of its id or path, and of its adapter's."""
        parts = [self._source, self._adapter] if self._adapter else [self._source]
        return "+".join(part.rstrip("/").rpartition("/")[2] for part in parts if part)

    def vote(self, incident: str, candidates: Sequence[str], *, budget_s: float) -> list[float]:
        """See `CulpritModel.vote`."""
        _check_size(candidates)
        if not candidates:
            return []
        end = time.monotonic() + budget_s
        if not self._lock.acquire(timeout=budget_s):
            raise self._late(budget_s)
        try:
            return self._vote(incident, candidates, end, budget_s)
        except ModelUnavailable:
            raise
        except Exception as error:
            raise ModelUnavailable(
                f"the ranking model {self.name} failed",
                why=f"{type(error).__name__}: {error}",
                way_out="unset RUNDOWN_RANKER_MODEL to rank by features alone",
            ) from error
        finally:
            self._lock.release()

    def _vote(self, incident: str, candidates: Sequence[str], end: float, budget_s: float) -> list[float]:
        import torch

        if self._loaded is None:
            self._loaded = self._load()
        sums, finished = [0.0] * len(candidates), 0
        with torch.inference_mode():
            reading = _Reading(*self._loaded, incident, len(candidates), end)
            for order in arrangements(candidates, self._arrangements):
                votes = reading.votes([candidates[index] for index in order])
                if votes is None:
                    break
                for index, value in zip(order, log_softmax(votes), strict=True):
                    sums[index] += value
                finished += 1
        if not finished:
            raise self._late(budget_s)
        return log_softmax([value / finished for value in sums])

    def _load(self) -> tuple[Any, Any]:
        """The model, ready to read, and its tokenizer."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self._source)
            model = AutoModelForCausalLM.from_pretrained(self._source, dtype=torch.bfloat16)
            if self._adapter:
                model = _with_adapter(model, self._adapter)
        except (OSError, ValueError) as error:
            raise ModelUnavailable(
                f"cannot load the ranking model {self.name}",
                why=str(error).partition("\n")[0],
                way_out="check RUNDOWN_RANKER_MODEL and RUNDOWN_RANKER_ADAPTER",
            ) from error
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return model.eval().to(device), tokenizer

    def _late(self, budget_s: float) -> ModelUnavailable:
        return ModelUnavailable(
            f"the ranking model {self.name} gave no vote",
            why=f"nothing within {budget_s:g} s",
            way_out="choose a smaller model",
        )


def _with_adapter(model: Any, adapter: str) -> Any:
    """The model with a LoRA adapter merged into its weights."""
    from peft import PeftModel

    with warnings.catch_warnings():
        # peft asks transformers by a name that is going away; nothing we could change.
        warnings.simplefilter("ignore", FutureWarning)
        return PeftModel.from_pretrained(model, adapter).merge_and_unload()


class _Reading:
    """One incident read by a model: its words once, then each arrangement of the candidates after them."""

    def __init__(self, model: Any, tokenizer: Any, incident: str, count: int, end: float) -> None:
        from transformers import DynamicCache

        self._model, self._tokenizer, self._end = model, tokenizer, end
        room = int(getattr(model.config, "max_position_embeddings", 0) or 4096)
        fixed = len(self._encode(_TASK)) + len(self._encode(_ASK)) + 8 * (count + 1)
        # A short context is shared: a third for the incident, the rest for the candidates.
        self._per_candidate = max(1, min(_CANDIDATE_TOKENS, (room - fixed) * 2 // 3 // count))
        words = max(1, min(_INCIDENT_TOKENS, room - fixed - self._per_candidate * count))
        start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
        self._start = [*start, *self._encode(_TASK), *self._encode(incident)[:words]]
        self._cache: Any = None
        self._new_cache: Any = partial(DynamicCache, config=model.config)

    def votes(self, candidates: Sequence[str]) -> list[float] | None:
        """The log-probability of each candidate's number, or None when time is up."""
        import torch

        if self._cache is None:
            self._cache = self._new_cache()
            if self._read(self._start, self._cache) is None:
                return None
        cache = copy.deepcopy(self._cache)
        listed = [
            token
            for number, candidate in enumerate(candidates, 1)
            for token in (*self._encode(f"\n[{number:02d}] "), *self._encode(candidate)[: self._per_candidate])
        ]
        last = self._read([*listed, *self._encode(_ASK)], cache)
        if last is None:
            return None
        answers = [self._encode(f"{number:02d}") for number in range(1, len(candidates) + 1)]
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

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))


def arrangements(candidates: Sequence[str], count: int) -> list[list[int]]:
    """Orders of the candidates that depend on what they say, not on how they come in.

    They are sorted by a hash of their text; each further arrangement turns that circle on, so that every candidate
    stands in `count` places spread evenly over the list.
    """
    circle = sorted(range(len(candidates)), key=lambda index: _hash(candidates[index]))
    count = max(1, min(count, len(circle)))
    turns = (len(circle) * turn // count for turn in range(count))
    return [circle[turn:] + circle[:turn] for turn in turns]


def log_softmax(values: Sequence[float]) -> list[float]:
    """Scores as log-probabilities that add up to one."""
    top = max(values, default=0.0)
    total = top + math.log(sum(math.exp(value - top) for value in values)) if values else 0.0
    return [value - total for value in values]


def _check_size(candidates: Sequence[str]) -> None:
    if len(candidates) > ELECTION_SIZE:
        raise ValueError(f"{len(candidates)} candidates in one election; the first stage must choose {ELECTION_SIZE}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
