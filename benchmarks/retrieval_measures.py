"""How good lists of documents are, how sure that is, and a chart of it.

Does: hit@1, hit@5, nDCG@10 and mean reciprocal rank of a list; intervals by bootstrap; how many questions are answered and how
many of those answers are right, at each threshold.
Does not: search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEASURES = ("hit@1", "hit@5", "nDCG@10", "MRR")
#: Documents of a list that count.
TOP = 10
RESAMPLES, SEED = 2_000, 20_261_120
_COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, kw_only=True)
class Query:
    """A question with its right answers."""

    id: str
    text: str
    difficulty: str
    kind: str
    source: str
    relevant: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Surety:
    """How sure the best document of one question was, with its right answers in the index and taken out of it."""

    score: float
    #: Whether the first is right, and whether one of the first five is.
    first: bool
    five: bool
    #: The score of what came first when no right answer was there to be found.
    without: float
    #: The same when nothing that lies in the right answers' outermost folders was: nothing on the system that the question is about.
    strangers: float


def names(doc_id: str) -> frozenset[str]:
    """What a question file may call a document: its path, without its suffix, without its first folder."""
    path = PurePosixPath(doc_id)
    below = PurePosixPath(*path.parts[1:]) if len(path.parts) > 1 else path
    return frozenset((str(path), str(path.with_suffix("")), str(below), str(below.with_suffix(""))))


def measures(found: Sequence[str], relevant: frozenset[str]) -> tuple[float, ...]:
    """`MEASURES` of one list (nDCG with binary gains: Järvelin and Kekäläinen 2002); each right answer counts once.

    Args:
        found: document ids, best first.
        relevant: the right ones, as any of their `names`.
    """
    left, right = set(relevant), []
    for place, doc_id in enumerate(found[:TOP]):
        if not left.isdisjoint(names(doc_id)):
            left -= names(doc_id)
            right.append(place)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(TOP, len(relevant))))
    gained = sum(1 / math.log2(place + 2) for place in right)
    first = right[0] if right else TOP
    return float(first < 1), float(first < 5), gained / ideal if ideal else 0.0, 1 / (first + 1) if right else 0.0


def interval(values: NDArray[np.float64]) -> list[float]:
    """The 95 % interval of each column's mean by bootstrap (Efron 1979). Give differences for a paired one.

    Args:
        values: questions x measures.

    Returns:
        Low and high of each measure, one after the other.
    """
    rng, count = np.random.default_rng(SEED), len(values)
    means = np.empty((RESAMPLES, values.shape[1]))
    for number in range(RESAMPLES):
        means[number] = values[rng.integers(0, count, count)].mean(axis=0)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return [float(value) for pair in zip(low, high, strict=True) for value in pair]


def compared(
    rows: Mapping[str, NDArray[np.float64]], chosen: NDArray[np.bool_], against: str
) -> dict[str, dict[str, Any]]:
    """Means of each way over the chosen questions, their intervals, and the paired difference to one of the ways.

    Args:
        rows: way to its questions x `MEASURES`.
        against: the way that the others are compared to.
    """
    table: dict[str, dict[str, Any]] = {}
    for way, values in rows.items():
        own, other = values[chosen], rows[against][chosen]
        table[way] = {"n": len(own)}
        spread, gain = interval(own), interval(own - other)
        for at, measure in enumerate(MEASURES):
            table[way][measure] = {
                "mean": float(own[:, at].mean()),
                "interval": spread[2 * at : 2 * at + 2],
                "difference": float((own - other)[:, at].mean()),
                "difference_interval": gain[2 * at : 2 * at + 2],
            }
    return table


def point(sureties: Sequence[Surety], threshold: float) -> dict[str, float]:
    """What answering from a threshold on comes to.

    Returns:
        coverage: share answered of the questions that have an answer. first, five: of those answered, the share whose first
        document, or one of whose first five, is right. false: share answered of the same questions with nothing right there
        to be found. strangers: the same with nothing there of what lies in the right documents' folders. mixed: share right (first
        five) of all that is answered, if every second question has no answer.
    """
    answered = [item for item in sureties if item.score >= threshold]
    false = sum(item.without >= threshold for item in sureties)
    five = sum(item.five for item in answered)
    return {
        "threshold": threshold,
        "coverage": len(answered) / len(sureties),
        "first": sum(item.first for item in answered) / len(answered) if answered else 1.0,
        "five": five / len(answered) if answered else 1.0,
        "false": false / len(sureties),
        "strangers": sum(item.strangers >= threshold for item in sureties) / len(sureties),
        "mixed": five / (len(answered) + false) if answered else 1.0,
    }


def curve(sureties: Sequence[Surety]) -> list[dict[str, float]]:
    """`point` at the thresholds that answer half of the questions, six in ten, and so on to all."""
    scores = sorted((item.score for item in sureties), reverse=True)
    return [point(sureties, scores[max(math.ceil(share * len(scores)), 1) - 1]) for share in _COVERAGES]


def draw(
    file: Path, by_difficulty: Mapping[str, Mapping[str, Any]], sureties: Sequence[Surety], answers: float
) -> None:
    """A chart: hit@5 of each way by difficulty with intervals; and how right answers are by how many are given.

    Args:
        file: .png, .svg or another of Matplotlib's formats.
        by_difficulty: difficulty to what `compared` gave.
        answers: the threshold in use, which is marked.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (bars, line) = plt.subplots(1, 2, figsize=(13, 4.6), width_ratios=(3, 2))
    ways = list(next(iter(by_difficulty.values())))
    width = 0.84 / len(ways)
    for number, way in enumerate(ways):
        cells = [by_difficulty[name][way]["hit@5"] for name in by_difficulty]
        means = np.array([cell["mean"] for cell in cells])
        spread = np.abs(np.array([cell["interval"] for cell in cells]).T - means)
        places = np.arange(len(cells)) + (number - (len(ways) - 1) / 2) * width
        bars.bar(places, means, width, yerr=spread, label=way, error_kw={"elinewidth": 0.8, "capsize": 2})
    bars.set_xticks(
        range(len(by_difficulty)), [f"{name} (n {by_difficulty[name][ways[0]]['n']})" for name in by_difficulty]
    )
    bars.set(title="right document among the first five", ylim=(0, 1.12), ylabel="share of questions")
    bars.legend(fontsize=7, ncols=3, loc="upper center")
    points = [point(sureties, score) for score in sorted({item.score for item in sureties})]
    for key, label in (
        ("five", "one of five right"),
        ("first", "first right"),
        ("mixed", "one of five right, every second question without an answer"),
    ):
        line.plot([at["coverage"] for at in points], [at[key] for at in points], label=label)
    line.axvline(point(sureties, answers)["coverage"], color="grey", linestyle=":", label=f"answers from {answers} on")
    line.set(title="precision of answers", xlabel="share of questions answered", xlim=(0, 1), ylim=(0.5, 1.01))
    line.legend(fontsize=7, loc="lower left")
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
