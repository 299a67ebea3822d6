"""Reading what a person wrote in Slack: its markup turned into plain words.

Does: undo Slack's escapes, name links and mentions (CONTRACTS.md 3.3: `<url|label>` becomes "label (url)"), drop the mention
that called the bot.
Does not: write markup (`mrkdwn.py`), redact, or judge.
"""

from __future__ import annotations

import re

from bot.markup import decode
from core.text import strip_hidden

_ANGLE = re.compile(r"<([^<>]*)>")


def words(text: str, *, bot: str = "") -> str:
    """A message as a person reads it.

    Args:
        text: `text` of a Slack message.
        bot: the bot's user id; mentions of it are left out.
    """

    def read(match: re.Match[str]) -> str:
        target, _, label = match[1].partition("|")
        if target.startswith("@"):
            return "" if target[1:] == bot else f"@{label or target[1:]}"
        if target.startswith("#"):
            return f"#{label or target[1:]}"
        if target.startswith("!"):
            return label or f"@{target[1:].partition('^')[0]}"
        return f"{label} ({target})" if label and label != target else target

    lines = strip_hidden(decode(_ANGLE.sub(read, text))).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines).strip()


def mentions(text: str, user: str) -> bool:
    """Whether a message mentions somebody."""
    return re.search(rf"<@{re.escape(user)}(\|[^<>]*)?>", text) is not None
