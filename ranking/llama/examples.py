"""What a model learns culprits from: incidents with a few candidates, of which one did it or none.

Does: make lists of 2 to 20 candidates from ranked incidents, keep out what is later than the incident, take secrets out,
write examples to a file and read them back.
Does not: rank, label incidents, decide which incidents may be learned from, or put anything into tokens.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import CaseError
from core.model import Commit, Incident, from_unix
from core.redaction import redact
from ranking.llama.election import ELECTION_SIZE
from ranking.llama.prompt import describe

#: Of the wrong candidates of a list, the share taken from those that the first stage ranks highest.
_HARD_SHARE = 0.7


@dataclass(frozen=True, kw_only=True)
class Example:
    """One list a model is shown, and what it should answer. Holds no secret that `core.redaction` knows."""

    incident: str
    #: When it began: the latest moment of what the example holds.
    at: datetime
    candidates: tuple[str, ...]
    #: Index of the culprit, or None when none of them did it.
    culprit: int | None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"Example.at is {self.at!r}, a time without a zone: give one")
        if not 1 <= len(self.candidates) <= ELECTION_SIZE:
            raise ValueError(f"{len(self.candidates)} candidates in one example; it holds 1 to {ELECTION_SIZE}")
        if self.culprit is not None and not 0 <= self.culprit < len(self.candidates):
            raise ValueError(f"the culprit is candidate {self.culprit} of {len(self.candidates)}")


@dataclass(frozen=True, kw_only=True)
class RankedCase:
    """An incident as the first stage ranked it, and what caused it."""

    incident: Incident
    #: Best first. Those committed at the incident or later are never used.
    ranked: tuple[Commit, ...]
    #: Ids of the commits that caused it; empty when no change did.
    culprits: frozenset[str]


def make_examples(
    cases: Iterable[RankedCase], *, seed: int, lists: int = 4, none_share: float = 0.1
) -> Iterator[Example]:
    """Lists for the first pass: of 2 to 20 candidates in random order, most of the wrong ones hard to tell.

    A case whose culprit is not among what it ranks teaches nothing and is passed over. The same case gives the same lists
    whatever other cases there are.

    Args:
        cases: ranked incidents.
        seed: of all choices.
        lists: how many of each incident.
        none_share: probability that a list leaves the culprit out, so that "none of these" is the answer.
    """
    for case in cases:
        pool = _before(case)
        did = [commit for commit in pool if commit.sha in case.culprits]
        others = [commit for commit in pool if commit.sha not in case.culprits]
        if len(others) < 2 or (case.culprits and not did):
            continue
        for number in range(lists):
            rng = random.Random(f"{seed} {case.incident.id} {number}")
            without = not did or rng.random() < none_share
            size = min(rng.randint(2, ELECTION_SIZE), len(others) + (not without))
            chosen = _wrong(others, size - (not without), rng)
            culprit = None if without else rng.choice(did)
            listed = [*chosen, culprit] if culprit else chosen
            rng.shuffle(listed)
            yield _example(case.incident, listed, culprit)


def ranked_examples(cases: Iterable[RankedCase]) -> Iterator[Example]:
    """Lists for the second pass: the first 20 candidates, as in a vote; the answer is none when the culprit was missed."""
    for case in cases:
        listed = _before(case)[:ELECTION_SIZE]
        if len(listed) > 1:
            yield _example(case.incident, listed, next((c for c in listed if c.sha in case.culprits), None))


def _before(case: RankedCase) -> list[Commit]:
    return [commit for commit in case.ranked if commit.committed_at < case.incident.created_at]


def _wrong(others: Sequence[Commit], count: int, rng: random.Random) -> list[Commit]:
    """So many wrong candidates: most from twice an election's best, the rest from anywhere."""
    best = others[: 2 * ELECTION_SIZE]
    hard = rng.sample(best, min(len(best), max(1, round(count * _HARD_SHARE))))
    taken = {commit.sha for commit in hard}
    rest = [commit for commit in others if commit.sha not in taken]
    return [*hard, *rng.sample(rest, count - len(hard))]


def _example(incident: Incident, listed: Sequence[Commit], culprit: Commit | None) -> Example:
    return Example(
        incident=redact(incident.text),
        at=incident.created_at,
        candidates=tuple(redact(describe(commit)) for commit in listed),
        culprit=listed.index(culprit) if culprit else None,
    )


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)

    incident: str = Field(min_length=1)
    at: float
    candidates: tuple[str, ...] = Field(min_length=1, max_length=ELECTION_SIZE)
    culprit: int | None = None


class _Text(BaseModel):
    text: str


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write examples, a line of JSON each; how many."""
    rows: Iterable[dict[str, object]] = (
        {
            "incident": redact(example.incident),
            "at": example.at.timestamp(),
            "candidates": [redact(text) for text in example.candidates],
            "culprit": example.culprit,
        }
        for example in examples
    )
    return _write(path, rows)


def read_examples(path: Path) -> list[Example]:
    """Examples from lines of `{"incident", "at" (unix s), "candidates", "culprit" (index, or null)}`.

    Raises:
        CaseError: the file cannot be read, or a line is no example; the message names file and line.
    """
    found = []
    for where, line in _lines(path):
        try:
            row = _Row.model_validate_json(line)
            at = from_unix(row.at)
            found.append(Example(incident=row.incident, at=at, candidates=row.candidates, culprit=row.culprit))
        except (ValidationError, ValueError) as error:
            raise _unreadable(where, error) from None
    return found


def write_texts(path: Path, texts: Iterable[str]) -> int:
    """Write texts for continued pre-training, a line of `{"text"}` each; how many."""
    return _write(path, ({"text": redact(text)} for text in texts))


def read_texts(path: Path) -> Iterator[str]:
    """The texts of such a file, one by one.

    Raises:
        CaseError: the file cannot be read, or a line holds no text; the message names file and line.
    """
    for where, line in _lines(path):
        try:
            yield _Text.model_validate_json(line).text
        except ValidationError as error:
            raise _unreadable(where, error) from None


def digest_of_examples(examples: Iterable[Example]) -> str:
    """A short digest of examples in their order: the same data, the same digest."""
    digest = hashlib.sha256()
    for example in examples:
        row = [example.incident, example.at.timestamp(), *example.candidates, example.culprit]
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:16]


def _write(path: Path, rows: Iterable[dict[str, object]]) -> int:
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf8") as lines:
            for count, row in enumerate(rows, 1):  # noqa: B007
                lines.write(json.dumps(row) + "\n")
    except OSError as error:
        raise CaseError(f"cannot write '{path}'", why=str(error), way_out="choose another file") from error
    return count


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Lines that are not empty, and where each stands."""
    try:
        with path.open(encoding="utf8") as lines:
            yield from ((f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"cannot read '{path}'", why=str(error), way_out="give a file of JSON lines") from error


def _unreadable(where: str, error: ValueError) -> CaseError:
    # The values stay out of the message: an incident may be private.
    why = (
        error.errors(include_input=False, include_url=False)[0]["msg"] if isinstance(error, ValidationError) else error
    )
    return CaseError(
        f"cannot learn from the line at {where}",
        why=str(why),
        way_out="write such files with `rundown train examples`",
    )
