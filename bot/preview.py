"""A channel as Slack would show it, as one web page that needs no network.

Does: lay out messages, threads and Block Kit in HTML, so that the card can be looked at without a workspace.
Does not: run scripts, load anything, or trust a character of what messages hold: all of it is escaped, and the page forbids itself
everything but its own style.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.markup import EMOJI, Line, Span, read
from bot.mrkdwn import safe_url
from core.text import strip_hidden

_TAGS = {"bold": "b", "italic": "i", "strike": "s", "code": "code"}
_COLOURS = ("#4a154b", "#1264a3", "#2bac76", "#cd5b1c", "#a6325a", "#616061")


def write_page(
    path: Path,
    channel_name: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    people: Mapping[str, str] | None = None,
) -> Path:
    """Write `page` to a file and return its path.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text(page(channel_name, messages, people=people), encoding="utf-8")
    return path


def page(channel_name: str, messages: Sequence[Mapping[str, Any]], *, people: Mapping[str, str] | None = None) -> str:
    """One HTML page: the channel on the left, its threads on the right.

    Args:
        channel_name: without "#".
        messages: as Slack holds them: {"user", "text", "blocks"?, "ts", "thread_ts"?, "thread"?: replies}. A message whose
            `thread_ts` is another's `ts` is a reply to it.
        people: user id to display name; ids without one are shown as they are.
    """
    names = dict(people or {})
    roots, replies = _threads(messages)
    channel = "".join(_message(item, names, len(replies.get(str(item.get("ts")), ()))) for item in roots)
    panels = "".join(
        f'<section class="thread"><h2>Thread <small>#{_text(channel_name)}</small></h2>'
        f'<div class="list">{"".join(_message(reply, names, 0) for reply in replies[str(item.get("ts"))])}</div></section>'
        for item in roots
        if str(item.get("ts")) in replies
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>#{_text(channel_name)}</title><style>{_STYLE}</style></head><body>"
        f'<main><h1># {_text(channel_name)}</h1><div class="list">{channel}</div></main>'
        f"{f'<aside>{panels}</aside>' if panels else ''}</body></html>\n"
    )


def _threads(
    messages: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], dict[str, list[Mapping[str, Any]]]]:
    roots: list[Mapping[str, Any]] = []
    replies: dict[str, list[Mapping[str, Any]]] = {}
    for item in messages:
        parent = item.get("thread_ts")
        if parent and parent != item.get("ts"):
            replies.setdefault(str(parent), []).append(item)
        else:
            roots.append(item)
        for reply in item.get("thread") or ():
            replies.setdefault(str(item.get("ts")), []).append(reply)
    return roots, replies


def _message(item: Mapping[str, Any], names: Mapping[str, str], replies: int) -> str:
    user = str(item.get("user") or item.get("username") or item.get("bot_id") or "Rundown")
    name = names.get(user, user)
    is_app = bool(item.get("blocks") or item.get("bot_id"))
    colour = _COLOURS[sum(map(ord, name)) % len(_COLOURS)]
    blocks = item.get("blocks") or [{"type": "section", "text": {"type": "mrkdwn", "text": item.get("text") or ""}}]
    body = _named("".join(_block(block) for block in blocks), names)
    count = f'<div class="replies">{replies} {"reply" if replies == 1 else "replies"}</div>' if replies else ""
    return (
        f'<article><div class="avatar" style="background:{colour}">{_text(name[:1].upper() or "?")}</div><div class="body">'
        f'<div class="who"><b>{_text(name)}</b>{"<span class=app>APP</span>" if is_app else ""}'
        f"<time>{_clock(item.get('ts'))}</time></div>{body}{count}</div></article>"
    )


def _named(body: str, names: Mapping[str, str]) -> str:
    """Finished HTML with people's names for their ids in mentions."""
    for user, name in names.items():
        body = body.replace(
            f'<span class="mention">@{_text(user)}</span>', f'<span class="mention">@{_text(name)}</span>'
        )
    return body


def _clock(ts: Any) -> str:
    try:
        return f"{datetime.fromtimestamp(float(ts), UTC):%H:%M}"
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


# -- blocks ------------------------------------------------------------------------------------------------------


def _block(block: Mapping[str, Any]) -> str:
    draw = _BLOCKS.get(str(block.get("type")))
    return draw(block) if draw else f'<div class="unknown">A “{_text(str(block.get("type")))}” block</div>'


def _header(block: Mapping[str, Any]) -> str:
    return f'<h3 class="header">{_object(block["text"])}</h3>'


def _section(block: Mapping[str, Any]) -> str:
    text = f'<div class="text">{_object(block["text"])}</div>' if "text" in block else ""
    fields = "".join(f"<div>{_object(field)}</div>" for field in block.get("fields") or ())
    side = f'<div class="side">{_button(block["accessory"])}</div>' if block.get("accessory") else ""
    return f'<div class="section"><div class="words">{text}{f"<div class=fields>{fields}</div>" if fields else ""}</div>{side}</div>'


def _context(block: Mapping[str, Any]) -> str:
    return f'<div class="context">{"".join(f"<span>{_object(item)}</span>" for item in block["elements"])}</div>'


def _actions(block: Mapping[str, Any]) -> str:
    return f'<div class="actions">{"".join(_button(item) for item in block["elements"])}</div>'


def _divider(_block: Mapping[str, Any]) -> str:
    return "<hr>"


_BLOCKS = {"header": _header, "section": _section, "context": _context, "actions": _actions, "divider": _divider}


