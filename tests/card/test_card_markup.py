"""Slack's mrkdwn is read as Slack shows it."""

from __future__ import annotations

import pytest

from bot.markup import read


def _flat(text: str, **how: bool) -> list[tuple]:
    return [
        (line.kind, span.kind, span.text, *sorted(span.styles), *([span.url] if span.url else []))
        for line in read(text, **how)
        for span in line.spans
    ]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("a *b* c", [("line", "text", "a "), ("line", "text", "b", "bold"), ("line", "text", " c")]),
        ("*b _i_*", [("line", "text", "b ", "bold"), ("line", "text", "i", "bold", "italic")]),
        ("~gone~", [("line", "text", "gone", "strike")]),
        ("2*3*4 and a_b_c", [("line", "text", "2*3*4 and a_b_c")]),
        ("`*x*`", [("line", "text", "*x*", "code")]),
        ("*a `*` b*", [("line", "text", "a ", "bold"), ("line", "text", "*", "bold", "code"), ("line", "text", " b", "bold")]),
        ("<https://a.dev/?x=1&amp;y=2|A &amp; B>", [("line", "link", "A & B", "https://a.dev/?x=1&y=2")]),
        ("<https://a.dev>", [("line", "link", "https://a.dev", "https://a.dev")]),
        ("<@U1> <#C1|ops> <!here>", [
            ("line", "mention", "@U1"), ("line", "text", " "), ("line", "mention", "#ops"), ("line", "text", " "),
            ("line", "mention", "@here"),
        ]),
        (":tada: :nosuch:", [("line", "emoji", "🎉"), ("line", "text", " :nosuch:")]),
        ("&gt; said", [("quote", "text", "said")]),
        (">said", [("quote", "text", "said")]),
        ("a\n```\nx *y*\n```\nb", [("line", "text", "a"), ("pre", "text", "x *y*"), ("line", "text", "b")]),
        ("<!date^1781578920^{time}|03:02 UTC>", [("line", "date", "03:02 UTC")]),
    ],
)  # fmt: skip
def test_mrkdwn_is_read_as_slack_shows_it(text: str, spans: list[tuple]):
    """Formatting, links, mentions, quotes, code and dates."""
    assert _flat(text) == spans


def test_bare_addresses_are_links_unless_the_text_is_verbatim():
    """As Slack does: its own linking is switched off by `verbatim`."""
    assert _flat("see https://a.dev/x.") == [
        ("line", "text", "see "),
        ("line", "link", "https://a.dev/x", "https://a.dev/x"),
        ("line", "text", "."),
    ]
    assert _flat("see https://a.dev/x.", verbatim=True) == [("line", "text", "see https://a.dev/x.")]
