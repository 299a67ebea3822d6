"""What the small Llama reads: an incident and a commit as a few words each, the same in training as in use.

Does: put a commit's subject, first paths and message into one line; take out trailers, ids and links, which name
things but mean nothing.
Does not: read diffs, or redact: nothing of it is shown or stored.
"""

from __future__ import annotations

import re

from core.model import Commit

#: Characters of a commit and of an incident that are read.
COMMIT_LIMIT, INCIDENT_LIMIT = 330, 600
_PATHS = 4
_TRAILERS = re.compile(
    r"^\s*(?:[A-Z][\w-]+-(?:by|to|id)\b|Bug|Fixes|Cc|Ticket|Link|Closes|Change-Id|\(?cherry[ -]picked).*$",
    re.MULTILINE | re.IGNORECASE,
)
_NAMES = re.compile(r"\S+://\S+|\b(?:[0-9a-f]{7,40}|I[0-9a-f]{8,40})\b|\bT\d{3,}\b|#\d+|\bCVE-\S+")


def tell(commit: Commit, limit: int = COMMIT_LIMIT) -> str:
    """A commit in one line: subject, its first paths, its message.

    Args:
        limit: characters.
    """
    paths = " ".join(change.path for change in commit.files[:_PATHS])
    return f"{commit.subject} . {paths} . {plain(commit.body)}"[:limit]


def plain(text: str) -> str:
    """A message without trailers, ids and links, on one line."""
    return " ".join(_NAMES.sub("", _TRAILERS.sub("", text[:4000])).split())
