r"""What makes a message an incident's text, and what makes it none.

Does: say in a few words why a claim is left out: a re-land, no failure, only documents or tests, cosmetic, a doubtful culprit.
Does not: find claims (`ranking.labels.links`) or change texts (`ranking.labels.scrub`).

The lists are of regular expressions between commas, matched as whole words whatever their case.
"""

from __future__ import annotations

import re

from core.model import Commit
from ranking.kinds import kinds, takes_back
from ranking.labels.cases import Kind


def _any_of(phrases: str) -> re.Pattern[str]:
    words = (" ".join(phrase.split()) for phrase in phrases.split(","))
    return re.compile(rf"\b(?:{'|'.join(word for word in words if word)})\b", re.IGNORECASE)


#: A text that holds none of these tells no failure.
_FAILURE = _any_of(r"""
    brok\w+, break\w*, unbreak\w*, fail\w*, errors?, erron\w+, crash\w*, regress\w*, bugs?, buggy, bug-?fix\w*, wrong\w*, incorrect\w*,
    hang(?:s|ing)?, hung, freez\w*, leak\w*, seg-?fault\w*, sigsegv, segv, segmentation, panic\w*, oops\w*, time(?:d|s)?-?\s?outs?,
    exceptions?, traceback, fatal\w*, abort\w*, assert\w*, corrupt\w*, missing, problem\w*, issues?, invalid\w*, undefined,
    uninitiali[sz]ed, dead-?locks?, overflow\w*, underflow\w*, overr[ua]n\w*, race, races, racy, cannot, can't, can not, could(?:n't| not),
    unable, unusable, (?:doesn't|does not|didn't|did not) [\w-]+, not work\w*, stopped working, los[te]s?, losing, loss, stuck, stall\w*,
    slow\w*, latenc\w+, spik\w+, outages?, down(?:time|ed)?, unavailable, unreachable, inaccessible, kill(?:s|ed|ing)?, oom,
    out of (?:memory|space|disk|bounds), exhaust\w*, mismatch\w*, double[- ]free, use[- ]after[- ]free, null, dereferenc\w*, garbage,
    bogus, unexpected\w*, accident\w*, inadvertent\w*, misbehav\w*, malfunction\w*, caus(?:e[sd]?|ing), reject\w*, refus\w*, denied,
    flood\w*, spam\w*, overload\w*, flicker\w*, glitch\w*, trouble, unstable, http 5\d\d, 50[0234]s?, violat\w*, vulnerab\w*, cve,
    flak(?:y|iness), (?:infinite|endless) loops?, (?:compiler? |build |gcc |clang )?warnings?
""")
#: Said of a failure often enough where a `Fixes:` trailer already says that there was one.
_WEAK = _any_of(r"""
    don't, do not, isn't, is not, wasn't, was not, aren't, weren't, won't, will not, not (?:found|set|run|available|present|supported|sent),
    never, no longer, miss(?:es|ed), warn\w*, conflict\w*, duplicat\w+, nil, bad(?:ly)?, stale, mess\w*, harm\w*, hurt\w*, drop(?:s|ped|ping)?,
    blank, 40[0134]s?, compilation
""")
#: Reverted, but not because anything failed.
_NO_FAILURE = _any_of(r"""
    (?:not|no longer) (?:needed|necessary|required|used|relevant), (?:is|are|was) (?:now )?(?:unneeded|unnecessary|obsolete|superseded|redundant),
    (?:experiment|test|tests|testing|debugging|maintenance|migration) (?:is |are )?(?:now )?(?:over|done|finished|ended|complete),
    (?:just|only|for) (?:testing|debugging), too (?:early|soon), premature\w*, not ready, changed (?:my|our) mind, on request, as requested,
    (?:hold|postpon|delay|defer|reschedul)\w* (?:off|until|till|this|for|the), code freeze, (?:for|after) (?:the )?(?:next )?release,
    until (?:after|next|the next|monday|tomorrow|we are ready), we (?:don't|do not) (?:want|need) (?:it|this|that),
    accidental(?:ly)? (?:commit|push|merg)\w*, (?:pushed|committed|merged|applied) (?:by (?:accident|mistake)|accidentally|prematurely|in error),
    (?:was|been|got) n?a(?:c)?ked, (?:not|never|without) (?:yet |been |properly )*(?:a )?(?:review|reviewed|acked|approved|approval),
    can properly review, wrong (?:branch|version|patch), old(?:er)? version of, partial revert, (?:is|was) fixed now, (?:has|have) (?:now )?been (?:fixed|resolved|solved), tr(?:y|ying) .{0,40}\bagain, problem .{0,40} is fixed
""")
#: What was meant to be taken back.
_PASSING = _any_of(r"temporar\w+, experiment\w*, hack, debug\w*, do not (?:merge|submit), wip, canary")
_RELAND = re.compile(
    r"^\W*(?:partial(?:ly)? )?(?:re-?(?:land|apply|instate|introduce|commit|enable|do|submit|merge|try|add)\w*\b|revert[\s:]+(?:of\s+)?\W*revert\b)"
    r"|\b(?:re-?land(?:s|ed|ing)?|re-?appl(?:y|ies|ied|ying)|second attempt|take (?:two|2)|attempt (?:two|#?2)|un-?reverts?)\b",
    re.IGNORECASE,
)
_RELAND_TOLD = _any_of(
    r"re-?revert\w*, this re-?(?:lands|applies|instates|introduces), revert(?:ing)? the revert, un-?revert\w*"
)
_DOUBT = _any_of(r"""
    not (?:entirely |quite )?sure (?:if|whether|why|that|this), unsure, unclear (?:if|whether), (?:to )?see (?:if|whether), to (?:check|test|find out) (?:if|whether),
    test (?:this|that|it) out, to rule out, rul(?:e|ing) (?:it|this) out, may or may not, probably (?:not|unrelated), wild guess, on a hunch,
    (?:just )?in case (?:it|this|that)(?:'s| is), suspect(?:ed|ing)?, might (?:be|have been) (?:the )?(?:cause|culprit|reason),
    (?:doesn't|does not|didn't|did not) (?:seem to )?(?:help|fix (?:it|this|the)|solve)
""")
#: Programs that commit what others wrote, by their author's name, beside those that a ranking tells apart.
_ROLLER = re.compile(r"auto-?roll", re.IGNORECASE)
_COSMETIC = _any_of(r"""
    typos?, spelling, misspell\w*, white-?space, indent(?:ation)?, cosmetic, coding style, code style, style (?:fix|issue|nit)\w*, checkpatch,
    clang-format, reformat\w*, wording, grammar, copyright, comments?, lint(?:er|ing)?, pep-?8, flake8, doc(?:s|strings?|umentation)?, man ?page,
    changelog, readme, spdx, licen[cs]e, trailing (?:space|newline|comma)s?, rename, renam(?:ed|ing), unused, maintainers, clean-?ups?, hygiene
""")


