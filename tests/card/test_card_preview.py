"""The browser preview shows messages as Slack would, and lets nothing in them out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import card_states as states
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import blocks
from bot.preview import page, write_page

_ALLOWED_TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "aside", "section", "article", "div", "span", "h1", "h2", "h3", "small",
    "b", "i", "s", "a", "br", "hr", "pre", "code", "blockquote", "button", "time",
}  # fmt: skip
_ALLOWED_ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "style", "href", "rel", "type", "aria-label", "title",
}  # fmt: skip
_NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '<https://x.example/"onmouseover=alert(1)|y>',
    "<javascript:alert(1)|click>",
    "<https://x.example|<img src=x>>",
    "`<b>`",
    "```</style><script>```",
    "&lt;script&gt;",
    "*<i>*",
    '<@"><script>>',
    "<!date^1^{time}|<script>>",
    "'\" style=background:url(//evil.example)",
]


class _Seen(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] not in ("style",):
            self.words.append(data)


def _every_place(text: str) -> list[dict[str, Any]]:
    """A message with the text wherever a message can hold some."""
    plain, mrkdwn = {"type": "plain_text", "text": text}, {"type": "mrkdwn", "text": text}
    button = {
        "type": "button",
        "text": plain,
        "action_id": text,
        "value": text,
        "accessibility_label": text,
        "style": text,
    }
    shown = [
        {"type": "header", "text": plain},
        {"type": "section", "text": mrkdwn, "fields": [mrkdwn], "accessory": button},
        {"type": "section", "text": {**mrkdwn, "verbatim": True}, "accessory": {"type": text}},
        {"type": "context", "elements": [mrkdwn, plain]},
        {"type": "actions", "elements": [button]},
        {"type": text},
    ]
    reply = {"user": text, "text": text, "ts": text, "thread_ts": "1.0"}
    return [{"user": text, "username": text, "text": text, "ts": "1.0", "blocks": shown}, reply]


def _check(text: str) -> None:
    seen = _Seen(text)
    assert set(seen.tags) <= _ALLOWED_TAGS
    assert {name for name, _ in seen.attributes} <= _ALLOWED_ATTRIBUTES
    assert all(re.match(r"https?://", value or "") for name, value in seen.attributes if name == "href")
    assert all(
        re.fullmatch(r"background:#[0-9a-f]{6}", value or "") for name, value in seen.attributes if name == "style"
    )
    assert seen.tags.count("style") == 1


@pytest.mark.parametrize("text", _NASTY)
def test_no_text_becomes_markup_of_the_page(text: str):
    """In any field of a message, or the channel's name."""
    _check(page(text, _every_place(text), people={text: text, "U1": text}))


@settings(max_examples=150)
@given(st.lists(st.sampled_from(_NASTY) | st.text(max_size=8), max_size=6).map("".join))
def test_nothing_in_a_message_escapes(text: str):
    """Nor any mixture of them."""
    _check(page(text, _every_place(text), people={text: text}))


@pytest.mark.parametrize("name", states.pages())
def test_every_state_can_be_looked_at(name: str):
    """Each page holds, loads nothing and runs nothing."""
    text = states.pages()[name]

    _check(text)
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert not re.search(r"<(script|img|link|iframe)|@import|url\(", text)


def test_mrkdwn_is_laid_out():
    """Bold, italic, strike, code, a block, a quote, a link, a date and a mention by name."""
    text = "*b* _i_ ~s~ `c` <https://a.dev/?x=1&amp;y=2|l> <!date^0^{time}|00:00 UTC> <@U1>\n&gt; q\n```\np\n```"
    shown = page("ops", [{"user": "U1", "text": text, "ts": "0"}], people={"U1": "Ana"})

    body = shown.partition("</div>")[2]
    for part in (
        "<b>b</b> <i>i</i> <s>s</s> <code>c</code>",
        '<a href="https://a.dev/?x=1&amp;y=2" rel="noopener noreferrer">l</a>',
        "<time>00:00 UTC</time>",
        '<span class="mention">@Ana</span>',
        "<blockquote>q</blockquote>",
        "<pre>p</pre>",
    ):
        assert part in body


def test_replies_stand_in_the_thread():
    """Whether they come inside their message or beside it."""
    card = blocks.card_message(states.LIKELY)
    beside = page("ops", [{"ts": "1.0", **card}, {"ts": "2.0", "thread_ts": "1.0", "text": "a reply"}])
    inside = page("ops", [{"ts": "1.0", **card, "thread": [{"ts": "2.0", "text": "a reply"}]}])

    assert beside == inside
    assert "a reply" in beside.partition("<aside>")[2]
    assert "a reply" not in beside.partition("<aside>")[0]
    assert "1 reply" in beside.partition("<aside>")[0]


def test_a_page_is_written_where_asked(tmp_path: Path):
    """And its path comes back."""
    path = write_page(tmp_path / "card.html", "ops", [{"text": "naïve 👍", "ts": "1"}])

    assert path.read_text(encoding="utf-8") == page("ops", [{"text": "naïve 👍", "ts": "1"}])
