"""Reading Slack's mrkdwn: what a message says and how Slack would show it.

Does: turn mrkdwn into lines and spans, for the terminal and the browser preview. Where Slack's rules are not published it
reads generously, so that text which must stay inert is tested against the worse case.
Does not: write mrkdwn (`bot/mrkdwn.py`), print, or follow links.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["text", "link", "date", "mention", "emoji"]
STYLES = {"*": "bold", "_": "italic", "~": "strike"}
EMOJI = {
    "+1": "👍", "thumbsup": "👍", "-1": "👎", "thumbsdown": "👎", "eyes": "👀", "tada": "🎉", "wave": "👋",
    "warning": "⚠️", "fire": "🔥", "rotating_light": "🚨", "white_check_mark": "✅", "x": "❌",
    "red_circle": "🔴", "large_orange_circle": "🟠", "large_yellow_circle": "🟡", "large_green_circle": "🟢",
}  # fmt: skip

_FENCE = re.compile(r"```(.+?)```", re.DOTALL)
_ANGLE = re.compile(r"<([^<>\n]+)>")
_EMOJI = re.compile(r":([a-z0-9_+'-]+):")
_BARE_URL = re.compile(r"https?://(?:(?!&[lg]t;)[^\s<>|])*(?<![.,;:!?)'\"])")


@dataclass(frozen=True, kw_only=True)
class Span:
    """A run of characters that look alike. `text` is what a reader sees, entities decoded."""

    text: str
    kind: Kind = "text"
    styles: frozenset[str] = frozenset()
    url: str | None = None
    #: For a date: unix seconds.
    unix: int | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a message: plain, quoted, or a whole code block ("pre"), whose text is one span."""

    spans: tuple[Span, ...]
    kind: Literal["line", "quote", "pre"] = "line"


def read(text: str, *, verbatim: bool = False) -> tuple[Line, ...]:
    """The lines of a mrkdwn text.

    Args:
        text: mrkdwn as Slack holds it.
        verbatim: the text object's flag; without it Slack makes links of bare addresses.
    """
    lines: list[Line] = []
    pieces = _FENCE.split(text)
    for index, piece in enumerate(pieces):
        if index % 2:
            lines.append(Line(kind="pre", spans=(Span(text=decode(piece.strip("\n"))),)))
            continue
        part = piece.removeprefix("\n") if index else piece
        part = part.removesuffix("\n") if index < len(pieces) - 1 else part
        if part or len(pieces) == 1:
            lines.extend(_line(line, verbatim) for line in part.split("\n"))
    return tuple(lines)


def seen(text: str) -> str:
    """What a reader sees of a mrkdwn text, without its formatting."""
    return "\n".join("".join(span.text for span in line.spans) for line in read(text, verbatim=True))


def decode(text: str) -> str:
    """Slack's three entities as characters."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _line(line: str, verbatim: bool) -> Line:
    quoted = re.match(r"(?:&gt;|>)+ ?", line)
    spans = tuple(_spans(line[quoted.end() :] if quoted else line, Span(text=""), verbatim))
    return Line(kind="quote" if quoted else "line", spans=spans)


def _spans(line: str, like: Span, verbatim: bool) -> list[Span]:
    """The spans of one line, each formatted like `like` and whatever its own marks add."""
    spans: list[Span] = []
    start = at = 0
    while at < len(line):
        found = _special(line, at, like, verbatim)
        if found is None:
            at += 1
            continue
        if line[start:at]:
            spans.append(replace(like, text=decode(line[start:at])))
        spans.extend(found[0])
        start = at = found[1]
    if line[start:]:
        spans.append(replace(like, text=decode(line[start:])))
    return spans


def _special(line: str, at: int, like: Span, verbatim: bool) -> tuple[list[Span], int] | None:
    """What begins at a place, if it is more than a character: its spans and where it ends."""
    char = line[at]
    if char == "<" and (angle := _ANGLE.match(line, at)):
        return [_angle(angle[1], like)], angle.end()
    if char == "`" and (end := line.find("`", at + 1)) > at + 1:
        return [replace(like, text=decode(line[at + 1 : end]), styles=like.styles | {"code"})], end + 1
    if char in STYLES and (closing := _closing(line, at)):
        inner = line[at + 1 : closing]
        return _spans(inner, replace(like, styles=like.styles | {STYLES[char]}), verbatim), closing + 1
    if char == ":" and (emoji := _EMOJI.match(line, at)) and emoji[1] in EMOJI:
        return [replace(like, text=EMOJI[emoji[1]], kind="emoji")], emoji.end()
    if char == "h" and not verbatim and (bare := _BARE_URL.match(line, at)):
        url = decode(bare[0])
        return [replace(like, text=url, kind="link", url=url)], bare.end()
    return None


def _closing(line: str, at: int) -> int | None:
    """Where the mark that opens at a place closes, or None if it opens nothing."""
    mark = line[at]
    if (at and line[at - 1].isalnum()) or at + 1 >= len(line) or line[at + 1].isspace() or line[at + 1] == mark:
        return None
    end = at + 1
    while (end := _next(line, end, mark)) != -1:
        if not line[end - 1].isspace() and not line[end + 1 : end + 2].isalnum():
            return end
        end += 1
    return None


def _next(line: str, at: int, mark: str) -> int:
    """The next mark that does not lie inside angle brackets or inline code, or -1."""
    while at < len(line):
        if line[at] == mark:
            return at
        if line[at] == "<" and (angle := _ANGLE.match(line, at)):
            at = angle.end()
        elif line[at] == "`" and (end := line.find("`", at + 1)) > at + 1:
            at = end + 1
        else:
            at += 1
    return -1


def _angle(inner: str, like: Span) -> Span:
    target, _, text = inner.partition("|")
    if target.startswith("!date^"):
        unix = target.split("^")[1]
        return replace(like, text=decode(text), kind="date", unix=int(unix) if unix.lstrip("-").isdigit() else None)
    if target.startswith(("@", "#")):
        return replace(like, text=target[0] + decode(text or target[1:]), kind="mention")
    if target.startswith("!"):
        return replace(like, text="@" + decode(text or target[1:].split("^")[0]), kind="mention")
    return replace(like, text=decode(text or target), kind="link", url=decode(target))
