"""The terminal shows the same card, and takes no orders from it."""

from __future__ import annotations

import io

import card_states as states
import pytest

from bot import blocks
from bot.terminal import show, show_thread


def _printed(drawing, *, width: int = 90, colour: bool = False) -> str:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, force_terminal=colour, color_system="standard" if colour else None, legacy_windows=False).print(drawing)  # fmt: skip
    return out.getvalue()


@pytest.mark.parametrize(
    "words",
    [
        "🟡 P1 · Checkout returns 500 for card payments",
        "Likely cause, about 80%: Lower payments pool timeout from 2000 to 200 ms",
        "started 2026-06-16 03:02 UTC",
        "[👍 2]  [👎]",
        "1. Lower payments pool timeout from 2000 to 200 ms             [This is the culprit]",
        "    kubectl -n shop rollout undo deploy/checkout",
    ],
)
def test_the_card_reads_the_same_in_a_terminal(words: str):
    """Title, verdict, date, buttons and commands."""
    assert words in _printed(show(blocks.card_message(states.LIKELY), width=90))


@pytest.mark.parametrize("width", [40, 60, 120])
@pytest.mark.parametrize("name", states.CARDS)
def test_no_line_leaves_its_frame(name: str, width: int):
    """At any width, whatever the card holds."""
    from rich.cells import cell_len

    lines = _printed(show(blocks.card_message(states.CARDS[name]), width=width), width=width).splitlines()

    assert {cell_len(line) for line in lines} == {width}


def test_links_can_be_clicked_where_a_terminal_can():
    """By the address the message carries."""
    assert f"{states.EVIDENCE[0].url}\x1b\\" in _printed(show(blocks.card_message(states.LIKELY)), colour=True)


def test_a_message_gives_the_terminal_no_orders():
    """Neither control sequences nor console markup."""
    text = "[bold red]x[/] \x1b]0;owned\x07 \x1b[2J ok"
    message = {"text": "", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}

    printed = _printed(show(message), colour=True)

    assert "[bold red]x[/]" in printed
    assert "owned" not in printed
    assert "\x1b[2J" not in printed


def test_a_plain_message_is_shown_too():
    """One without blocks: what a person wrote."""
    assert "hello <ops>" in _printed(show({"text": "hello &lt;ops&gt;"}))


def test_fields_and_quotes_are_shown():
    """The rest of the blocks a message may hold."""
    section = {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "> quoted"},
        "fields": [{"type": "mrkdwn", "text": "*one*"}, {"type": "plain_text", "text": "two :tada:"}],
    }
    printed = _printed(show({"text": "", "blocks": [section, {"type": "image"}]}))

    assert all(word in printed for word in ("  quoted", "one", "two 🎉"))


def test_replies_are_set_in_under_their_message():
    """A thread is told apart from its card at a glance."""
    printed = _printed(show_thread([{"text": "card"}, {"text": "reply"}], width=60)).splitlines()

    assert [len(line) - len(line.lstrip()) for line in printed if "card" in line or "reply" in line] == [0, 4]
