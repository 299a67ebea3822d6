"""One file's bytes into one document."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from core.model import Document, Tier
from ingest.files import MAX_BYTES, address_of, is_document, make_document
from ingest.sources import Skipped


def made(text: str | bytes, doc_id: str = "guides/page.md", **known: Any) -> Document:
    data = text.encode() if isinstance(text, str) else text
    found = make_document(doc_id, data, source="folder:/docs", **known)
    assert isinstance(found, Document), found
    return found


def refused(text: str | bytes, doc_id: str = "page.md") -> str:
    data = text.encode() if isinstance(text, str) else text
    found = make_document(doc_id, data, source="folder:/docs")
    assert isinstance(found, Skipped), found
    return found.reason


def test_front_matter_says_what_it_knows():
    """Everything a page can tell of itself, and the rest is its text."""
    page = """\
---
title: Broker disk full
url: https://wiki.example/broker
service: kafka
tier: runbook
updated: 2026-02-03
readers: [ops, C0123456, Anna@example.org]
---
# Another heading

Delete segments.
"""

    assert made(page) == Document(
        id="guides/page.md",
        source="folder:/docs",
        title="Broker disk full",
        text="# Another heading\n\nDelete segments.\n",
        tier=Tier.RUNBOOK,
        url="https://wiki.example/broker",
        service="kafka",
        updated_at=datetime(2026, 2, 3, 23, 59, 59, tzinfo=UTC),
        readers=("group:ops", "C0123456", "user:anna@example.org"),
    )


@pytest.mark.parametrize(
    ("doc_id", "text", "title"),
    [
        ("a.md", "# Heading #\n\nx", "Heading"),
        ("a.md", "```\n# in code\n```\n\n# Real `one` {#id}\n", "Real one"),
        ("a.md", "Setext\n===\n\nx", "Setext"),
        ("broker-disk_full.md", "no heading, ## 2", "broker disk full"),
        ("kafka/README.md", "no heading", "kafka"),
        ("a.txt", "# not Markdown", "a"),
        ("a.html", "<title>Page</title><body><h1>Broker <b>full</b></h1>x</body>", "Broker full"),
        ("a.html", "<title>Page\n title</title><p>x</p>", "Page title"),
        ("a.adoc", "= Broker full\n\nx", "Broker full"),
        ("a.md", "---\ntitle: 7\n---\n# Heading", "7"),
        ("a.md", "---\nnothing: here\n---\n# Heading", "Heading"),
    ],
)
def test_a_document_has_a_title(doc_id: str, text: str, title: str):
    """From front matter, its first heading, the page's title, or its file's name."""
    assert made(text, doc_id).title == title


@pytest.mark.parametrize(
    ("readers", "expected"),
    [
        ("", ("*",)),
        ("readers: ops", ("group:ops",)),
        ("readers: Ops, C0123456", ("group:ops", "C0123456")),
        ("readers: [ops, 7, Anna@Example.org]", ("group:ops", "group:7", "user:anna@example.org")),
        ("readers: ['user:ANNA@example.org', 'group:On Call']", ("user:anna@example.org", "group:on call")),
        ("readers: []", ()),
        ("readers: ''", ()),
    ],
)
def test_front_matter_says_who_may_read(readers: str, expected: tuple[str, ...]):
    """Everyone unless it says otherwise; an empty list is nobody."""
    assert made(f"---\ntitle: x\n{readers}\n---\ntext").readers == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("---\ntitle: x\nreaders: {a: b}\n---\ntext", "who may read it"),
        ("---\ntitle: x\nreaders:\n---\ntext", "who may read it"),
        ("---\ntitle: x\nreaders: [[ops]]\n---\ntext", "who may read it"),
        ("---\ntitle: x\nreaders: [ops\n---\ntext", "not YAML"),
        ("---\n'title': *nowhere\n---\ntext", "not YAML"),
        ("---\ntitle: x\n---\n  \n", "empty"),
        ("", "empty"),
        (" \n", "empty"),
        (b"PK\x03\x04\x00\x00binary", "not text"),
        (b"\x81\x8d caf\x81", "not text"),
        (b"x" * (MAX_BYTES + 1), r"2\.0 MB, more than 2"),
    ],
)
def test_what_cannot_be_trusted_or_read_is_refused_with_a_reason(text: str | bytes, why: str):
    """Front matter that cannot be understood may have said who must not read it."""
    assert re.search(why, refused(text)), refused(text)


def test_a_rule_at_the_top_is_not_front_matter():
    """Markdown may begin with a line of dashes."""
    assert made("---\n\nSome words.\n\n---\n\nMore.").text == "---\n\nSome words.\n\n---\n\nMore."


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é ü".encode(), "é ü"),
        (b"\xef\xbb\xbfbom", "bom"),
        ("é".encode("utf-16"), "é"),
        ("café".encode("latin-1"), "café"),
        (b"a\r\nb\rc", "a\nb\nc"),
    ],
)
def test_text_is_decoded_as_people_write_it(data: bytes, text: str):
    """UTF-8 with and without its mark, UTF-16, Western European; every line ends the same."""
    assert made(data, "a.txt").text == text


@pytest.mark.parametrize(
    ("name", "source", "text", "hidden"),
    [
        ("a.md", "# T <!-- x -->\n", "# T \n", ("1 HTML comment",)),
        ("a.html", "<p hidden>x y</p>a", "a", ("2 words that the page does not show",)),
        ("a.adoc", "a\n\n// x\n\n////\ny\n////\n\n++++\n<b hidden>z</b>\n++++", "a", ("2 AsciiDoc comments", "1 word that the page does not show")),
        ("a.txt", "a <!-- seen in a text -->", "a <!-- seen in a text -->", ()),
        ("a.md", "a\n", "a\n", ()),
    ],
)  # fmt: skip
def test_what_a_file_hides_is_told(name: str, source: str, text: str, hidden: tuple[str, ...]):
    """Each format has its own places to hide words in; plain text has none."""
    found = made(source, name)

    assert (found.text, found.hidden) == (text, hidden)


def test_a_file_with_nothing_to_see_is_refused():
    """All of it is hidden."""
    assert refused("<!-- words -->") == "empty"


def test_nesting_no_page_has_is_refused():
    """Instead of ending the run."""
    assert refused("<div>" * 50_000 + "x", "a.html") == "nested deeper than any real page"


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, datetime(2026, 2, 3, 4, 5, tzinfo=UTC)),
        ({"changed_at": datetime(2026, 3, 1, tzinfo=UTC)}, datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_the_time_of_change_is_the_surest_known(known: dict[str, Any], expected: datetime):
    """The source's own knowledge goes before what the page says."""
    assert made("---\nlastmod: 2026-02-03T04:05:00Z\n---\nx", **known).updated_at == expected