#: Kinds of commits that repair nothing, whatever they say; a revert of theirs was told why it is one. A program has the same words for all
#: it does: "If this roll has caused a breakage, …".
_ASIDE = {
    "docs": "only documents or tests",
    "robot": "written by a program",
    "tests": "only documents or tests",
    "translation": "only documents or tests",
}


def unfit(kind: Kind, fix: Commit, culprit: Commit, text: str) -> str | None:
    """Why a message is no incident's text, in a few words; None when it may be one.

    Args:
        kind: how the culprit is known.
        fix: the later commit.
        culprit: the commit it blames.
        text: its message, scrubbed.
    """
    if _brings_back(kind, fix, culprit):
        return "a re-land, or the revert of a revert"
    if kind == "revert" and (_NO_FAILURE.search(text) or _PASSING.search(fix.subject)):
        return "reverted without a failure"
    if kind != "fix" and _DOUBT.search(text):
        return "its author doubts the culprit"
    if kind != "revert" and (aside := _aside(fix)):
        return aside
    if kind != "revert" and _COSMETIC.search(fix.subject):
        return "cosmetic"
    told = _FAILURE.search(text) or (kind == "fix" and _WEAK.search(text))
    return None if told else "tells no failure"


def _brings_back(kind: Kind, fix: Commit, culprit: Commit) -> bool:
    """Whether a commit lands again what was reverted: it says so, or what it reverts is a revert ("Reverts 1a2b3c" and no more)."""
    says_so = _RELAND.search(fix.subject) or _RELAND_TOLD.search(fix.body)
    return bool(says_so) or (kind == "revert" and takes_back(culprit.subject))


def _aside(fix: Commit) -> str | None:
    """Why a commit repairs nothing; None where it may."""
    found = kinds(fix) | ({"robot"} if _ROLLER.search(fix.author) else set())
    return next((why for kind, why in _ASIDE.items() if kind in found), None)
