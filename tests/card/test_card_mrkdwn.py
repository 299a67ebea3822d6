"""Text from outside stays text: what `bot.mrkdwn` writes is read back by `bot.markup` as nothing but words."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.markup import read, seen
from bot.mrkdwn import bold, code, code_block, date, label, link, phrase, plain, prose, safe_url, size
from core.text import strip_hidden

_MARKS = st.sampled_from(
    [
        "*",
        "_",
        "~",
        "`",
        "```",
        ">",
        "<",
        "|",
        "&",
        ":fire:",
        ":+1:",
        "@here",
        "<!channel>",
        "<@U1>",
        "<https://x.example|y>",
        *[" ", "a", "word", "snake_case", "10:30:45", "~/x", "é", "\n", "\u200b", "👍🏽", "🇳🇱"],
    ]
)
_HOSTILE = st.lists(_MARKS | st.text(max_size=4), max_size=14).map("".join)


@given(_HOSTILE, st.integers(1, 90))
def test_plain_text_reads_back_as_one_line_of_words_within_its_size(text: str, limit: int):
    """Nothing in it formats, links, mentions or quotes, alone or inside our own bold."""
    inert = plain(text, limit)

    for written, styles in ((inert, frozenset()), (f"*{inert}*" if inert else "", frozenset({"bold"}))):
        spans = [(line.kind, span.kind, span.styles) for line in read(written, verbatim=True) for span in line.spans]
        assert spans == [("line", "text", styles)] * len(spans)
    assert size(inert) <= limit


@given(_HOSTILE, _HOSTILE)
def test_two_texts_beside_each_other_make_no_markup_together(one: str, other: str):
    """A mark in one text finds no partner in the next."""
    lines = read(f"{plain(one)} · {plain(other)}\n{plain(one)}", verbatim=True)

    assert {(span.kind, span.styles) for line in lines for span in line.spans} <= {("text", frozenset())}


@given(_HOSTILE, st.integers(20, 200))
def test_prose_keeps_to_words_and_code(text: str, limit: int):
    """A sentence may show code, and nothing else."""
    written = prose(text, limit)

    assert {line.kind for line in read(written, verbatim=True)} <= {"line", "pre"}
    assert {span.kind for line in read(written, verbatim=True) for span in line.spans} <= {"text"}
    assert {style for line in read(written, verbatim=True) for span in line.spans for style in span.styles} <= {"code"}
    assert size(written) <= limit


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("Use *args and `x` in ~/.bashrc", "Use ∗args and 'x' in ~/.bashrc"),
        ("snake_case stays, _this_ does not", "snake_case stays, ˍthisˍ does not"),
        ("> quoted", "› quoted"),
        ("redis:lock:key at 10:30:45", "redis∶lock:key at 10:30:45"),
        ("tell @here and ana@acme.dev", "tell @ here and ana@acme.dev"),
        ("two\n\nlines\tand\r\ntabs", "two lines and tabs"),
        ("in\u200bvis\u202eible \x1b[31mred\x1b[0m", "invisible red"),
        ("zalgo e" + "\u0301" * 40 + "!", "zalgo e" + "\u0301" * 4 + "!"),
        ("", ""),
        ("\u200b\u3164", ""),
    ],
)
def test_plain_text_reads_like_what_was_written(text: str, written: str):
    """Marks become their likenesses, and words stay as they are."""
    assert plain(text) == written


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("short", 5, "short"),
        ("one two three four", 12, "one two…"),
        ("one two, three", 9, "one two…"),
        ("x" * 50, 10, "x" * 9 + "…"),
        ("ab👍🏽cd", 5, "ab…"),
        ("🇳🇱🇩🇪🇫🇷", 10, "🇳🇱🇩🇪…"),
        ("e\u0301e\u0301e\u0301", 4, "e\u0301…"),
        ("&&&&", 11, "&amp;&amp;…"),
        ("word", 1, "…"),
        ("word", 0, ""),
    ],
)
def test_text_is_cut_between_words_and_never_inside_a_character(text: str, limit: int, kept: str):
    """The size counts what Slack counts: escaped, in UTF-16 units."""
    assert plain(text, limit) == kept


def test_a_label_is_not_escaped_and_cannot_become_a_picture():
    """plain_text shows entities as they are, and shortcodes as pictures."""
    assert label("R&D <prod> :fire:") == "R&D <prod> ∶fire:"


@pytest.mark.parametrize(
    ("sentence", "written"),
    [
        ("Check `pool_size` first.", "Check `pool_size` first."),
        ("1. **Restart** [the pod](https://evil.example/x) now", "Restart the pod now"),
        ("Run:\n```sh\nkubectl get <pod>\n```\nthen wait", "Run:\n```\nkubectl get &lt;pod&gt;\n```\nthen wait"),
        ("Run ```ls -l``` now", "Run `ls -l` now"),
        ("an `open mark and *star", "an 'open mark and ∗star"),
        ("``ls`` and `", "`ls` and '"),
    ],
)
def test_prose_keeps_code_and_drops_markdown(sentence: str, written: str):
    """Commands stay to the letter; a runbook's other marks go."""
    assert prose(sentence) == written


