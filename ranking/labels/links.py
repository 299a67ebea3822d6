"""Which commits a message blames: reverts, trailers and prose.

Does: find every claim of a message that an earlier commit broke something, as the message spells it.
Does not: look anything up, or judge whether the claim is worth believing (`ranking.labels.rules`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ranking.labels.cases import Kind
from ranking.mentions import reverted_pulls

#: A commit's id or its beginning, and a Gerrit change id.
ID, CHANGE_ID = r"[0-9a-f]{7,64}", r"I[0-9a-f]{8,40}"
_NAME = rf"(?<!\w)(?P<name>{ID}|{CHANGE_ID})\b"
#: What people call a commit.
NOUN = r"(?:commits?(?:[ -]id)?|change(?:set|-id)?|c/s|patch|cset|rev(?:ision)?|git|hash|sha1?)"
#: A commit as prose points at it: "commit abc1234", "upstream's `abc1234`", a link that ends in its id.
_REF = rf"(?:(?:the|this|my|our|a|an|recent|earlier|previous|following|old|master|mainline|{NOUN})[\s:#]+){{0,4}}[(<`'\"\[]{{0,4}}(?:https?://\S{{0,200}}?/)?{_NAME}"
#: The subject quoted behind an id.
_SUBJECT = r"[)>`'\"\]]{0,4}\s*(?:\([^()]{0,160}(?:\([^()]{0,80}\)[^()]{0,80})?\)|\"[^\"]{0,160}\")?"

_BROKE = r"(?:brok\w+|break(?:s|ing|age)?|introduc\w+|caus\w+|regress\w*|trigger\w*|expos\w+|uncover\w*|bug|fall-?out|fault|errors?|fail(?:s|ed|ures?)?|issues?|leaks?|crash\w*|typo|wrong\w*|incorrect\w*|miss(?:ed|ing)|los[te]\w*|forg[eo]t\w*|mistaken?\w*|accident\w+|inadvertent\w*|add(?:ed|s)|chang(?:ed|es?)|remov(?:ed|es)|dropp?(?:ed|s)|rais(?:ed|es)|problems?|damag\w*|oversight|result\w*|made|creat(?:ed|es)|start(?:ed|s)|disabl(?:ed|es)|messed|screwed)"
_BY = r"(?:by|in|from|with|since|of|after|due to|via|through|at|is|was|were|to)"
_FIXES = r"(?:fix(?:es|ed|up)?(?: up)?(?: for)?|repairs?|amends|corrects?|unbreaks?|follow-?up fix (?:to|for))"

#: Most messages hold nothing that could be an id.
_ANY_NAME = re.compile(rf"(?<![\w@.-])(?:{ID}|{CHANGE_ID})\b(?![.-]?\w*@)")
#: What prose is not: lines that tools and reviewers add.
_TRAILERS = re.compile(r"^(?!Introduced|Broken|Caused|Regressed)[A-Z][\w-]+-(?:[Bb]y|[Ii]d|[Oo]n):.*$", re.MULTILINE)
_REVERTS = re.compile(
    rf"\b(?:revert(?:s|ing)?|(?:back(?:s|ing)?|roll(?:s|ing)?)[ -](?:out|back)|undo(?:es|ing)?)(?:\s+of)?\s+{_REF}",
    re.IGNORECASE,
)
_TRAILER = re.compile(
    rf"^\s*(?:Fixes|Fixes-commit|Introduced-by|Broken-by|Caused-by|Regressed-by|Regression-from|Blames?)\s*:\s*{_REF}",
    re.IGNORECASE | re.MULTILINE,
)
_PROSE = (
    # "introduced by abc1234", "broken since commit abc1234", "a regression from abc1234"
    re.compile(rf"\b{_BROKE}\b[^.;\n]{{0,40}}?(?:\n[^.;\n]{{0,20}}?)?\s{_BY}\s+{_REF}", re.IGNORECASE),
    # "Since commit abc1234, …"
    re.compile(
        rf"(?:^|[.;,(:!?]\s+|\n|\bever\s|\bbut\s|\band\s)\W*(?:since|after|as of|starting with|beginning with|because of|due to|thanks to|regression:?)\s+{_REF}",
        re.IGNORECASE,
    ),
    # "commit abc1234 (subject) accidentally broke …"
    re.compile(rf"{_REF}{_SUBJECT},?\s+(?:[\w',-]+\s+){{0,4}}?{_BROKE}\b", re.IGNORECASE),
    # "This fixes commit abc1234"
    re.compile(rf"\b{_FIXES}\s+{_REF}", re.IGNORECASE),
)
#: A line of another message, as tools and people quote it: what it blames, this message does not.
QUOTED_LINE = re.compile(r"^[ \t]*(?:>|\|).*$", re.MULTILINE)
_QUOTED_SUBJECT = re.compile(r"^Revert(?:ed|s)?:?\s+[\"“](?P<name>.+)[\"”]\W*(?:\(#\d+\))?\s*$")
#: Said of a commit that is not blamed: the text goes on from it, or copies it.
_NOT_BLAME = re.compile(
    r"\b(?:as|like|similar(?:ly)? to|same as|see(?: also)?|based on|back-?port(?:ed)?(?: of| from)?|cherry[- ]picked(?: from)?|follow(?:ing|s)?(?:[- ]up)?(?: on| to| of)?|fixed (?:by|in|with|since|upstream)|revert(?:ed)? (?:by|in|with)|superseded by|upstream)\W*(?:commit\s*)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One commit that a message blames."""

    kind: Kind
    #: An id or its beginning in lower case, a Gerrit change id, a whole subject, or a pull request as `ranking.mentions` has it.
    name: str
    by: Literal["sha", "change_id", "subject", "pull"]
    #: The pull request of a subject, where it is told: forges quote a subject without the number that the commit has behind it.
    pull: str = ""


