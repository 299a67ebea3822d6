"""Block Kit's parts, and the promise that Slack takes what is built of them.

Does: make each kind of block the bot uses, within Slack's limits (CONTRACTS.md 1.5); fit a whole message into what one
message may weigh.
Does not: know incidents or choose words. Text given to it is mrkdwn already made inert by `bot/mrkdwn.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bot.mrkdwn import label, size

Block = dict[str, Any]
Message = dict[str, Any]

BLOCKS = 50
SECTION_TEXT = 2_900
CONTEXT_TEXT = 1_900
HEADER_TEXT = 150
BUTTON_TEXT = 75
ID_LENGTH = 255
FALLBACK_TEXT = 3_900
#: Slack refuses a message whose blocks weigh some 13,200 characters together and says nothing of it in its reference
#: (slackapi/bolt-js#2509, #2867); refusals below 12,000 of text are on record, so all of the JSON counts here.
MESSAGE_WEIGHT = 12_000
#: How much of its full text each part may keep, tried in turn until the message fits.
_ROOMS = (1.0, 0.6, 0.35, 0.2)
#: In less room than this, citations keep their names and lose their links; the thread has both.
LINKED_ROOM = 0.3


def mrkdwn(text: str) -> Block:
    """A text object in which Slack makes no link, mention or channel of its own accord."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def header(text: str) -> Block:
    """A message's title, of any text."""
    return {"type": "header", "text": {"type": "plain_text", "text": label(text, HEADER_TEXT), "emoji": True}}


def section(text: str, *, button: Block | None = None) -> Block:
    """A paragraph, never folded behind "See more", with an optional button at its side."""
    block = {"type": "section", "text": mrkdwn(text), "expand": True}
    return {**block, "accessory": button} if button else block


def sections(lines: Iterable[str]) -> list[Block]:
    """Lines as few sections; none for no lines. No line may be longer than a section."""
    return [section(text) for text in _packed(lines, SECTION_TEXT)]


def context(parts: Iterable[str]) -> list[Block]:
    """Parts as one small grey line; none for no parts. What is too long for the line is left off, last first."""
    text = ""
    for part in parts:
        longer = f"{text} · {part}" if text and part else text or part
        if size(longer) <= CONTEXT_TEXT:
            text = longer
    return [{"type": "context", "elements": [mrkdwn(text)]}] if text else []


def divider() -> Block:
    """A thin line."""
    return {"type": "divider"}


def actions(buttons: Sequence[Block | None]) -> list[Block]:
    """A row of buttons; none for no buttons."""
    present = [button for button in buttons if button]
    return [{"type": "actions", "elements": present}] if present else []


def button(text: str, *, action_id: str, value: str, hint: str, primary: bool = False) -> Block | None:
    """A button, or None when Slack could not carry its id or value whole.

    Args:
        action_id: what is pressed; unique in its message.
        value: what it is pressed on.
        hint: what a screen reader says instead of the text.
    """
    if not value or size(action_id) > ID_LENGTH or size(value) > ID_LENGTH:
        return None
    block: Block = {
        "type": "button",
        "text": {"type": "plain_text", "text": label(text, BUTTON_TEXT), "emoji": True},
        "action_id": action_id,
        "value": value,
        "accessibility_label": label(hint, BUTTON_TEXT),
    }
    return {**block, "style": "primary"} if primary else block


def thumbs(
    votes: tuple[int, int], *, item: str, incident_id: str, about: str, beside: Block | None = None
) -> list[Block]:
    """The row that asks whether one part was right.

    Args:
        item: "summary", "cause", "next" or "answer:<key>".
        about: what is judged, for screen readers.
        beside: a button in the same row.
    """
    up, down = votes
    return actions(
        [
            button(
                f"👍 {up}" if up > 0 else "👍",
                action_id=f"vote.up.{item}",
                value=incident_id,
                hint=f"Thumbs up for {about}",
            ),
            button(
                f"👎 {down}" if down > 0 else "👎",
                action_id=f"vote.down.{item}",
                value=incident_id,
                hint=f"Thumbs down for {about}",
            ),
            beside,
        ]
    )


def few(count: int, room: float) -> int:
    """How many of so many parts there is room for; at least one."""
    return max(1, int(count * room))


def fit(fallback: str, build: Callable[[float], list[Block]]) -> Message:
    """A message built with as much room as Slack takes.

    Args:
        fallback: inert text for notifications and screen readers.
        build: makes the blocks, given the share of its full text each part may keep.
    """
    blocks: list[Block] = []
    for room in _ROOMS:
        blocks = build(room)
        if weight(blocks) <= MESSAGE_WEIGHT and len(blocks) <= BLOCKS:
            break
    return {"text": fallback or "A message from Rundown", "blocks": topmost(blocks)}


def topmost(blocks: list[Block]) -> list[Block]:
    """The blocks from the top down to what a message may hold."""
    kept: list[Block] = []
    for block in blocks[:BLOCKS]:
        if weight([*kept, block]) > MESSAGE_WEIGHT:
            break
        kept.append(block)
    return kept


def spread(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks over as many messages as they need, in order."""
    pages: list[list[Block]] = [[]]
    for block in blocks:
        if pages[-1] and (len(pages[-1]) == BLOCKS or weight([*pages[-1], block]) > MESSAGE_WEIGHT):
            pages.append([])
        pages[-1].append(block)
    return pages


def weight(blocks: Sequence[Block]) -> int:
    """How much of a message's allowance blocks take: the size of their JSON."""
    return size(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))


def _packed(lines: Iterable[str], limit: int) -> list[str]:
    pages: list[str] = []
    for line in lines:
        if pages and size(pages[-1]) + 1 + size(line) <= limit:
            pages[-1] = f"{pages[-1]}\n{line}"
        elif line.strip():
            pages.append(line)
    return pages
