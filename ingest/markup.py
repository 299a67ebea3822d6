"""The markup of HTML, as a browser reads a page or as Markdown allows it in a line.

Does: tags with what they tell of looks, comments in every form, what an element holds that is no markup; each step goes forward, so
a page of openings costs its length.
Does not: decide what a reader sees (`ingest.concealed`), or build a tree.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


def count_words(text: str) -> int:
    """How many words a text holds; signs alone are none."""
    return sum(any(map(str.isalnum, part)) for part in text.split())


@dataclass(frozen=True, kw_only=True)
class Token:
    """A piece of markup: "open", "close", "comment", "raw" (what an element holds that is no markup), "rest" (a tag or
    comment that never ends, and all that follows)."""

    kind: str
    start: int
    end: int
    name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: Where attributes stand that say something in words.
    wordy: tuple[tuple[int, int], ...] = ()


_TAG = re.compile(r"</?([a-zA-Z][^\s/>]*)")
#: An attribute's name and whether a value follows: as a browser forgives it in a page, and as Markdown allows it in a line.
_ATTRIBUTE = re.compile(r"[\s/]*([^\s/>][^\s/>=]*)(\s*=\s*)?")
_STRICT_ATTRIBUTE = re.compile(r"\s+([a-zA-Z_:][\w.:-]*)(\s*=\s*)?")
#: Elements whose content is text to the parser, up to their own end.
_RAW = frozenset(("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"))


def tokens_of(source: str, start: int, end: int, *, lax: bool = True) -> Iterator[Token]:
    """The markup between two places, in order. Each step goes forward, so a page of openings costs its length.

    Args:
        lax: read as a browser reads a page, where markup without its end hides the rest; not as Markdown reads a line.
    """
    at = start
    endless: set[str] = set()
    while (at := source.find("<", at, end)) >= 0:
        token = _comment(source, at, end, endless, lax=lax) or _tag(source, at, end, endless, lax=lax)
        if token is None or (token.kind == "rest" and not lax):
            at += 1
            continue
        yield token
        at = token.end
        if token.kind == "open" and token.name in _RAW:
            closing = re.compile(rf"</{token.name}(?=[\s/>])", re.I).search(source, at, end)
            raw = Token(kind="raw", start=at, end=closing.start() if closing else end, name=token.name)
            yield raw
            at = raw.end


def next_place(source: str, what: str, at: int, end: int, endless: set[str]) -> int:
    """Where something stands next, or -1; once not found, it is not looked for again."""
    place = -1 if what in endless else source.find(what, at, end)
    if place < 0:
        endless.add(what)
    return place


def _comment(source: str, at: int, end: int, endless: set[str], *, lax: bool) -> Token | None:
    """The comment that begins here, whatever its form; none of `<!doctype`, `<?xml` and CDATA, which hold no words."""
    if source.startswith("<!--", at):
        if source.startswith((">", "->"), at + 4):
            return Token(kind="comment", start=at, end=source.index(">", at) + 1)
        close = next_place(source, "-->", at + 4, end, endless)
        return Token(kind="comment" if close >= 0 else "rest", start=at, end=close + 3 if close >= 0 else end, name="!")
    if not (_BOGUS if lax else _DECLARED).match(source, at, end):
        return None
    if source[at : at + 9].lower() == "<!doctype" or source.startswith(("<?xml", "<![CDATA["), at):
        return None
    close = next_place(source, ">", at, end, endless)
    return Token(kind="comment" if close >= 0 else "rest", start=at, end=close + 1 if close >= 0 else end, name="!")


_BOGUS, _DECLARED = re.compile(r"<[!?]|</[^a-zA-Z>]"), re.compile(r"<\?|<![a-zA-Z]")


def _tag(source: str, at: int, end: int, endless: set[str], *, lax: bool) -> Token | None:
    match = _TAG.match(source, at, end)
    if match is None:
        return None
    name, kind = match[1].lower(), "close" if source.startswith("</", at) else "open"
    place = match.end()
    if next_place(source, ">", place, end, endless) < 0:
        return Token(kind="rest", start=at, end=end)
    attributes: dict[str, str] = {}
    wordy: list[tuple[int, int]] = []
    pattern = _ATTRIBUTE if lax else _STRICT_ATTRIBUTE
    while place < end and (found := pattern.match(source, place, end)):
        value, place = "", found.end()
        if found[2] is not None:
            quote = source[place : place + 1]
            if quote in ('"', "'"):
                close = next_place(source, quote, place + 1, end, endless)
                if close < 0:
                    return Token(kind="rest", start=at, end=end)
                value, place = source[place + 1 : close], close + 1
            else:
                bare = _BARE.match(source, place, end)
                value, place = (bare[0], bare.end()) if bare else ("", place)
        attributes.setdefault(found[1].lower(), value)
        if _is_wordy(found[1].lower(), value):
            wordy.append((found.start(), place))
    tail = _TAIL.match(source, place, end)
    if tail is None:
        return Token(kind="rest", start=at, end=end) if place >= end else None
    told = {key: html.unescape(value) for key, value in attributes.items() if key in _TELLING}
    return Token(kind=kind, start=at, end=tail.end(), name=name, attributes=told, wordy=tuple(wordy))


def _is_wordy(name: str, value: str) -> bool:
    """Whether an attribute says something: one made for words, or any other with more of them than it has use for."""
    return name != "style" and count_words(value) > (3 if name in _WORDLESS else 0)


_BARE, _TAIL = re.compile(r"[^\s>]+"), re.compile(r"[\s/=]*>")
_TELLING = frozenset(("style", "class", "id", "hidden", "open", "color", "bgcolor", "background", "text", "media"))
_WORDLESS_NAMES = (
    "align alink border cellpadding cellspacing checked cite cols colspan controls datetime dir disabled download face height href"
    " hreflang hspace http-equiv lang link loading name rel role rows rowspan scope size span src srcset start target type valign"
    " vlink vspace width xmlns"
)
_WORDLESS = _TELLING | frozenset(_WORDLESS_NAMES.split())