def _button(item: Mapping[str, Any]) -> str:
    if item.get("type") != "button":
        return f'<div class="unknown">A “{_text(str(item.get("type")))}” element</div>'
    style = " primary" if item.get("style") == "primary" else " danger" if item.get("style") == "danger" else ""
    hint = _text(str(item.get("accessibility_label") or ""))
    return f'<button type="button" class="button{style}" aria-label="{hint}" title="{hint}">{_object(item["text"])}</button>'


def _object(text: Mapping[str, Any]) -> str:
    """A text object: plain_text, or mrkdwn."""
    if text.get("type") == "plain_text":
        shown = str(text.get("text", ""))
        for name, char in EMOJI.items():
            shown = shown.replace(f":{name}:", char)
        return _text(shown)
    return _lines(read(str(text.get("text", "")), verbatim=bool(text.get("verbatim"))))


# -- mrkdwn ------------------------------------------------------------------------------------------------------


def _lines(lines: Sequence[Line]) -> str:
    drawn: list[str] = []
    for index, line in enumerate(lines):
        inner = "".join(_span(span) for span in line.spans)
        if line.kind == "pre":
            drawn.append(f"<pre>{inner}</pre>")
        elif line.kind == "quote":
            drawn.append(f"<blockquote>{inner}</blockquote>")
        else:
            follows = index + 1 < len(lines) and lines[index + 1].kind == "line"
            drawn.append(inner + ("<br>" if follows else ""))
    return "".join(drawn)


def _span(span: Span) -> str:
    shown = _text(span.text)
    for style in sorted(span.styles):
        shown = f"<{_TAGS[style]}>{shown}</{_TAGS[style]}>"
    if span.kind == "link":
        url = safe_url(span.url)
        return f'<a href="{_text(url)}" rel="noopener noreferrer">{shown}</a>' if url else shown
    if span.kind == "mention":
        return f'<span class="mention">{shown}</span>'
    if span.kind == "date":
        return f"<time>{shown}</time>"
    return shown


def _text(text: str) -> str:
    return html.escape(strip_hidden(text), quote=True)


_STYLE = """
*{box-sizing:border-box}
body{margin:0;display:flex;min-height:100vh;color:#1d1c1d;background:#fff;
font:15px/1.46668 Lato,"Slack-Lato","Helvetica Neue",Helvetica,"Segoe UI",Tahoma,Arial,"Noto Color Emoji",sans-serif}
main{flex:1 1 640px;min-width:0}
aside{flex:0 1 560px;min-width:0;border-left:1px solid #ddd}
h1,h2{margin:0;padding:13px 20px;font-size:18px;line-height:1.33;font-weight:900;border-bottom:1px solid #ddd}
h2 small{margin-left:6px;font-size:13px;font-weight:400;color:#616061}
.list{padding:12px 0}
article{display:flex;gap:8px;padding:8px 20px}
.avatar{flex:none;width:36px;height:36px;border-radius:8px;color:#fff;font-weight:900;text-align:center;line-height:36px}
.body{flex:1;min-width:0;max-width:720px}
.who{display:flex;align-items:baseline;gap:6px;line-height:1.4}.who b{font-weight:900}
.who time{font-size:12px;color:#616061}
.app{padding:1px 3px;border-radius:2px;background:#e8e8e8;color:#616061;font-size:10px;font-weight:700;line-height:1.1;align-self:center}
.header{margin:8px 0 4px;font-size:18px;line-height:1.33;font-weight:900}
.section{display:flex;gap:16px;margin:8px 0 4px}
.words{flex:1;min-width:0;max-width:600px;overflow-wrap:anywhere}
.side{flex:none;padding-top:2px}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px 16px;margin-top:4px}
.context{display:flex;flex-wrap:wrap;gap:4px 8px;margin:4px 0;max-width:600px;color:#616061;font-size:13px;line-height:1.38;overflow-wrap:anywhere}
.actions{display:flex;flex-wrap:wrap;gap:8px;margin:4px 0 8px}
.button{height:28px;padding:0 10px 1px;border:1px solid rgba(29,28,29,.3);border-radius:4px;background:#fff;color:#1d1c1d;font:700 13px/26px inherit;font-family:inherit;font-weight:700;font-size:13px;white-space:nowrap}
.button.primary{border-color:#007a5a;color:#007a5a}.button.danger{border-color:#e01e5a;color:#e01e5a}
hr{border:0;border-top:1px solid #ddd;margin:12px 0 8px}
a{color:#1264a3;text-decoration:none}a:hover{text-decoration:underline}
b{font-weight:700}
code{padding:2px 3px 1px;border:1px solid rgba(29,28,29,.13);border-radius:3px;background:rgba(29,28,29,.04);color:#e01e5a;font:12px/1.5 Monaco,Menlo,Consolas,"DejaVu Sans Mono",monospace}
a code{color:inherit}
pre{margin:4px 0;padding:8px;border:1px solid rgba(29,28,29,.13);border-radius:4px;background:rgba(29,28,29,.04);font:12px/1.5 Monaco,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre-wrap;overflow-wrap:anywhere}
blockquote{margin:4px 0;padding-left:12px;border-left:4px solid #ddd}
.mention{padding:0 2px 1px;border-radius:3px;background:#e8f5fa;color:#1264a3}
.replies{margin-top:4px;font-size:13px;font-weight:700;color:#1264a3}
.unknown{color:#616061;font-style:italic}
@media(max-width:1000px){body{flex-direction:column}aside{border-left:0;border-top:1px solid #ddd}}
"""
