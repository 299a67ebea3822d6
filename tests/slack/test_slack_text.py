"""What people write in Slack, as words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack_text import mentions, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what changed?", "what changed?"),
        ("<@UBOT> what changed?", "what changed?"),
        ("<@UBOT|rundown> what changed?", "what changed?"),
        ("hey <@UBOT>, and <@U2|ben> or <@U3>?", "hey , and @ben or @U3?"),
        ("see <https://x.example/a|the page>", "see the page (https://x.example/a)"),
        ("see <https://x.example/a>", "see https://x.example/a"),
        ("see <https://x.example/a|https://x.example/a>", "see https://x.example/a"),
        ("in <#C1|oncall> and <#C2>", "in #oncall and #C2"),
        ("<!here> <!subteam^S1|@sre> <!date^1^{date}|1 Jan>", "@here @sre 1 Jan"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("  two   spaces \n\tand a line ", "two spaces\nand a line"),
        ("zero\u200bwidth \u202eevil", "zerowidth evil"),
        ("", ""),
    ],
)
def test_words(text, expected):
    """Markup is named, the bot's own mention left out, hidden characters dropped."""
    assert words(text, bot="UBOT") == expected


@given(st.text(alphabet="<>@#!|&;U1 a\n", max_size=40))
def test_any_text_can_be_read(text):
    """And reading adds no markup that was not typed."""
    assert "<@U1>" not in words(text.replace("&", ""))


@pytest.mark.parametrize(
    ("text", "mentioned"), [("<@U1> hi", True), ("<@U1|ana> hi", True), ("<@U12> hi", False), ("U1", False)]
)
def test_mentions(text, mentioned):
    """By id, whole."""
    assert mentions(text, "U1") is mentioned
