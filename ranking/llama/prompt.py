"""The one prompt of an election, for voting and for training: how an incident and its candidates become tokens.

Does: say what a candidate looks like, take secrets out, give each part its share of the context, and number the
candidates in any order.
Does not: run a model, choose candidates, or let their text pose as anything but text: a candidate is one line, and no
word of it becomes a control token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import UsageError
from core.model import Commit
from core.redaction import redact

#: Beside a trained model's weights: its data, its recipe and its numbers; a vote reads its layout and its base's digest.
TRAINING_FILE = "training.json"
#: The number that stands for "none of these".
NONE = 0

_TASK = "An incident, and changes made before it. One of them caused it, or none did: that is number 00.\n\nIncident:\n"
_LIST = "\n\nChanges:"
_BEFORE, _AFTER = "\n[", "] "
_ASK = "\n\nThe incident was caused by change ["
#: A candidate of fewer tokens says nothing.
_LEAST_TOKENS = 4
#: Characters looked at for each token that may be kept: more than any tokenizer puts into one.
_REACH = 24


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How many tokens each part of the prompt may take. A model votes best with the layout it was trained with."""

    incident_tokens: int = 384
    candidate_tokens: int = 48
    #: Of the whole prompt with its answer; a model that reads less sets its own limit.
    context: int = 4096


class _LayoutRow(BaseModel):
    model_config = ConfigDict(frozen=True)

    incident_tokens: int = Field(gt=0)
    candidate_tokens: int = Field(gt=0)
    context: int = Field(gt=0)


class _TrainingFile(BaseModel):
    """What a vote reads of `TRAINING_FILE`; its other keys are for people."""

    layout: _LayoutRow
    base_digest: str


def read_training(path: Path) -> tuple[Layout, str]:
    """The layout a model was trained with, and the digest of the weights its adapter belongs to.

    Raises:
        ValueError: the file is not what `ranking.llama.train` writes.
    """
    try:
        found = _TrainingFile.model_validate(json.loads(path.read_text(encoding="utf8")))
    except (ValidationError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} does not describe a training of Rundown's") from error
    return Layout(**found.layout.model_dump()), found.base_digest


def describe(commit: Commit) -> str:
    """A candidate as a model reads it: where, what, which files, and the start of its message. Its id says nothing."""
    files = ", ".join(change.path for change in commit.files[:6])
    more = f" and {len(commit.files) - 6} more" if len(commit.files) > 6 else ""
    return " | ".join(part for part in (commit.repo, commit.subject, files + more, commit.body[:300]) if part)


class Prompt:
    """One election in tokens: the incident once, then any arrangement of its candidates.

    Args:
        tokenizer: of `transformers`.
        layout: how long each part may be.
        room: tokens the model can read, whatever the layout says.
        incident: its words.
        candidates: one text each.

    Attributes:
        start: the prompt up to the list of candidates.
        answers: what stands for each number, by number: 0 is "none of these", 1 the first candidate listed.

    Raises:
        UsageError: so many candidates do not fit.
    """

    def __init__(self, tokenizer: Any, layout: Layout, room: int, *, incident: str, candidates: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        count = len(candidates)
        self.answers = [self._encode(f"{number:02d}") for number in range(count + 1)]
        self._before, self._after, self._ask = map(self._encode, (_BEFORE, _AFTER, _ASK))
        start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
        start += self._encode(_TASK)
        listing = self._encode(_LIST)
        fixed = len(start) + len(listing) + len(self._ask) + len(self.answers[-1])
        fixed += sum(len(self._before) + len(answer) + len(self._after) for answer in self.answers[1:])
        words, each = _shares(layout, room, fixed, count)
        self.start = [*start, *self._text(incident, words), *listing]
        self._candidates = [self._text(" ".join(text.split()), each) for text in candidates]

    def arranged(self, order: Sequence[int]) -> list[int]:
        """What follows `start`: the candidates in an order, and the question.

        Args:
            order: the index of the candidate in each place.
        """
        tokens: list[int] = []
        for number, index in enumerate(order, 1):
            tokens += [*self._before, *self.answers[number], *self._after, *self._candidates[index]]
        return [*tokens, *self._ask]

    def _text(self, text: str, limit: int) -> list[int]:
        # Cut before and after redaction: a secret must not be cut in two, and a huge log not be read to its end.
        return self._encode(redact(text[: 2 * _REACH * limit])[: _REACH * limit])[:limit]

    def _encode(self, text: str) -> list[int]:
        # Untrusted text may spell a control token: it is split like any other word.
        return list(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))


def _shares(layout: Layout, room: int, fixed: int, count: int) -> tuple[int, int]:
    """Tokens for the incident and for each candidate: of a short context a third and the rest."""
    context = min(layout.context, room)
    spare = context - fixed
    each = min(layout.candidate_tokens, spare * 2 // 3 // max(1, count))
    if each < min(_LEAST_TOKENS, layout.candidate_tokens):
        raise UsageError(
            f"cannot put {count} candidates before a model that reads {context} tokens",
            why=f"the task and the numbers alone take {fixed}",
            way_out="choose a model, or a context, of 2048 tokens or more",
        )
    return min(layout.incident_tokens, spare - each * count), each