def find_claims(subject: str, body: str) -> tuple[Claim, ...]:
    """Every commit a message blames, each once, the strongest kind first.

    Args:
        subject: the message's first line.
        body: the rest, as written. What it quotes is not its own claim.
    """
    body = QUOTED_LINE.sub("", body)
    text = f"{subject}\n{body}"
    told = _TRAILERS.sub("", text)
    if not _ANY_NAME.search(told):
        return _without_id(subject, body)
    reverts = [_claim("revert", match["name"]) for match in _REVERTS.finditer(text)]
    fixes = [_claim("fix", match["name"]) for match in _TRAILER.finditer(body)]
    prose = [
        _claim("prose", match["name"])
        for pattern in _PROSE
        for match in pattern.finditer(told)
        if not _NOT_BLAME.search(told[max(0, match.start("name") - 40) : match.start("name")])
    ]
    found: dict[str, Claim] = {}
    for claim in (*(reverts or _without_id(subject, body)), *fixes, *prose):
        found.setdefault(claim.name, claim)
    return tuple(found.values())


def _without_id(subject: str, body: str) -> tuple[Claim, ...]:
    """What a revert without an id names: forges quote the subject and number the pull request, or do one of both."""
    quoted, pulls = _QUOTED_SUBJECT.match(subject), reverted_pulls(subject, body)
    if quoted:
        pull = pulls[0] if len(pulls) == 1 else ""
        return (Claim(kind="revert", name=quoted["name"].strip(), by="subject", pull=pull),)
    return tuple(Claim(kind="revert", name=pull, by="pull") for pull in pulls)


def _claim(kind: Kind, name: str) -> Claim:
    # The patterns ignore case: what begins with "I" or "i" is a change id, for no id has that letter.
    if name[0] in "Ii":
        return Claim(kind=kind, name=f"I{name[1:].lower()}", by="change_id")
    return Claim(kind=kind, name=name.lower(), by="sha")
