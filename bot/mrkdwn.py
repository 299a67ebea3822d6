"""Writing Slack's mrkdwn: the one place where text from outside becomes markup.

Does: make any text inert (no mention, link, emoji, formatting or hidden character of its own), cut it to a size, and wrap it
as bold, code, link or date. Every function here returns mrkdwn that may be joined with spaces and newlines.
Does not: read mrkdwn back (`bot/markup.py`), know blocks, or decide what to say.

Sizes are UTF-16 units after escaping: never less than what Slack counts. The rules follow CONTRACTS.md 3.3.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from core.text import strip_hidden

#: Longest address we link; a longer one is shown by its label alone.
URL_LIMIT = 400
#: How much of an input is looked at, as a multiple of the size asked for: room for blanks that will be joined.
_LOOKED_AT = 8
#: Marks stacked on one letter beyond this number are dropped: they smear over the lines around them.
_MARKS = 4

_TOO_LONG = "(code too long to show here)"

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
#: Formatting characters and their inert likenesses, a character for a character.
_LIKENESS = str.maketrans({"*": "∗", "`": "'", "|": "¦"})
#: The way back, for where Slack does not read them: what is copied from a terminal should be what was written.
ORIGINALS = str.maketrans({"∗": "*", "¦": "|", "ˍ": "_", "∼": "~", "∶": ":"})
#: A tilde that is not the start of a home path; one that is can open but never close.
_LOOSE_TILDE = re.compile(r"(?<!\S)~(?!/)|(?<=\S)~")
_LOOSE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_SHORTCODE = re.compile(r":(?=[\w+'-]*[A-Za-z][\w+'-]*:|[+-]1:|100:|1234:)")
_MENTION = re.compile(r"@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
_CODE = re.compile(r"```(?:[\w+-]+(?=\n))?(?P<block>.+?)```|(?P<tick>``?)(?P<span>[^`\n]+)(?P=tick)", re.DOTALL)
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{0,500}\)")
_MARKDOWN_BOLD = re.compile(r"(\*\*|__)(?=\S)([^*_\n]{1,300})(?<=\S)\1")
_MARKDOWN_LEAD = re.compile(r"^\s*(?:#{1,6}|[-*+•]|\d{1,2}[.)])\s+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def size(text: str) -> int:
    """How long Slack may find a text: its UTF-16 units."""
    return len(text) + sum(1 for char in text if char > "\uffff")


def escape(text: str) -> str:
    """The three characters Slack asks to be escaped, and no others."""
    return text.translate(_ENTITIES)


def plain(text: str, limit: int = 300) -> str:
    """Any text as one inert line.

    Args:
        text: untrusted text of any length.
        limit: the size the result stays within.

    Returns:
        mrkdwn that reads like the text and is nothing but text; "" if nothing can be seen of it.
    """
    return escape(_inert(_clip(_line(text, limit), limit)))


def label(text: str, limit: int = 150) -> str:
    """Any text for a plain_text object, where nothing is escaped: headers and buttons."""
    return _inert(_clip(_line(text, limit), limit, escaped=False))


def prose(text: str, limit: int = 600) -> str:
    """A sentence in which `code` and fenced blocks stay code; Markdown's other marks are taken off.

    Code is shown whole or not at all: half a command is worse than none. An unbalanced mark becomes plain text.
    """
    text = _MARKDOWN_LEAD.sub("", _visible(text, limit))
    parts: list[str] = []
    left, end = limit, 0
    for match in _CODE.finditer(text):
        parts.append(_words(text[end : match.start()], left))
        left -= size(parts[-1])
        parts.append(_code_whole(match["block"], match["span"], left))
        left -= size(parts[-1])
        end = match.end()
    parts.append(_words(text[end:], left))
    return re.sub(r"(?<=\n```\n) | (?=\n```\n)", "", "".join(parts)).strip()


def phrase(text: str, limit: int = 300) -> str:
    """`prose` kept on one line: a code block in it becomes inline code."""
    return prose(" ".join(_visible(text, limit).split()), limit)


def bold(text: str, limit: int = 300) -> str:
    """Any text as one bold line, or "" for no text."""
    inert = plain(text, limit - 2)
    return f"*{inert}*" if inert else ""


def code(text: str, limit: int = 120) -> str:
    """Any text as inline code, kept to the letter but for backticks; "" for no text, or if it does not fit whole."""
    inner = escape(" ".join(strip_hidden(text).split()).replace("`", "'"))
    return f"`{inner}`" if inner and size(inner) + 2 <= limit else ""


def code_block(text: str, limit: int = 600) -> str:
    """Any text as a code block on lines of its own; "" for no text, or if it does not fit whole."""
    lines = [line.rstrip() for line in strip_hidden(text).replace("```", "'''").split("\n")]
    inner = escape("\n".join(lines).strip("\n"))
    return f"\n```\n{inner}\n```\n" if inner.strip() and size(inner) + 10 <= limit else ""


def link(url: str | None, text: str, limit: int = 120, *, schemes: tuple[str, ...] = ("https", "http")) -> str:
    """A link, or its label alone when the address is missing or not safe to offer.

    Args:
        url: an address from a source we trust to name one; never from a model.
        text: the label, untrusted.
        limit: the size of the label.
    """
    shown = plain(text, limit)
    safe = safe_url(url, schemes=schemes)
    return f"<{escape(safe)}|{shown}>" if safe and shown else shown


def safe_url(url: str | None, *, schemes: tuple[str, ...] = ("https", "http")) -> str | None:
    """The address if a person may be sent there: a web page by host name, no user name in it, nothing hidden."""
    if not url or len(url) > URL_LIMIT or url != strip_hidden(url) or any(char.isspace() for char in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in schemes or "@" in parts.netloc or not _HOST.fullmatch(parts.hostname or ""):
        return None
    safe = quote(url, safe=":/?#[]@!$&'()*+,;=%~-._")
    return safe if size(escape(safe)) <= URL_LIMIT else None


def date(at: datetime, form: str = "{date_short_pretty} at {time}") -> str:
    """A time that each reader sees in their own zone, with UTC for clients that cannot.

    Args:
        at: an aware time.
        form: Slack's date tokens.
    """
    return f"<!date^{int(at.timestamp())}^{form}|{utc(at)}>"


def utc(at: datetime) -> str:
    """A time in full, for where Slack cannot localise it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _visible(text: str, limit: int) -> str:
    """As much of the text as could fit, without what cannot be seen and without marks piled on one letter."""
    shown = strip_hidden(text)[: max(limit, 0) * _LOOKED_AT + 400]
    if shown.isascii():
        return shown
    kept, marks = [], 0
    for char in shown:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _MARKS:
            kept.append(char)
    return "".join(kept)


