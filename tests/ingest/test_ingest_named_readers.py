"""Readers that a page names in its own format's way: honoured, or the page is refused; never public by oversight."""

from __future__ import annotations

import pytest

from core.model import Document
from ingest.files import make_document
from ingest.sources import Skipped


def told(text: str, name: str) -> tuple[str, ...] | str:
    """Who may read it, or why it was refused."""
    found = make_document(name, text.encode(), source="folder:/docs")
    return found.readers if isinstance(found, Document) else found.reason


SRE = ("group:sre",)
FAR = "word " * 400


@pytest.mark.parametrize(
    ("name", "page", "readers"),
    [
        ("a.adoc", "= Broker\n:readers: group:sre\n\nSecret.", SRE),
        ("a.adoc", "= Broker\n:toc:\n:Readers: sre, Anna@example.org\n\nSecret.", ("group:sre", "user:anna@example.org")),
        ("a.adoc", f"= Broker\n\n{FAR}\n\n:readers: sre\n\nSecret.", SRE),
        ("a.adoc", "= Broker\n// readers: sre\n\nSecret.", "names readers"),
        ("a.adoc", "= Broker\n:page-readers: sre\n\nSecret.", "names readers"),
        ("a.adoc", "= Broker\n:readers:\n\nSecret.", "who may read it"),
        ("a.adoc", "= Broker\n:!readers:\n\nSecret.", "who may read it"),
        ("a.adoc", "= Broker\n:readers: {team}\n\nSecret.", "who may read it"),
        ("a.adoc", "= Broker\n:readers: sre, \\\nops\n\nSecret.", "who may read it"),
        ("a.rst", ":readers: group:sre\n\nBroker\n======\n\nSecret.", SRE),
        ("a.rst", "Broker\n======\n\n:Author: Anna\n:readers: sre; ops\n\nSecret.", "who may read it"),
        ("a.rst", "Broker\n======\n\n.. readers: sre\n\nSecret.", "names readers"),
        ("a.rst", ".. meta::\n   :readers: sre\n\nSecret.", "names readers"),
        ("a.rst", ":readers: group:sre,\n   ops\n\nSecret.", ("group:sre", "group:ops")),
        ("a.rst", ":readers:\n   * sre\n   * ops\n\nSecret.", "who may read it"),
        ("a.html", '<html><head><meta name="readers" content="group:sre"></head><p>Secret.', SRE),
        ("a.html", f"<head><style>{FAR}</style><META content='sre' NAME=Readers></head><p>Secret.", SRE),
        ("a.html", '<meta property="readers" content="[sre, C0123456]"><p>Secret.', ("group:sre", "C0123456")),
        ("a.html", '<meta name="readers"><p>Secret.', "who may read it"),
        ("a.html", f'<p>{FAR}<meta name="article:readers" content="sre"><p>Secret.', "names readers"),
        ("a.html", '<meta name="readers" content="sre<p>Secret.', "names readers"),
        ("a.html", "<!-- readers: group:sre --><p>Secret.", SRE),
        ("a.md", "<!-- readers: group:sre -->\n# Broker\n\nSecret.", SRE),
        ("a.md", "# Broker\n\n<!-- Readers = [sre] -->\n\nSecret.", SRE),
        ("a.md", f"# Broker\n\n{FAR}\n\n<!-- readers: sre -->\n\nSecret.", SRE),
        ("a.md", "<!--\nreaders: sre\n-->\nSecret.", SRE),
        ("a.md", "<!--\ntitle: x\nreaders: sre\n-->\nSecret.", "names readers"),
        ("a.md", "<!-- title: x, readers: sre -->\nSecret.", "names readers"),
        ("a.md", f"{FAR}\n<!-- title: x, readers: sre -->\nSecret.", "names readers"),
        ("a.md", "<!-- readers: -->\nSecret.", "who may read it"),
        ("a.md", "<!-- readers: sre user:anna@example.org -->\nSecret.", "who may read it"),
        ("a.md", "[//]: # (readers: sre)\n\nSecret.", "names readers"),
        ("a.md", "**Readers:** sre\n\nSecret.", "names readers"),
        ("a.md", '{"title": "x", "readers": ["sre"]}\n\nSecret.', "names readers"),
        ("a.md", "---\ntitle: x\nparams:\n  readers: [sre]\n---\nSecret.", "names readers"),
        ("a.md", "---\ntitle: x\nparams: {readers: [sre]}\n---\nSecret.", "names readers"),
        ("a.md", "---\ntitle: x\n---\nreaders: sre\n\nSecret.", "names readers"),
        ("a.md", "---\nreaders: [sre]\n---\n<!-- readers: sre -->\nSecret.", SRE),
        ("a.md", "---\nreaders: [sre, ops]\n---\n<!-- readers: sre -->\nSecret.", "not the same"),
        ("a.md", "<!-- readers: sre -->\n<!-- readers: * -->\nSecret.", "not the same"),
        ("a.txt", "<!-- readers: sre -->\nSecret.", SRE),
    ],
)  # fmt: skip
def test_readers_named_in_a_formats_own_way_are_never_missed(name: str, page: str, readers: tuple[str, ...] | str):
    """Where they cannot be understood, the page is refused with the reason."""
    found = told(page, name)

    assert (found == readers) if isinstance(readers, tuple) else (isinstance(found, str) and readers in found), found


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("a.md", "# Locks\n\nReaders wait: a writer goes first. The readers: three threads.\n"),
        ("a.md", f"{FAR}\n\n```html\n<!-- readers: sre -->\n```\n\nand `<!-- readers: sre -->`.\n"),
        ("a.adoc", f"= A\n\n{FAR}\n\n----\n:readers: sre\n----\n"),
        ("a.html", "<body class='readers'><p>Proof readers and <!-- a note for readers --> more.</p>"),
        ("a.txt", f"{FAR}\nreaders: three\n"),
    ],
)
def test_a_page_that_only_speaks_of_readers_is_open(name: str, page: str):
    """Code that shows how it is done names nobody."""
    assert told(page, name) == ("*",)


def test_a_refused_page_is_in_the_list_of_what_was_skipped():
    """With the file's name."""
    found = make_document("ops/a.adoc", b"= A\n:readers: {team}\n\nSecret.", source="folder:/docs")

    assert isinstance(found, Skipped)
    assert (found.doc_id, "who may read it" in found.reason) == ("ops/a.adoc", True)


def test_a_large_page_of_openings_costs_its_length():
    """2 MB of them; a regression hangs this test."""
    pages = [opening * (1_900_000 // len(opening)) for opening in ("<!-- ", "<meta ", "`", "```\n", "<!--\n\n\n")]
    pages += [f"<!-- readers: {blank * 1_900_000}x\nx" for blank in " \n"]

    assert [told(page + " x", "a.txt") == ("*",) for page in pages] == [True] * 5 + [False] * 2


@pytest.mark.parametrize("lead", [" ", "\n", "<!---->", "<!-- a -->\n"])
def test_a_page_with_much_before_its_first_word_is_read_at_once(lead: str):
    """Licences are centred with blanks; a regression hangs this test."""
    assert told(lead * 10_000 + "Words.", "a.txt") == ("*",)
