"""What Slack takes, checked strictly: the judge of every message that the card tests build.

Does: check types, lengths, ids, weight and every character of markup, then hand the blocks to slack_sdk's own checks.
Does not: know what a message should say.
"""

from __future__ import annotations

import json
import re
from typing import Any

from slack_sdk.models.blocks import Block

from bot.markup import decode, read
from bot.mrkdwn import size
from core.text import strip_hidden

#: The only things angle brackets may hold: a link to a web page, a date, or a channel, which nobody is called by.
_CHANNEL = re.compile(r"<#[CG][A-Z0-9]{2,}>")
_OURS = re.compile(r"<https?://[^<>|\s]+\|[^<>|]+>|<!date\^-?\d+\^[^<>|]+\|[^<>|]+>")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")
_TYPES = {"header", "section", "context", "actions", "divider"}


def check(message: dict[str, Any]) -> None:
    """Fail unless Slack would take the message and show nothing in it that we did not mean."""
    assert set(message) == {"text", "blocks"}
    _check_mrkdwn(message["text"], most=3_900)
    assert "<" not in message["text"], "the fallback is plain"
    blocks = message["blocks"]
    assert 1 <= len(blocks) <= 50
    assert size(json.dumps(blocks, ensure_ascii=False)) <= 13_200, "msg_blocks_too_long"
    assert len({json.dumps(block, sort_keys=True) for block in blocks if block["type"] == "header"}) <= 1
    actions = [button["action_id"] for block in blocks for button in _buttons(block)]
    assert len(actions) == len(set(actions)), f"two buttons share an id: {actions}"
    for block in blocks:
        assert block["type"] in _TYPES
        _CHECKS[block["type"]](block)
        for button in _buttons(block):
            _check_button(button)
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.to_dict()  # raises SlackObjectFormationError for what slack_sdk knows to be wrong


def links(message: dict[str, Any]) -> set[str]:
    """Every address a reader could be sent to."""
    return {
        span.url
        for text in _texts(message["blocks"])
        if text["type"] == "mrkdwn"
        for line in read(text["text"], verbatim=text.get("verbatim", False))
        for span in line.spans
        if span.url
    }


def spoken(message: dict[str, Any]) -> str:
    """Everything a reader sees, block by block."""
    shown = []
    for text in _texts(message["blocks"]):
        if text["type"] == "plain_text":
            shown.append(text["text"])
        else:
            shown.append(
                "\n".join("".join(span.text for span in line.spans) for line in read(text["text"], verbatim=True))
            )
    return "\n".join(shown)


def buttons(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every button by its action id."""
    return {button["action_id"]: button for block in message["blocks"] for button in _buttons(block)}


def _texts(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value] if value.get("type") in ("mrkdwn", "plain_text") else []
        return own + [text for inner in value.values() for text in _texts(inner)]
    return [text for inner in value for text in _texts(inner)] if isinstance(value, list) else []


def _buttons(block: dict[str, Any]) -> list[dict[str, Any]]:
    found = (
        block.get("elements", [])
        if block["type"] == "actions"
        else [block["accessory"]]
        if "accessory" in block
        else []
    )
    assert all(item["type"] == "button" for item in found)
    return found


def _check_header(block: dict[str, Any]) -> None:
    assert set(block) == {"type", "text"}
    assert block["text"]["type"] == "plain_text"
    _check_visible(block["text"]["text"], most=150)


def _check_section(block: dict[str, Any]) -> None:
    assert set(block) <= {"type", "text", "expand", "accessory"}
    assert block["expand"] is True
    _check_text(block["text"], most=3_000)


def _check_context(block: dict[str, Any]) -> None:
    assert 1 <= len(block["elements"]) <= 10
    for element in block["elements"]:
        _check_text(element, most=2_000)


def _check_actions(block: dict[str, Any]) -> None:
    assert 1 <= len(block["elements"]) <= 25


def _check_divider(block: dict[str, Any]) -> None:
    assert block == {"type": "divider"}


_CHECKS = {
    "header": _check_header,
    "section": _check_section,
    "context": _check_context,
    "actions": _check_actions,
    "divider": _check_divider,
}


def _check_button(button: dict[str, Any]) -> None:
    assert set(button) <= {"type", "text", "action_id", "value", "accessibility_label", "style"}
    assert button["text"]["type"] == "plain_text"
    _check_visible(button["text"]["text"], most=75)
    _check_visible(button["accessibility_label"], most=75)
    assert 1 <= size(button["action_id"]) <= 255
    assert 1 <= size(button["value"]) <= 2_000
    assert button.get("style") in (None, "primary")


def _check_text(text: dict[str, Any], *, most: int) -> None:
    assert text["type"] == "mrkdwn"
    assert text["verbatim"] is True, "Slack must make no links of its own"
    _check_mrkdwn(text["text"], most=most)


def _check_mrkdwn(text: str, *, most: int) -> None:
    _check_visible(text, most=most)
    assert not _ENTITY.search(text), f"a bare & in {text!r}"
    text = _CHANNEL.sub("#channel", text)
    rest = re.sub(r"^>(?=\S)", "", _OURS.sub("", text), flags=re.MULTILINE)
    assert not set("<>") & set(rest), f"markup of its own: {rest!r}"
    assert text.count("```") % 2 == 0, f"an open code block: {text!r}"
    spans = [span for line in read(text, verbatim=True) for span in line.spans]
    assert not [span for span in spans if span.kind in ("mention", "emoji")]
    assert not [span for span in spans if "strike" in span.styles]


def _check_visible(text: str, *, most: int) -> None:
    assert text.strip(), "Slack refuses an empty text"
    assert size(text) <= most, f"{size(text)} of {most}: {text[:80]!r}…"
    assert strip_hidden(text) == text, f"hidden characters in {text!r}"
    assert decode(text).encode("utf-8")
