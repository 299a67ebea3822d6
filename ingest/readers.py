"""Who may read what a source holds, as people write it in a file or in settings, and what stands for a document that nobody may read.

Does: read principals as people write them; make the document without words that takes the place of a closed one.
Does not: know where formats other than YAML have their comments, or ask a service who may read what; each source's own module does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.access import EVERYONE, group, user
from core.errors import SettingsError
from core.model import Document, Tier

_CHANNEL = re.compile(r"[CG][A-Z0-9]{6,}")
_KINDS = {"user": user, "group": group}
_IN_COMMENT = re.compile(r"""(?:\A|\n|[,;{])[ \t]*["']?readers["']?\s*[:=]""", re.IGNORECASE)
_COMMENT = re.compile(r"""["']?readers["']?\s*[:=]([^\n]*)""", re.IGNORECASE)
#: What no list of names holds: other signs between names, a variable, a line that goes on.
_NO_NAMES = re.compile(r"""[;{}<>|\\"\[\]\n]|\s(?:user|group):""", re.IGNORECASE)
#: A comment, or what looks like one in a text: that one names readers too only takes the file from more people.
_YAML_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#+!?([^\n#]*)", re.MULTILINE)
_LIKE_READERS = re.compile(r"[ \t*_\"'(\[@-]*(?:page-)?readers[*_\"')\]]*[ \t]*[:=]", re.IGNORECASE)
_READERS_LINE = "write # readers: group:sre"


class UnclearReaders(Exception):
    """A file names readers in a way that is not understood; the message says which, for people."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Who may read a document, and why nobody may."""

    readers: tuple[str, ...]
    #: Empty unless nobody may.
    reason: str = ""


def readers_of(names: Sequence[str], *, setting: str) -> tuple[str, ...]:
    """The principals that a setting names.

    Args:
        names: "group:sre", "user:anna@example.org", a Slack channel's id, or "*".
        setting: the variable that named them, for the message.

    Raises:
        SettingsError: one of them is none of these.
    """
    for name in names:
        kind, _, rest = name.partition(":")
        told = kind.lower() in _KINDS and rest.strip()
        if not told and name != EVERYONE and not _CHANNEL.fullmatch(name):
            raise SettingsError(
                f"cannot tell who {name!r} is in {setting}",
                way_out='write "group:sre", "user:anna@example.org", a Slack channel\'s id, or "*"',
            )
    return tuple(principal(name) for name in names)


def principal(name: str) -> str:
    """A reader as people write it: an e-mail address, a Slack channel's id, or a group's name, its kind before it or not."""
    if name == EVERYONE or _CHANNEL.fullmatch(name):
        return name
    kind, _, rest = name.partition(":")
    if kind.lower() in _KINDS and rest.strip():
        return _KINDS[kind.lower()](rest)
    return user(name) if "@" in name else group(name)


def readers_in_comment(words: str) -> tuple[str | None, bool]:
    """What a comment says of readers after "readers:", None where nothing; and whether what it says of them is clear."""
    if not _IN_COMMENT.search(words):
        return None, True
    found = _COMMENT.fullmatch(words)
    return (found[1], True) if found else (None, False)


def readers_in_words(value: str) -> tuple[str, ...]:
    """Readers as they stand in a line: names with commas between them, in brackets or not.

    Raises:
        UnclearReaders: it holds something else, or no name.
    """
    words = value.strip()
    if words.startswith("[") and words.endswith("]"):
        words = words[1:-1]
    names = [name.strip().strip("\"'").strip() for name in words.split(",")]
    if not any(names) or any(_NO_NAMES.search(name) for name in names):
        raise UnclearReaders("it does not say who may read it: `readers` must be names with commas between them")
    return tuple(principal(name) for name in names if name)


def readers_in_yaml(text: str, parts: Any) -> tuple[str, ...] | None:
    """Who may read a YAML file, as its comments say; None where nothing in it names readers.

    Args:
        text: the file.
        parts: what it holds. A key that names readers may mean something else, so it is not understood.

    Raises:
        UnclearReaders: a comment or a key names them in another way, or two comments differ.
    """
    named: list[tuple[str, ...]] = []
    for comment in _YAML_COMMENT.finditer(text):
        told, clear = readers_in_comment(comment[1].strip())
        if not clear or (told is None and _LIKE_READERS.match(comment[1])):
            raise UnclearReaders(f"it names readers, but not in a line of its own: {_READERS_LINE}")
        named += [readers_in_words(told)] if told is not None else []
    if _has_readers(parts, set()):
        raise UnclearReaders(f"it names readers, but not in a comment: {_READERS_LINE}")
    if len({frozenset(readers) for readers in named}) > 1:
        raise UnclearReaders("it names its readers more than once, and not the same")
    return named[0] if named else None


def _has_readers(value: Any, seen: set[int]) -> bool:
    """Whether a key anywhere in YAML is called readers. What was looked at is not again: aliases of aliases name one list a million times."""
    if not isinstance(value, (dict, list)) or id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, dict) and any(str(key).lower() == "readers" for key in value):
        return True
    return any(_has_readers(part, seen) for part in (value.values() if isinstance(value, dict) else value))


def closed(
    doc_id: str, *, source: str, title: str, reason: str, version: str | None, url: str | None = None
) -> Document:
    """A document nobody may read here. It is stored without its words, so that what was indexed of it before gives way at once.

    Args:
        title: what to call it without telling anything of it, such as "Page 17".
        reason: why nobody may, in words that follow a colon.
    """
    words = f"Nobody may be shown this page here: {reason}."
    return Document(
        id=doc_id,
        source=source,
        title=title,
        text=words,
        tier=Tier.WIKI,
        url=url,
        readers=(),
        version=version,
        hidden=(words,),
    )
