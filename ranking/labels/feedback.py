"""Labels from Slack: incidents of which people said which commit did it.

Does: make a labelled case of each incident that people agree on; join such cases with those mined from histories.
Does not: read the store or Slack, or take a thumb down for a label: it says what did not do it, never what did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from core.model import Vote
from ranking.labels.cases import Labelled

_DAY_S, _PREFIX = 86_400.0, "feedback:"


def feedback_cases(rows: Iterable[dict[str, Any]]) -> list[Labelled]:
    """The labelled cases of people's votes, oldest incident first.

    Each person has one voice an incident: the commit they last called the culprit. The commit with most voices did it; a
    tie is no label. Where nobody named one, a thumb up on the cause is a voice for the commit that stood first in the
    ranking it judged. A thumb down takes a voice away, on that commit or on the cause: what people disagree on is no label.

    Args:
        rows: as `Store.feedback` gives them: a Feedback's fields and "judged", which holds the incident and the ranking.
    """
    by_incident: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: datetime.fromisoformat(row["at"])):
        by_incident[row["incident_id"]].append(row)
    cases = [case for name, said in by_incident.items() if (case := _case(name, said))]
    return sorted(cases, key=lambda case: (case.created_at, case.id))


def _case(incident_id: str, said: Sequence[dict[str, Any]]) -> Labelled | None:
    """The case of one incident's votes, oldest first; None when they name no commit, or two alike."""
    named = {row["person"]: row["item"].removeprefix("commit:") for row in said if _names(row)}
    voices = named or {row["person"]: first for row in said if (first := _judged(row, Vote.UP))}
    counted = Counter(voices.values())
    counted.subtract(filter(None, (_refused(row) if named else _judged(row, Vote.DOWN) for row in said)))
    counts = counted.most_common(2)
    if not counts or counts[0][1] < 1 or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return None
    incident = said[-1].get("judged", {}).get("incident")
    if not incident or not incident["title"].strip():
        return None
    return Labelled(
        id=f"{_PREFIX}{incident_id}",
        title=incident["title"],
        description=incident.get("description") or "",
        service=incident.get("service"),
        created_at=incident["created_at"],
        culprits=(counts[0][0],),
    )


def origin_of(case: Labelled) -> str:
    """Where a label comes from, in a word: its kind when it was mined, else "feedback" or "given"."""
    return case.kind or ("feedback" if case.id.startswith(_PREFIX) else "given")


def _names(row: dict[str, Any]) -> bool:
    return bool(row["vote"] == Vote.CULPRIT and row["item"].startswith("commit:"))


def _refused(row: dict[str, Any]) -> str | None:
    """The commit of which a thumb down says that it was not this one."""
    item: str = row["item"]
    return item.removeprefix("commit:") if row["vote"] == Vote.DOWN and item.startswith("commit:") else None


def _judged(row: dict[str, Any], vote: Vote) -> str | None:
    """The commit that a thumb on the cause was about, if it was this thumb."""
    if row["item"] != "cause" or row["vote"] != vote:
        return None
    ranking = (row["judged"].get("finding") or {}).get("ranking") or [{}]
    sha: str | None = ranking[0].get("sha")
    return sha


def join_cases(*groups: Iterable[Labelled]) -> list[Labelled]:
    """The cases of several origins as one set, oldest first.

    Args:
        groups: the most trusted first. Of cases with the same culprits within a day only the first is kept, and of cases
            with the same id.
    """
    kept: list[Labelled] = []
    ids: set[str] = set()
    told: dict[frozenset[str], list[float]] = defaultdict(list)
    for group in groups:
        for case in group:
            culprits = frozenset(case.culprits)
            known = culprits and any(abs(case.created_at - at) <= _DAY_S for at in told[culprits])
            if known or case.id in ids:
                continue
            kept.append(case)
            ids.add(case.id)
            told[culprits].append(case.created_at)
    return sorted(kept, key=lambda case: (case.created_at, case.id))
