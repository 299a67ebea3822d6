"""From measured features to scores, probabilities and the one word the card shows, by weights anyone can read.

Does: add up weight times feature, turn the sums into probabilities, doubt whether any commit did it, decide the word.
Does not: measure anything (`ranking.features`), word reasons (`ranking.reasons`), fit (`ranking.training`), or call a
commit the culprit without a link to the incident's words, names, files or service, or one that was not there yet: being
recent alone is never enough.

The model is a conditional logit: P(candidate) = P(a commit did it) x exp(score / temperature) / sum over the window.
The weights lie in `weights.json`, with what they were fitted to; `learning/LOG.md` has the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import UsageError
from core.model import Confidence
from ranking.features import Table
from ranking.live import CHANGED

#: What ships with Rundown.
SHIPPED = Path(__file__).parent / "weights.json"
#: The first candidate's probability from which it is called likely, and below which nothing is named.
LIKELY_FROM, POSSIBLE_FROM = 0.6, 0.2
#: The share of the incident's words a candidate must hold to be linked by words alone.
_LINK_OVERLAP = 0.1
#: Its service alone is no link: so are dozens of commits. Having gone live there within hours (1 / (1 + 9 hours)) is.
_LINK_SERVICE, _LINK_LIVE = 0.3, 0.1
#: So is that its change would explain the page, where it is read so: log-odds.
_LINK_CAUSE = 1.0
#: What speaks so much against a candidate that its score says nothing of the others'.
RULED_OUT = ("never_runs", "after_onset", "not_live", "rolled_back")
#: What is less than so many times as likely as that no commit did it is not named.
_BEYOND_DOUBT = 1.5
#: From where on the small Llama holds the first of a ranking close to a page, and how far above it is on average over made-up ones.
_NEAR_FROM, _USUALLY_NEAR = 0.3, 0.1
#: How weights of before "features-13" name what is added before a page.
_TOLD = "_told"
_LINK_FEATURES = ("file", "phrase", "name_lines", "name_message", "folder", "switched")


class Weighing(BaseModel):
    """What every feature counts, and how sure that makes one. Read it with `read_weighing`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: What a ranking's release begins with.
    release: str
    #: Fitted to incidents whose culprit is known.
    weights: dict[str, float]
    #: Set by hand, because no public label has them; why, in `learning/LOG.md`.
    by_hand: dict[str, float] = Field(default_factory=dict)
    #: What the fitted ones count where an incident is told as a page tells it (`ranking.paged`), or what was live is known: the words
    #: and the time of a public label are those of its repair, so they lean on words; before a page, words say less.
    told_share: float = Field(default=1.0, gt=0)
    #: What is added to a weight of either kind there, fitted to pages among decoys (`benchmarks.fit_pages`).
    told: dict[str, float] = Field(default_factory=dict)
    temperature: float = Field(default=1.0, gt=0)
    #: The log-odds there that the first candidate did it, if any did: what each of `leads` counts. Empty: its share is believed.
    told_odds: dict[str, float] = Field(default_factory=dict)
    #: How much one unit of a large model's log-probability counts in a score.
    model_weight: float = 0.5
    #: The logit of "no commit did it": a constant and what each of `signs` adds.
    doubt: dict[str, float] = Field(default_factory=dict)
    #: The same for signs that no label has, added to the fitted ones: set by hand before "features-13", fitted to pages since.
    doubt_by_hand: dict[str, float] = Field(default_factory=dict)
    #: What the weights were fitted to and how well they did, for people.
    notes: dict[str, object] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, given: Any) -> Any:
        """Weights of before "features-13" have `told` among those set by hand: "recent_told" is what is added to "recent"."""
        by_hand = given.get("by_hand") if isinstance(given, dict) else None
        if not isinstance(by_hand, dict) or "told" in given:
            return given
        told = {name.removesuffix(_TOLD): by_hand[name] for name in by_hand if name.endswith(_TOLD)}
        return {**given, "told": told, "by_hand": {n: by_hand[n] for n in by_hand if not n.endswith(_TOLD)}}

    def share(self, columns: Mapping[str, Collection[float]]) -> float:
        """What the fitted weights count for candidates of these columns: from 1 to `told_share`."""
        return 1.0 - (1.0 - self.told_share) * _paged(columns)

    def of(self, columns: Mapping[str, Collection[float]]) -> dict[str, float]:
        """The weight of every feature for candidates of these columns."""
        share, paged = self.share(columns), _paged(columns)
        found = {**{feature: share * weight for feature, weight in self.weights.items()}, **self.by_hand}
        return found | {feature: found.get(feature, 0.0) + paged * more for feature, more in self.told.items()}

    @property
    def without_labels(self) -> Weighing:
        """The same without what labels teach: what a fit to labels takes for given."""
        return self.model_copy(update={"weights": {}})

    @property
    def all_doubt(self) -> dict[str, float]:
        """What each of `signs` adds to the doubt."""
        return {**self.doubt, **self.doubt_by_hand}