def _code_whole(block: str | None, span: str | None, limit: int) -> str:
    """A fenced block or inline code, or a word in its place when it does not fit."""
    text = block or span or ""
    made = code_block(text, limit) if block and ("\n" in block or "`" in block) else code(text, limit)
    if made or not strip_hidden(text).strip():
        return made
    return _TOO_LONG if limit >= len(_TOO_LONG) else "…" * (limit >= 1)


def _line(text: str, limit: int) -> str:
    """The text on one line, with a space in "@here" and its like: no font lacks one."""
    return _MENTION.sub("@ ", " ".join(_visible(text, limit).split()))


def _words(text: str, limit: int) -> str:
    """`plain` for a piece of a sentence: Markdown's marks taken off, one space kept at either end."""
    text = _MARKDOWN_BOLD.sub(r"\2", _MARKDOWN_LINK.sub(r"\1", text))
    inner = plain(text, limit - 2)
    return f"{' ' * text[:1].isspace()}{inner}{' ' * text[-1:].isspace()}" if inner else " " * bool(text)


def _inert(text: str) -> str:
    """One line in which no character formats, mentions, quotes or becomes a picture; as long as before."""
    text = _SHORTCODE.sub("∶", text.translate(_LIKENESS))
    text = _LOOSE_TILDE.sub("∼", _LOOSE_UNDERSCORE.sub("ˍ", text))
    return re.sub(r"^>+", lambda match: "›" * len(match[0]), text)


def _clip(text: str, limit: int, *, escaped: bool = True) -> str:
    """The text if it fits, else as many whole words of it as do and "…"."""

    def measure(part: str) -> int:
        return size(escape(part)) if escaped else size(part)

    if measure(text) <= limit:
        return text
    used, end = 1, 0  # 1 for the ellipsis
    for cluster in _clusters(text):
        used += measure(cluster)
        if used > limit:
            break
        end += len(cluster)
    kept = text[:end]
    word = re.search(r"\s\S{0,24}$", kept)
    if word and not text[end : end + 1].isspace():
        kept = kept[: word.start()]
    kept = kept.rstrip(" \t\n,;:.-–—")
    return f"{kept}…" if kept else "…" * (limit >= 1)


def _clusters(text: str) -> Iterator[str]:
    """What a reader sees as single characters: a base with its marks, a skin tone with its hand, a flag's two letters."""
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or not _continues(text, start, index):
            yield text[start:index]
            start = index


def _continues(text: str, start: int, index: int) -> bool:
    char = text[index]
    if unicodedata.category(char) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= char <= "\U0001f3ff":
        return True
    flag = "\U0001f1e6" <= char <= "\U0001f1ff" and "\U0001f1e6" <= text[index - 1] <= "\U0001f1ff"
    return flag and index - start == 1
