"""The card in a terminal: the part of Block Kit that Rundown uses, drawn with rich.

Does: draw a message or a whole thread, with links to click, code, buttons as [👍 2], and times in UTC.
Does not: send, ask or decide anything; take control sequences or console markup from a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bot.markup import EMOJI, Line, Span, decode, read
from bot.mrkdwn import ORIGINALS
from core.text import strip_hidden

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

#: Wider than this a card is hard to read.
_WIDTH = 100
_BORDERS = {"🔴": "red", "🟠": "dark_orange", "🟡": "yellow", "🟢": "green"}
_STYLES = {"bold": "bold", "italic": "italic", "strike": "strike", "code": "cyan"}


def show(message: dict[str, Any], *, width: int | None = None, buttons: bool = True) -> RenderableType:
    """One message in a frame.

    Args:
        buttons: whether to draw them; where nobody can press one, it reads like a verdict.
        message: {"text", "blocks"?} as sent to Slack.
        width: columns; by default as wide as the terminal, up to what reads well.
    """
    from rich.console import Group
    from rich.panel import Panel

    blocks = message.get("blocks") or [{"type": "section", "text": {"type": "mrkdwn", "text": message.get("text", "")}}]
    if not buttons:
        blocks = [
            {name: part for name, part in block.items() if name != "accessory"}
            for block in blocks
            if block["type"] != "actions"
        ]
    title = next((_plain(block["text"]) for block in blocks if block["type"] == "header"), None)
    body: list[RenderableType] = [title] if title is not None else []
    for block, after in _followed(blocks):
        body += _block(block, spaced=(block["type"], after) != ("context", "context"))
    border = next(
        (colour for dot, colour in _BORDERS.items() if title is not None and title.plain.startswith(dot)),
        "bright_black",
    )
    if title is not None:
        title.stylize("bold")
    return Panel(
        Group(*body[: len(body) - 1 if body and _is_blank(body[-1]) else None]),
        border_style=border,
        padding=(1, 2),
        width=width or _fitting(),
    )


def show_thread(messages: Sequence[dict[str, Any]], *, width: int | None = None) -> RenderableType:
    """A message and its replies, the replies set in from the left."""
    from rich.console import Group
    from rich.padding import Padding

    wide = width or _fitting()
    first, replies = messages[:1], messages[1:]
    return Group(
        *(show(message, width=wide) for message in first),
        *(Padding(show(message, width=wide - 4), (0, 0, 0, 4)) for message in replies),
    )


def _followed(blocks: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], str | None]]:
    """Each block below the title, with the type of the one after it."""
    shown = [block for block in blocks if block["type"] != "header"]
    return [(block, shown[place]["type"] if place < len(shown) else None) for place, block in enumerate(shown, 1)]


def _fitting() -> int:
    import shutil

    return min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH)


def _block(block: dict[str, Any], *, spaced: bool) -> list[RenderableType]:
    """What a block shows, and an empty line after it where Slack leaves space."""
    from rich.rule import Rule
    from rich.text import Text

    kind, after = block["type"], [Text("")] if spaced else []
    if kind == "divider":
        return [Rule(style="bright_black")]
    if kind == "actions":
        return [Text("  ").join(_button(item) for item in block["elements"]), *after]
    if kind == "context":
        line = Text("  ").join(_text(item) for item in block["elements"])
        line.stylize_before("bright_black")
        return [line, *after]
    return [*_section(block), *after] if kind == "section" else []


def _section(block: dict[str, Any]) -> list[RenderableType]:
    from rich.columns import Columns
    from rich.console import Group
    from rich.table import Table

    parts: list[RenderableType] = [*_lines(block["text"])] if "text" in block else []
    if block.get("fields"):
        parts.append(Columns([_text(field) for field in block["fields"]], expand=True))
    if "accessory" not in block or block["accessory"]["type"] != "button":
        return parts
    beside = Table.grid(expand=True, padding=(0, 2))
    beside.add_column(ratio=1)
    beside.add_column(no_wrap=True)
    beside.add_row(Group(*parts), _button(block["accessory"]))
    return [beside]


def _lines(text: dict[str, Any]) -> list[RenderableType]:
    from rich.padding import Padding

    drawn: list[RenderableType] = []
    for line in _read(text):
        inner = _spans(line)
        if line.kind == "pre":
            inner.stylize("cyan")
            drawn.append(Padding(inner, (0, 0, 0, 4)))
        else:
            drawn.append(Padding(inner, (0, 0, 0, 2)) if line.kind == "quote" else inner)
    return drawn


def _text(text: dict[str, Any]) -> Text:
    from rich.text import Text

    return Text("\n").join(_spans(line) for line in _read(text))


def _read(text: dict[str, Any]) -> tuple[Line, ...]:
    if text["type"] == "plain_text":
        return (Line(spans=(Span(text=_emoji(text["text"])),)),)
    return read(text["text"], verbatim=bool(text.get("verbatim")))


def _spans(line: Line) -> Text:
    from rich.style import Style
    from rich.text import Text

    drawn = Text()
    for span in line.spans:
        style = Style.parse(" ".join(_STYLES[name] for name in sorted(span.styles)) or "none")
        if span.kind == "link" and span.url:
            style += Style(underline=True, link=strip_hidden(span.url))
        drawn.append(strip_hidden(span.text).translate(ORIGINALS), style=style)
    return drawn


def _plain(text: dict[str, Any]) -> Text:
    from rich.text import Text

    return Text(strip_hidden(_emoji(text["text"])).translate(ORIGINALS))


def _button(item: dict[str, Any]) -> Text:
    from rich.text import Text

    strong = "bold green" if item.get("style") == "primary" else "bold"
    return Text.assemble("[", (_plain(item["text"]).plain, strong), "]")


def _emoji(text: str) -> str:
    for name, char in EMOJI.items():
        text = text.replace(f":{name}:", char)
    return decode(text)


def _is_blank(part: RenderableType) -> bool:
    from rich.text import Text

    return isinstance(part, Text) and not part.plain
