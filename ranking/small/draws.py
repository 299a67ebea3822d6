"""Which texts the small Llama sees together, step by step.

Does: draw each step's batch from a seed and the step's number alone, so that a training goes on where it stopped.
Does not: read histories (`ranking.small.pairs`) or compute anything.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ranking.small.pairs import CommitText, Pair, RepositoryTexts

T = TypeVar("T")

#: Wrong answers come from so many commits of the sample before the incident: what a first stage would also consider.
_NEAR = 60
#: A batch comes from a stretch of so many batches' pairs, so that its culprits are of one time and hard to tell apart.
_LABELLED_STRETCH, _OWN_STRETCH = 3, 4
#: How often an incident is told in a sentence or two only, as a page does, and how long such a sentence must be.
_SHORTENED, _SENTENCE = 0.35, 25
#: Of three steps two are of incidents, one of messages.
_EVERY = 3
#: Batches that are sorted by length together.
_SORTED = 32


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One batch: each question belongs to the document at the same place; the documents behind those are wrong for all."""

    questions: tuple[str, ...]
    documents: tuple[str, ...]
    #: The commit each document is of: where it stands twice, the other one is no wrong answer.
    shas: tuple[str, ...]
    #: Whether the questions are incidents.
    labelled: bool


class Drawer:
    """Batches of pairs.

    Args:
        repositories: what is learned from.
        batch: pairs of one batch at most.
        negatives: wrong commits beside them at most.
    """

    def __init__(self, repositories: Sequence[RepositoryTexts], *, batch: int, negatives: int, seed: int) -> None:
        self._batch, self._negatives, self._seed = batch, negatives, seed
        self._labelled = [part for part in repositories if part.pairs]
        self._own = [own for part in repositories if len(own := [text for text in part.commits if text.body]) > 1]

    @property
    def empty(self) -> bool:
        """Whether there is no pair of either kind."""
        return not self._labelled and not self._own

    def draw(self, step: int) -> Draw:
        """The batch of a step: two of three of incidents, the third of messages, as far as there are both."""
        rng = random.Random(f"{self._seed}:pairs:{step}")
        if self._labelled and (step % _EVERY != _EVERY - 1 or not self._own):
            chosen = rng.choices(self._labelled, [len(part.pairs) ** 0.5 for part in self._labelled])[0]
            pairs = _stretch(chosen.pairs, self._batch, _LABELLED_STRETCH, rng)
            asked = [told_shorter(pair.incident, rng) for pair in pairs]
            return labelled_batch(pairs, asked, chosen.commits, self._negatives, rng)
        texts = _stretch(
            rng.choices(self._own, [len(own) ** 0.5 for own in self._own])[0], self._batch, _OWN_STRETCH, rng
        )
        return Draw(
            questions=tuple(text.body for text in texts),
            documents=tuple(text.head for text in texts),
            shas=tuple(text.sha for text in texts),
            labelled=False,
        )


def _stretch(things: Sequence[T], batch: int, times: int, rng: random.Random) -> list[T]:
    """A batch from things that stand near each other."""
    start = rng.randrange(max(1, len(things) - times * batch))
    near = things[start : start + times * batch]
    return rng.sample(near, min(batch, len(near)))


def labelled_batch(
    pairs: Sequence[Pair], asked: Sequence[str], commits: Sequence[CommitText], negatives: int, rng: random.Random
) -> Draw:
    """Incidents, their culprits, and wrong commits made shortly before some of the incidents.

    Args:
        asked: how each pair's incident is told.
        commits: of the same repository, by time.
        negatives: how many wrong commits at most.
    """
    wrong = []
    for pair in rng.sample(list(pairs), min(negatives, len(pairs))):
        place = bisect.bisect_left(commits, pair.at, key=lambda text: text.at)
        if place:
            wrong.append(commits[rng.randrange(max(0, place - _NEAR), place)])
    documents = (*(pair.culprit for pair in pairs), *wrong)
    return Draw(
        questions=tuple(asked),
        documents=tuple(text.whole for text in documents),
        shas=tuple(text.sha for text in documents),
        labelled=True,
    )


def told_shorter(incident: str, rng: random.Random) -> str:
    """The incident as it is, or now and then only a sentence or two of it."""
    if rng.random() >= _SHORTENED:
        return incident
    sentences = [part for part in incident.split(". ") if len(part) > _SENTENCE] or [incident]
    start = rng.randrange(len(sentences))
    return ". ".join(sentences[start : start + rng.choice((1, 2))])


def text_batches(repositories: Sequence[RepositoryTexts], *, batch: int, seed: int) -> Iterator[list[str]]:
    """Commits and incidents in batches of alike length, over and over, in another order each time."""
    texts = [text.whole for part in repositories for text in part.commits]
    texts += [pair.incident for part in repositories for pair in part.pairs]
    for turn in itertools.count():
        rng = random.Random(f"{seed}:texts:{turn}")
        shuffled = rng.sample(texts, len(texts))
        for start in range(0, len(shuffled), batch * _SORTED):
            near = sorted(shuffled[start : start + batch * _SORTED], key=len)
            batches = [near[place : place + batch] for place in range(0, len(near), batch)]
            rng.shuffle(batches)
            yield from batches