def test_an_address_is_the_path_below_the_base():
    """Quoted; the page's own address goes before it; a script address is none."""
    url = address_of("https://wiki.example/docs/", "a b/ü.md")

    assert (
        url,
        address_of(None, "a.md"),
        made("---\nurl: https://other/x\n---\nx", url=url).url,
        made("---\nurl: javascript:alert(1)\n---\nx", url=url).url,
    ) == ("https://wiki.example/docs/a%20b/%C3%BC.md", None, "https://other/x", url)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.md", True),
        ("A.MD", True),
        ("a.adoc", True),
        ("a.htm", True),
        ("a.txt", True),
        ("a.py", False),
        ("md", False),
    ],
)
def test_documents_are_known_by_their_names(name: str, expected: bool):
    """Markdown, AsciiDoc, HTML and text."""
    assert is_document(name) == expected


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ('+++\nreaders = ["group:sre"]\n+++\nSecret.', "TOML"),
        ("Title\n\n---\nreaders: [group:sre]\n---\nSecret.", "names readers"),
        ("readers: group:sre\n\nSecret.", "names readers"),
    ],
)
def test_a_page_that_names_readers_elsewhere_is_refused(page: str, why: str):
    """It is not open to everyone because we did not find where it says otherwise."""
    assert why in refused(page)


@pytest.mark.parametrize("lead", ["\n", "  \n\n", "<!-- licence\n-->\n", "<!-- a --><!-- b -->\n\n"])
def test_front_matter_is_found_behind_blank_lines_and_comments(lead: str):
    """As other tools find it, so that who may read it is not missed."""
    assert made(f"{lead}---\nreaders: [sre]\n---\nWords.").readers == ("group:sre",)


def test_an_address_cannot_smuggle_in_another_reader():
    """Blanks and ends of line are no part of it."""
    assert made('---\nreaders: ["a@b.c\\n*"]\n---\nWords.').readers == ("user:a@b.c*",)


@pytest.mark.parametrize(
    ("front", "reviewed"),
    [
        ("reviewed_at: 2026-02-03", datetime(2026, 2, 3, 23, 59, 59, tzinfo=UTC)),
        ("last_reviewed_on: 2020-01-02", datetime(2020, 1, 2, 23, 59, 59, tzinfo=UTC)),
        ("reviewed: 2026-02-03T04:05:00Z", datetime(2026, 2, 3, 4, 5, tzinfo=UTC)),
        ("reviewed: true", None),
        ("updated: 2026-02-03", None),
    ],
)
def test_a_review_has_the_date_its_page_gives_it(front: str, reviewed: datetime | None):
    """A review without a date is of no known day; the day of the last change never stands in for it."""
    assert made(f"---\n{front}\n---\nx", changed_at=datetime(2026, 3, 1, tzinfo=UTC)).reviewed_at == reviewed