def read_weighing(path: Path = SHIPPED) -> Weighing:
    """The weights in a file.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        return Weighing.model_validate_json(path.read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        why = str(error) if isinstance(error, OSError) else "it does not hold a ranker's weights"
        raise UsageError(
            f"cannot read the ranker's weights '{path}'",
            why=why,
            way_out="make them again with `rundown train ranker`, or delete the file to rank with the ones that ship",
        ) from error


def scores(table: Table, weighing: Mapping[str, float]) -> list[float]:
    """Each candidate's sum of weight times feature; a feature that was not measured counts nothing."""
    sums = [0.0] * len(table.commits)
    for feature, weight in weighing.items():
        for index, value in enumerate(table.columns.get(feature, ())):
            sums[index] += weight * value
    return sums


def chances(found: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Scores as probabilities over the window, in the same order."""
    top = max(found, default=0.0)
    exponents = [math.exp((score - top) / temperature) for score in found]
    total = sum(exponents) or 1.0
    return [exponent / total for exponent in exponents]


def _paged(columns: Mapping[str, Collection[float]]) -> float:
    """How far the candidates' incident is told as a page; see `ranking.live.told`."""
    return float(next(iter(columns.get("paged", ())), 0.0))


def confidences(table: Table, found: Sequence[float], weighing: Weighing, doubt: float) -> list[float]:
    """The probability of each candidate, in their order.

    As far as an incident is told as a page, the first has the share among them that its lead is worth before such: a page tells of
    a symptom, and a commit that only speaks of it comes first by the words that a repair would share with it. So the closer the
    first is in meaning, the less its lead tells. If its share falls, the others get the rest by the temperature that gives it
    that; if it rises, they keep their shares of what it leaves.

    Args:
        found: the candidates' scores.
        doubt: the probability that no commit did it.
    """
    shares, paged = chances(found, weighing.temperature), _paged(table.columns)
    if weighing.told_odds and len(found) > 1 and paged:
        best = max(range(len(found)), key=lambda index: found[index])
        before, earned = shares[best], _earned(table, best, shares[best], weighing.told_odds, paged)
        if earned < before:
            shares = chances(found, _temperature_of(earned, found, weighing.temperature))
        elif before < 1:
            rest = (1 - earned) / (1 - before)
            shares = [earned if index == best else rest * share for index, share in enumerate(shares)]
    return [(1 - doubt) * share for share in shares]


def _earned(table: Table, best: int, share: float, odds: Mapping[str, float], paged: float) -> float:
    """The share of the first, as far as `Weighing.told_odds` apply."""
    measured = leads(table, best, share)
    worth = math.fsum(odds.get(name, 0.0) * value for name, value in measured.items())
    return 1 / (1 + math.exp(-(paged * worth + (1 - paged) * measured["chance"])))


def leads(table: Table, best: int, share: float) -> dict[str, float]:
    """What tells before a page whether the first candidate did it, if any did.

    Args:
        best: its row.
        share: its share of the softmax.

    Returns:
        Beside a constant: `chance`, the log-odds of its share; `closeness`, from `_NEAR_FROM` on; and where page and change were read
        together `cause`, what that says of it, and `cause_lead`, by how much it says more of it than of any other.
    """
    share = min(1 - 1e-6, max(1e-6, share))
    closeness, cause = table.columns.get("closeness"), table.columns.get("cause", ())
    others = max((value for index, value in enumerate(cause) if index != best), default=0.0)
    return {
        "constant": 1.0,
        "chance": math.log(share / (1 - share)),
        "closeness": _USUALLY_NEAR if closeness is None else max(0.0, closeness[best] - _NEAR_FROM),
        "cause": cause[best] if cause else 0.0,
        "cause_lead": cause[best] - others if cause else 0.0,
    }


def _temperature_of(share: float, found: Sequence[float], temperature: float) -> float:
    """The temperature that gives the first about this share, between a hundredth and a hundred times the usual one."""
    top = max(found)
    low, high = temperature / 100, temperature * 100
    for _ in range(30):
        middle = math.sqrt(low * high)
        first = 1 / math.fsum(math.exp((score - top) / middle) for score in found)
        low, high = (middle, high) if first > share else (low, middle)
    return middle


def signs(table: Table, found: Sequence[float]) -> dict[str, float]:
    """What tells whether any of the candidates did it: how the scores lie, and what ties the first few to the incident.

    Args:
        found: the candidates' scores.

    Returns:
        Beside a constant: the best score, which weights of before "features-3" ask for; `spread`, over how many the probability spreads (entropy, nats); `ahead`, how far
        the first stands out (standard deviations above the mean of those that nothing rules out); of the first three the most overlap, closeness and likeness
        of the files' history; `cause`, how far the change that would explain a page best does, 0 where none was read; `outside_words`, how plainly the incident tells of a cause that is no commit, and `outside`, whether it
        does, which weights of before "features-8" ask for; `told`, how far the incident is told as a page; `settled`, how much longer
        ago than an hour anything that may matter to the service was deployed or switched: -0.5 to 0.5, 0 where nobody told.
    """
    first = sorted(range(len(found)), key=lambda index: -found[index])[:3]

    def best(feature: str) -> float:
        column = table.columns.get(feature)
        return max((column[index] for index in first), default=0.0) if column else 0.0

    return {
        "constant": 1.0,
        "score": max(found, default=0.0),
        "spread": -math.fsum(chance * math.log(chance) for chance in chances(found) if chance > 0),
        "ahead": _ahead(_possible(table, found)),
        "overlap": best("overlap"),
        "closeness": best("closeness"),
        "path_history": best("path_history"),
        "cause": _explained(table),
        "outside": float(table.elsewhere),
        "outside_words": table.outside,
        "told": _paged(table.columns),
        "settled": _settled(table),
    }


def _explained(table: Table) -> float:
    column = table.columns.get("cause")
    against = [table.columns[feature] for feature in RULED_OUT if feature in table.columns]
    return max((v for i, v in enumerate(column or ()) if not any(other[i] for other in against)), default=0.0)


def _settled(table: Table) -> float:
    foreign = table.columns.get("foreign_service", ())
    near = [index for index in range(len(table.columns.get("recent", ()))) if not (foreign and foreign[index])]
    told = [table.columns[name] for name in CHANGED if name in table.columns]
    if not any(column[index] for column in told for index in near):
        return 0.0
    fresh = [table.columns[name] for name in ("went_live", "switched") if name in table.columns]
    return 0.5 - max((column[index] for column in fresh for index in near), default=0.0)


def _possible(table: Table, found: Sequence[float]) -> list[float]:
    """The scores of candidates that nothing rules out: how many others were ruled out makes the first no surer."""
    against = [table.columns[feature] for feature in RULED_OUT if feature in table.columns]
    return [score for index, score in enumerate(found) if not any(column[index] for column in against)]


def _ahead(found: Sequence[float]) -> float:
    mean = math.fsum(found) / max(1, len(found))
    spread = math.sqrt(math.fsum((score - mean) ** 2 for score in found) / max(1, len(found)))
    return (max(found) - mean) / spread if spread > 0 else 0.0


def doubted(table: Table, found: Sequence[float], doubt: Mapping[str, float]) -> float:
    """The probability that no candidate did it; 0 for weights that do not know."""
    if not doubt:
        return 0.0
    measured = signs(table, found)
    logit = sum(weight * measured.get(sign, 0.0) for sign, weight in doubt.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


def with_votes(found: Sequence[float], voters: Sequence[int], votes: Sequence[float], weight: float) -> list[float]:
    """Scores after a model's vote on some candidates.

    Args:
        found: the features' scores.
        voters: indexes of the candidates voted on.
        votes: their log-probabilities. Only differences count, so the group as a whole neither rises nor falls.
        weight: what one unit of them counts.
    """
    mean = sum(votes) / len(votes)
    changed = list(found)
    for index, vote in zip(voters, votes, strict=True):
        changed[index] += weight * (vote - mean)
    return changed


def linked(table: Table, index: int) -> bool:
    """Whether anything but time, size and kind ties a candidate to the incident."""
    if any(table.columns.get(feature, [0.0] * (index + 1))[index] > 0 for feature in _LINK_FEATURES):
        return True
    if table.columns["overlap"][index] >= _LINK_OVERLAP or _value(table, "cause", index) >= _LINK_CAUSE:
        return True
    return _value(table, "service", index) >= _LINK_SERVICE and _value(table, "went_live", index) >= _LINK_LIVE


def there(table: Table, index: int) -> bool:
    """Whether a candidate could have broken anything by then: deployed, or merged and not known to wait for its deploy."""
    if _value(table, "went_live", index) > 0:
        return True
    return not (_value(table, "unmerged", index) or _value(table, "not_live", index))


def _value(table: Table, feature: str, index: int) -> float:
    return table.columns[feature][index] if feature in table.columns else 0.0


def decide(table: Table, best: int, chance: float, doubt: float = 0.0) -> Confidence:
    """The word for a ranking whose first candidate is `best`, with its probability and that of no commit having done it.

    What is hardly more likely than that nothing did it is not named.
    """
    if chance < max(POSSIBLE_FROM, _BEYOND_DOUBT * doubt) or not (linked(table, best) and there(table, best)):
        return Confidence.INCONCLUSIVE
    return Confidence.LIKELY if chance >= LIKELY_FROM else Confidence.POSSIBLE
