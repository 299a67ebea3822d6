"""Which other commits a commit's message speaks of, and whether it undoes or blames them.

Does: find commit ids and Gerrit change ids in a message, and tell a revert ("This reverts commit X"), a blame ("Fixes: X",
"introduced by X", "broken since X") and a plain mention apart by the words before the id; find the pull requests it reverts.
Does not: know whether such a commit exists, or read anything but the message.
"""

from __future__ import annotations

import re
from typing import Literal

#: "revert": undoes it. "fix": names it as what broke something. "mention": anything else.
MentionKind = Literal["revert", "fix", "mention"]

_NAME = re.compile(r"\b(?:I[0-9a-f]{8,40}|[0-9a-f]{7,40})\b")
_OWN = re.compile(r"^Change-Id: (I[0-9a-f]{8,40})\s*$", re.MULTILINE)
#: Characters before an id that say what it is there for.
_CONTEXT = 70
_REVERT = re.compile(r"\brevert(s|ed|ing)?\b[^.;]*$", re.IGNORECASE)
_BLAME = re.compile(
    r"\b(fixes|introduced|caused|broken?|breaks|regress(ion|ed)|culprit|bug in|bisect\w*)\b[^.;]*$", re.IGNORECASE
)
_PASSING = re.compile(
    r"\b(depends[- ]on|cherry[- ]picked from commit|change-id|backport(ed)? of|needed-by):?\s*$", re.IGNORECASE
)
_LIMIT = 40
#: Where a pull request becomes one commit, the forge puts its number behind the subject, and its revert names no more than that.
_OWN_PULL = re.compile(r"\(#(\d{1,7})\)\s*$")
_REVERTED_PULL = re.compile(
    r"\breverts?:?\s+(?:(?:pr|pull request)\s+)?(?:https?://\S{1,120}/pull/|(?:[\w.-]{1,60}/[\w.-]{1,60})?#)(\d{1,7})\b",
    re.IGNORECASE,
)
_QUOTED_PULL = re.compile(r"^Revert(?:s|ed)?:? [\"“].*\(#(\d{1,7})\)[\"”]")


def own_names(subject: str, body: str) -> tuple[str, ...]:
    """What a commit is called beside its id: the Gerrit change id of its trailer, and its pull request as `reverted_pulls` has it."""
    change_ids = _OWN.findall(body) if "Change-Id: I" in body else []
    return (*change_ids[-1:], *map(_pull, _OWN_PULL.findall(subject)))


def reverted_pulls(subject: str, body: str) -> tuple[str, ...]:
    """The pull requests that a message reverts, each once, by number: "#12."; no number is the beginning of another."""
    numbers = [*_QUOTED_PULL.findall(subject), *(_REVERTED_PULL.findall(body) if "evert" in body else ())]
    return tuple(dict.fromkeys(map(_pull, numbers)))


def find_mentions(subject: str, body: str) -> dict[str, MentionKind]:
    """Commit ids, whole or abbreviated as written, and change ids, each with the strongest thing said of it; and pull requests that
    are reverted (`reverted_pulls`).

    Args:
        subject: of it only a quoted subject's pull request is taken.
        body: the message without its subject. At most 40 ids of it are taken: longer lists are change logs.
    """
    found: dict[str, MentionKind] = dict.fromkeys(reverted_pulls(subject, body)[:_LIMIT], "revert")
    for match in _NAME.finditer(body):
        if len(found) >= _LIMIT:
            break
        name = match[0]
        before = body[max(0, match.start() - _CONTEXT) : match.start()].rsplit("\n\n", 1)[-1].replace("\n", " ")
        kind = _kind(before)
        if kind is None or (kind == "mention" and not _looks_like_id(name)):
            continue
        if name not in found or _RANK[kind] > _RANK[found[name]]:
            found[name] = kind
    return found


_RANK: dict[MentionKind, int] = {"mention": 0, "fix": 1, "revert": 2}


def _pull(number: str) -> str:
    return f"#{number}."


def _kind(before: str) -> MentionKind | None:
    """What the words before an id make of it; None for trailers that say nothing about its quality."""
    if _PASSING.search(before):
        return None
    if _REVERT.search(before):
        return "revert"
    return "fix" if _BLAME.search(before) else "mention"


def _looks_like_id(name: str) -> bool:
    """Not a word and not a number: both letters and digits, as nearly every abbreviated id has."""
    return len(name) == 40 or (any(c.isdigit() for c in name) and any(c in "abcdef" for c in name))
