"""Who may read what a source holds, where settings say it for the source, and what stands for a document that nobody may read.

Does: read principals as people write them in settings; make the document without words that takes the place of a closed one.
Does not: ask a source who may read what; each source's own module does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.access import EVERYONE, group, user
from core.errors import SettingsError
from core.model import Document, Tier

_CHANNEL = re.compile(r"[CG][A-Z0-9]{6,}")


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
    return tuple(_principal(name, setting) for name in names)


def _principal(name: str, setting: str) -> str:
    if name == EVERYONE or _CHANNEL.fullmatch(name):
        return name
    kind, _, rest = name.partition(":")
    made = {"user": user, "group": group}.get(kind.lower())
    if made is None or not rest.strip():
        raise SettingsError(
            f"cannot tell who {name!r} is in {setting}",
            way_out='write "group:sre", "user:anna@example.org", a Slack channel\'s id, or "*"',
        )
    return made(rest)


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
