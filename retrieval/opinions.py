"""What people's thumbs say of documents.

Does: turn the votes on "what to do next" into a number for each document that was on show.
Does not: read the store, or decide how much it counts (`retrieval.signals` does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

#: Votes that a document is credited with on either side before anybody voted: one thumb is not an opinion.
_PRIOR = 2


def opinions(votes: Iterable[Mapping[str, Any]], before: datetime | None = None) -> dict[str, float]:
    """Document id to an opinion in (-1, 1). Documents of one id in two sources share it.

    Args:
        votes: feedback rows as the store gives them. Only those on the item "next" judge documents: all that were on show.
        before: only votes given before this time; all if None.
    """
    up: Counter[str] = Counter()
    down: Counter[str] = Counter()
    for row in votes:
        if before is not None and not _given_before(row, before):
            continue
        counted = {"up": up, "down": down}.get(str(row.get("vote")))
        if row.get("item") == "next" and counted is not None:
            finding = (row.get("judged") or {}).get("finding") or {}
            counted.update({str(doc_id) for doc_id in finding.get("documents") or () if doc_id})
    return {
        doc_id: (up[doc_id] - down[doc_id]) / (up[doc_id] + down[doc_id] + 2 * _PRIOR)
        for doc_id in up.keys() | down.keys()
    }


def _given_before(row: Mapping[str, Any], before: datetime) -> bool:
    """Whether a vote was given before a time; one that tells none was not."""
    try:
        return datetime.fromisoformat(str(row.get("at"))) < before
    except (ValueError, TypeError):
        return False
