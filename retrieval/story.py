"""A past incident as a document, and read again: the one form in which our own sources write incidents down.

Does: write a `Story` as Markdown (`tell`), and read from a document's sections who said what, when, and how it ended (`read`).
Does not: fetch, compare, or judge whether somebody was right.

The form, for people first: "What happened" opens with a line of number, service and time and the alert's own marks; what people
said stands in lists, one item each, "- Anna Ito (2026-03-04 09:12 UTC): rolled back …", further lines of it indented so that
nobody's words can pass for somebody else's; the words that tell of the end stand under "Resolution", or, where they were only said
in Slack, after it. By its heading it is known of each part how far it is trusted (`REPEATS`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.model import Commit, Evidence, Tier
from core.text import strip_hidden

#: Part of what tells a source that a stored story is up to date: raise it when the same facts would be written another way.
FORM = "story-2"
#: After this, nobody adds a word; what they add within it changes a story that is over.
SETTLED = timedelta(days=7)
#: The marks of an alert, as the opening lists them.
ALERT, CLASS, DEDUP = "Alert", "Class", "Dedup"
OPENING, UPDATES, NOTES, TALK, CAUSE, SUGGESTED, END, END_IN_TALK = (
    "What happened",
    "Status updates",
    "Notes",
    "Said in Slack",
    "Cause",
    "Suggested at the time",
    "Resolution",
    "Resolution as said in Slack",
)
#: Where a story repeats what is trusted less than itself. Its other words are the record's: notes and updates that people wrote
#: for it, a cause that they marked, and ours.
REPEATS = ((OPENING, Tier.ALERT), (TALK, Tier.SLACK), (END_IN_TALK, Tier.SLACK))

#: Words that say a mitigation was done. "The root cause was" and "fix it" are none.
_ENDED = re.compile(
    r"\b(?:resolved|fixed|mitigated|roll(?:ed|ing)[ -](?:it |them |this )?back|rollback|revert(?:ed|ing)|restart(?:ed|ing)|recovered"
    r"|restored|failed over|scal(?:ed|ing) (?:up|down|out|to|back)|drained|rebooted|flushed"
    r"|switched (?:to|back|over|off)|purged|cordoned|resized|renewed"
    r"|fix (?:is |was |has been )?(?:deployed|merged|shipped|released|rolled out|live|in place))\b",
    re.IGNORECASE,
)
#: Before such a word: it was meant, asked or denied, not done.
_MEANT = re.compile(
    r"\b(?:not|never|cannot|no|without|will|should|could|may|might|must|let's|trying|try|tried|going to|plan\w*|if|\w+n['’]t)\b",
    re.IGNORECASE,
)
#: After it: it was done in vain.
_IN_VAIN = re.compile(
    r"\b(?:fail(?:ed|s|ing)?|worse|still|continu(?:ed|es|ing)|persist\w*|reopened|came back|believed|wrongly|mistaken\w*|accident\w*)\b|\b(?:(?:did|does|do|has|have)(?: not|n['’]t) (?:help|work|fix|change|come|recover|resolve)\w*|no (?:effect|luck|change|difference|improvement)|in vain"
    r"|without (?:success|effect))\b|\?\s*$",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"^([ \t]*)(#|=|---|```|~~~|[-*+] |<)", re.MULTILINE)
_FIRST = re.compile(r"Incident (?:\d+ )?on (?P<service>.+?), (?P<began>\d{4}-\d\d-\d\d \d\d:\d\d) UTC")
_CLOSING = re.compile(r"^Resolved(?: by .+?)? on (?P<ended>\d{4}-\d\d-\d\d \d\d:\d\d) UTC, ", re.MULTILINE)
_MARK = re.compile(rf"^- (?P<name>{ALERT}|{CLASS}|{DEDUP}): (?P<value>.+)$", re.MULTILINE)
_SAID = re.compile(
    r"^- (?P<author>[^\n]{1,200}?) \((?P<at>\d{4}-\d\d-\d\d \d\d:\d\d) UTC\): (?P<text>.*(?:\n(?:  .*)?)*)",
    re.MULTILINE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`\"'(])|\n+")
_UNNAMED = "an unnamed service"
#: Folders of a culprit that are named: the rest is told by its commit.
_AREAS = 8


@dataclass(frozen=True, kw_only=True)
class Said:
    """What somebody said of an incident, and when."""

    at: datetime
    author: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Story:
    """A past incident, before it is written down."""

    title: str
    began: datetime
    ended: datetime
    service: str | None = None
    number: int | None = None
    #: How grave it was, in words: "P1", "urgency high".
    rank: tuple[str, ...] = ()
    #: The alert's own marks that say whether another alert is the same: pairs of `ALERT`, `CLASS` or `DEDUP` and a value.
    alert: tuple[tuple[str, str], ...] = ()
    description: str = ""
    updates: tuple[Said, ...] = ()
    notes: tuple[Said, ...] = ()
    talk: tuple[Said, ...] = ()
    #: The confirmed cause, in sentences of ours.
    cause: str = ""
    #: What was proposed then and found helpful, a line each.
    suggested: tuple[str, ...] = ()
    resolved_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """A story read again."""

    #: None for an incident whose service nobody named.
    service: str | None
    began: datetime
    ended: datetime | None
    alert: tuple[tuple[str, str], ...]
    #: What was said of the end, with the id of the evidence that holds it.
    end: tuple[tuple[str, Said], ...]


def tell(story: Story) -> str:
    """The story as Markdown. The words that tell of the end go under a heading of the end, and nowhere else."""
    ending = ending_of(story.notes, story.updates, story.talk)
    recorded = ending in (*story.notes, *story.updates)
    number = f"{story.number} " if story.number is not None else ""
    rank = "".join(f", {part}" for part in story.rank if part)
    opening = f"Incident {number}on {_line(story.service or _UNNAMED)}, {_minute(story.began)} UTC{rank}."
    marks = "\n".join(f"- {name}: {_line(value)}" for name, value in story.alert if value.strip())
    by = f" by {_line(story.resolved_by)}" if story.resolved_by else ""
    closing = f"Resolved{by} on {_minute(story.ended)} UTC, {_span(story.ended - story.began)} after it began."
    parts = [f"# {plain(_line(story.title))}", f"## {OPENING}", opening, marks, plain(story.description.strip())]
    for heading, said in ((UPDATES, story.updates), (NOTES, story.notes), (TALK, story.talk)):
        items = [_item(item) for item in said if item != ending]
        parts += [f"## {heading}", "\n".join(items)] if items else []
    parts += [f"## {CAUSE}", plain(story.cause)] if story.cause else []
    parts += [f"## {SUGGESTED}", "\n".join(f"- {_line(item)}" for item in story.suggested)] if story.suggested else []
    parts += [f"## {END}", closing, *([_item(ending)] if ending and recorded else [])]
    parts += [f"## {END_IN_TALK}", _item(ending)] if ending and not recorded else []
    return "\n\n".join(part for part in parts if part) + "\n"


def read(sections: Sequence[Evidence]) -> Told | None:
    """What a document's sections tell, if it is in our form.

    Args:
        sections: all pieces of one document, in reading order.

    Returns:
        None for a document that somebody else wrote: its opening line is not ours.
    """
    opening = "\n".join(item.text for item in sections if item.section[-1:] == (OPENING,))
    first = _FIRST.match(opening)
    began = _time(first["began"]) if first else None
    if first is None or began is None:
        return None
    closing = _CLOSING.search("\n".join(item.text for item in sections if item.section[-1:] == (END,)))
    service = first["service"]
    return Told(
        service=None if service == _UNNAMED else service,
        began=began,
        ended=_time(closing["ended"]) if closing else None,
        alert=tuple((mark["name"], mark["value"].strip()) for mark in _MARK.finditer(_marks(opening))),
        end=tuple(
            (item.id, said)
            for item in sections
            if item.section[-1:] in ((END,), (END_IN_TALK,))
            for said in _said(item.text)
        ),
    )


def ending_of(*said: Sequence[Said]) -> Said | None:
    """The words that tell how it ended: the last of the first group that has any.

    Args:
        said: groups in the order to believe them, each oldest first.

    Returns:
        The last word of the first group, where nobody told of the end; None if nobody there said anything.
    """
    for group in said:
        for item in reversed(group):
            if telling(item.text):
                return item
    return said[0][-1] if said and said[0] else None


def telling(text: str) -> tuple[str, ...]:
    """The sentences of a text that tell what ended an incident, verbatim; those that deny, ask or only intend it do not."""
    return tuple(sentence.strip() for sentence in _SENTENCE.split(text) if _ends(sentence))


def _ends(sentence: str) -> bool:
    cue = _ENDED.search(sentence)
    return cue is not None and not _MEANT.search(sentence[: cue.start()]) and not _IN_VAIN.search(sentence)


def areas_of(commit: Commit) -> tuple[str, ...]:
    """The folders a commit touched, "shop/db" for `db/pool.py` in the repository shop; nothing for files at its root."""
    folders = (change.path.rpartition("/")[0] for change in commit.files)
    return tuple(dict.fromkeys(f"{commit.repo}/{folder}" for folder in folders if folder))[:_AREAS]


def plain(words: str) -> str:
    """Somebody's words, unable to pass for a heading or an item of ours, or to open a block that swallows the rest.

    What nobody sees goes first: taken out later, it would leave at a line's start what stood behind it.
    """
    return _MARKUP.sub(r"\1\\\2", strip_hidden(words))


def _marks(opening: str) -> str:
    """The list right after the opening line: an alert's own text below it cannot add to it."""
    blocks = opening.split("\n\n")
    return blocks[1] if len(blocks) > 1 and blocks[1].startswith("- ") else ""


def _item(said: Said) -> str:
    words = plain(said.text.strip()).replace("\n", "\n  ")
    return f"- {_line(said.author)[:150]} ({_minute(said.at)} UTC): {words}"


def _said(text: str) -> Iterable[Said]:
    for item in _SAID.finditer(text):
        words = re.sub(r"\n(?:  )?", "\n", item["text"]).strip()
        at = _time(item["at"])
        if at is not None:
            yield Said(at=at, author=item["author"], text=re.sub(r"(?m)^([ \t]*)\\(?=[-#=`~*+<])", r"\1", words))


def _line(text: str) -> str:
    return " ".join(text.split())


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def _time(text: str) -> datetime | None:
    """A minute, or None for a day that no calendar has: whoever keeps files can write one in our form."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _span(length: timedelta) -> str:
    minutes = max(0, round(length.total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes // 1440} days"