@pytest.mark.parametrize(
    ("sentence", "limit", "written"),
    [
        ("Run `rm -rf /data/tmp/cache` now", 20, "Run … now"),
        ("Do it, and run `rm -rf /data/tmp/cache-of-all`", 44, "Do it, and run (code too long to show here)"),
        ("Run\n```\nrm -rf /a\nrm -rf /data/tmp/b\n```", 40, "Run (code too long to show here)"),
        ("Run ```rm -rf /data/`hostname`/tmp/c```", 36, "Run (code too long to show here)"),
    ],
)
def test_half_a_command_is_never_shown(sentence: str, limit: int, written: str):
    """Cut short, "rm -rf /data/tmp" would be another command."""
    assert prose(sentence, limit) == written


def test_a_phrase_has_no_code_block():
    """Where one line is wanted, a fenced block becomes inline code."""
    assert phrase("Run:\n```\nls -l\n```\nnow") == "Run: `ls -l` now"


def test_code_blocks_hold_their_fence():
    """A fence inside the code does not end it."""
    lines = read(code_block("a\n```\n<!channel> *b*\n"), verbatim=True)

    assert [(line.kind, line.spans[0].text) for line in lines] == [("pre", "a\n'''\n<!channel> *b*")]


@pytest.mark.parametrize(("made", "nothing"), [(bold, ""), (code, ""), (code_block, ""), (plain, ""), (prose, "")])
def test_nothing_to_show_writes_nothing(made, nothing: str):
    """No empty bold, code or block is left behind."""
    assert made("\u200b \n") == nothing


@pytest.mark.parametrize(
    ("url", "offered"),
    [
        ("https://wiki.acme.dev/a?b=1#c", "https://wiki.acme.dev/a?b=1#c"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
        ("https://[::1]:8080/x", "https://[::1]:8080/x"),
        ("https://wiki.acme.dev/a|b>c<d", "https://wiki.acme.dev/a%7Cb%3Ec%3Cd"),
        ("https://wiki.acme.dev/über", "https://wiki.acme.dev/%C3%BCber"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("file:///etc/passwd", None),
        ("https://", None),
        ("//acme.dev/x", None),
        ("https://github.com@evil.example/", None),
        ("https://good.example\\@evil.example/", None),
        ("https://gооgle.com/", None),  # Cyrillic о
        ("https://acme.dev:99999/", None),
        ("https://acme.dev/a b", None),
        ("https://acme.dev/\u202ecod.exe", None),
        ("https://acme.dev/" + "x" * 400, None),
        ("https://acme.dev/" + "&" * 100, None),
        ("https://[::1", None),
        ("", None),
        (None, None),
    ],
)
def test_only_plain_web_addresses_are_offered(url: str | None, offered: str | None):
    """What could mislead or break out of a link is shown by its label alone."""
    assert safe_url(url) == offered


def test_a_link_cannot_be_broken_by_its_label_or_address():
    """Pipes, brackets and ampersands stay inside."""
    written = link("https://acme.dev/?a=1&b=<x>", "a|b> *c* <!here>")

    (span,) = read(written)[0].spans
    assert (span.url, span.text) == ("https://acme.dev/?a=1&b=%3Cx%3E", "a¦b> ∗c∗ <!here>")


def test_a_citation_is_offered_over_https_only():
    """Schemes can be narrowed."""
    assert link("http://wiki.local/x", "[E1]", schemes=("https",)) == "[E1]"


def test_a_date_carries_its_own_fallback():
    """Slack shows each reader their zone; everything else shows UTC."""
    written = date(datetime(2026, 6, 16, 3, 2, tzinfo=UTC))

    assert written == "<!date^1781578920^{date_short_pretty} at {time}|2026-06-16 03:02 UTC>"
    assert seen(written) == "2026-06-16 03:02 UTC"


def test_every_control_and_format_character_is_hidden():
    """All of Unicode's control, format and surrogate characters go; newline and tab stay."""
    invisible = [chr(point) for point in range(0x110000) if unicodedata.category(chr(point)) in ("Cc", "Cf", "Cs")]

    assert {strip_hidden(f"a{char}\nb").replace("\n", "").replace("\t", "") for char in invisible} == {"ab"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x07click\x1b]8;;\x07", "click"),
        ("a\r\nb\u2028c", "a\nb\nc"),
        ("va\ufe0fri\U000e0100ant", "variant"),
        ("naïve 日本 🇳🇱", "naïve 日本 🇳🇱"),
    ],
)
def test_hidden_text_goes_and_seen_text_stays(text: str, kept: str):
    """Escape sequences go whole; letters of every script stay."""
    assert strip_hidden(text) == kept
