"""What Slack refuses in a message: the limits of CONTRACTS.md 1.5, checked as Slack words them.

Does: list every fault of a message's text, blocks and metadata, each with the place it was found at.
Does not: know channels, users or who may post.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

#: A longer text is split into several messages (measured 2026-08); far beyond it, refused.
SPLIT_AT, TEXT = 4_040, 40_000
BLOCKS, SECTION, FIELD, FIELDS, HEADER, MARKDOWN = 50, 3_000, 2_000, 10, 150, 12_000
ACTIONS, CONTEXT, BUTTON_TEXT, BUTTON_VALUE, URL, ID, OPTIONS, CONFIRM = 25, 10, 75, 2_000, 3_000, 255, 100, 300
ALT_TEXT = 2_000
METADATA_BYTES = 8_000

Faults = Iterator[str]


def units(text: str) -> int:
    """A text's length in UTF-16 units: never less than what Slack counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def block_faults(blocks: Any) -> list[str]:
    """Everything Slack would refuse in a message's blocks, in its own words; empty when they are fine."""
    if not isinstance(blocks, list):
        return ["must be an array [json-pointer:/blocks]"]
    found = [f"no more than {BLOCKS} items allowed [json-pointer:/blocks]"] if len(blocks) > BLOCKS else []
    ids: set[str] = set()
    markdown = 0
    for place, block in enumerate(blocks):
        where = f"/blocks/{place}"
        if not isinstance(block, dict) or block.get("type") not in _BLOCKS:
            found.append(
                f"unsupported type: {block.get('type') if isinstance(block, dict) else block!r} [json-pointer:{where}]"
            )
            continue
        found += _BLOCKS[block["type"]](block, where)
        found += _id_faults(block, "block_id", where, ids)
        markdown += units(block["text"]) if block["type"] == "markdown" and isinstance(block.get("text"), str) else 0
    return found + (
        [f"markdown over {MARKDOWN} characters in all [json-pointer:/blocks]"] if markdown > MARKDOWN else []
    )


def metadata_fault(metadata: Any) -> str | None:
    """Slack's error code for a message's metadata, or None."""
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str) or not metadata["event_type"]:
        return "invalid_metadata_format"
    if not isinstance(metadata.get("event_payload"), dict):
        return "invalid_metadata_format"
    return "metadata_too_large" if len(json.dumps(metadata)) > METADATA_BYTES else None


def _id_faults(item: dict[str, Any], name: str, where: str, seen: set[str]) -> Faults:
    value = item.get(name)
    if value is None:
        return
    if not isinstance(value, str) or not 1 <= units(value) <= ID:
        yield f"must be 1 to {ID} characters [json-pointer:{where}/{name}]"
    elif value in seen:
        yield f"{name} {value!r} already exists [json-pointer:{where}/{name}]"
    else:
        seen.add(value)


def _string(value: Any, limit: int, where: str) -> Faults:
    if not isinstance(value, str) or not value:
        yield f"must be more than 0 characters [json-pointer:{where}]"
    elif units(value) > limit:
        yield f"must be less than {limit + 1} characters [json-pointer:{where}]"


def _text(value: Any, limit: int, where: str, *, only_plain: bool = False) -> Faults:
    if not isinstance(value, dict) or value.get("type") not in (
        ("plain_text",) if only_plain else ("plain_text", "mrkdwn")
    ):
        yield f"must be a {'plain_text' if only_plain else 'text'} object [json-pointer:{where}]"
        return
    allowed = {"type", "text", "emoji"} if value["type"] == "plain_text" else {"type", "text", "verbatim"}
    yield from (f"invalid additional property: {name} [json-pointer:{where}]" for name in value.keys() - allowed)
    yield from _string(value.get("text"), limit, f"{where}/text")


def _list(value: Any, limit: int, where: str, each: Callable[[Any, str], Faults]) -> Faults:
    if not isinstance(value, list) or not 1 <= len(value) <= limit:
        yield f"must have 1 to {limit} items [json-pointer:{where}]"
        return
    for place, item in enumerate(value):
        yield from each(item, f"{where}/{place}")


def _section(block: dict[str, Any], where: str) -> Faults:
    if "text" not in block and "fields" not in block:
        yield f"missing required field: text [json-pointer:{where}]"
    if "text" in block:
        yield from _text(block["text"], SECTION, f"{where}/text")
    if "fields" in block:
        yield from _list(block["fields"], FIELDS, f"{where}/fields", lambda item, at: _text(item, FIELD, at))
    if "accessory" in block:
        yield from _element(block["accessory"], f"{where}/accessory", set())


def _header(block: dict[str, Any], where: str) -> Faults:
    yield from _text(block.get("text"), HEADER, f"{where}/text", only_plain=True)


def _context(block: dict[str, Any], where: str) -> Faults:
    def each(item: Any, at: str) -> Faults:
        return _image(item, at) if isinstance(item, dict) and item.get("type") == "image" else _text(item, SECTION, at)

    yield from _list(block.get("elements"), CONTEXT, f"{where}/elements", each)


def _actions(block: dict[str, Any], where: str) -> Faults:
    ids: set[str] = set()
    yield from _list(block.get("elements"), ACTIONS, f"{where}/elements", lambda item, at: _element(item, at, ids))


def _element(item: Any, where: str, ids: set[str]) -> Faults:
    kind = item.get("type") if isinstance(item, dict) else None
    if kind not in ("button", "overflow", "static_select", "image"):
        yield f"unsupported element type: {kind} [json-pointer:{where}]"
        return
    yield from _id_faults(item, "action_id", where, ids)
    if kind == "button":
        yield from _button(item, where)
    elif kind == "image":
        yield from _image(item, where)
    else:
        yield from _list(item.get("options"), OPTIONS if kind == "static_select" else 5, f"{where}/options", _option)


def _button(item: dict[str, Any], where: str) -> Faults:
    yield from _text(item.get("text"), BUTTON_TEXT, f"{where}/text", only_plain=True)
    for name, limit in (("value", BUTTON_VALUE), ("url", URL)):
        if name in item:
            yield from _string(item[name], limit, f"{where}/{name}")
    if item.get("style", "primary") not in ("primary", "danger"):
        yield f"must be primary or danger [json-pointer:{where}/style]"
    if "confirm" in item:
        for name, limit in (("title", 100), ("text", CONFIRM), ("confirm", 30), ("deny", 30)):
            yield from _text(item["confirm"].get(name), limit, f"{where}/confirm/{name}")


def _option(item: Any, where: str) -> Faults:
    if not isinstance(item, dict):
        yield f"must be an object [json-pointer:{where}]"
        return
    yield from _text(item.get("text"), BUTTON_TEXT, f"{where}/text")
    yield from _string(item.get("value"), 150, f"{where}/value")


def _image(block: dict[str, Any], where: str) -> Faults:
    yield from _string(block.get("image_url"), URL, f"{where}/image_url")
    yield from _string(block.get("alt_text"), ALT_TEXT, f"{where}/alt_text")


def _markdown(block: dict[str, Any], where: str) -> Faults:
    yield from _string(block.get("text"), MARKDOWN, f"{where}/text")


def _anything(block: dict[str, Any], where: str) -> Faults:
    return iter(())


_BLOCKS: dict[str, Callable[[dict[str, Any], str], Faults]] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "markdown": _markdown,
    "divider": _anything,
    "rich_text": _anything,
}
