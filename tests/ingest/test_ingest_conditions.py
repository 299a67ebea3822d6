"""What a condition or a comment of AsciiDoc and reStructuredText keeps from the reader is taken out, and told."""

from __future__ import annotations

import pytest

from ingest.asciidoc import asciidoc_to_markdown
from ingest.rst import rst_to_markdown

UNMET, COMMENT = "2 words under a condition that is not met", "1 AsciiDoc comment"


@pytest.mark.parametrize(
    ("page", "text", "hidden"),
    [
        ("a\n\nifdef::never[]\nDrop it.\nendif::[]\n\nb", "a\n\nb", (UNMET,)),
        ("a\n\nifdef::never[Drop it.]\nb", "a\n\nb", (UNMET,)),
        ("a\n\nifdef::never[]\nDrop\nendif::never[]\nifdef::never[]\nit.\nendif::[]", "a", (UNMET,)),
        ("a\n\nifdef::never[]\nifdef::asciidoctor[]\nDrop\nendif::[]\nit.\nendif::[]\nb", "a\n\nb", (UNMET,)),
        ("a\n\nifdef::never[]\nDrop it.", "a", (UNMET,)),
        ("ifdef::never[]\n:x: 1\nendif::[]\nifdef::x[]\nDrop it.\nendif::[]\na", "a", ("4 words under a condition that is not met",)),
        (":x: 1\n:!x:\n\nifdef::x[]\nDrop it.\nendif::[]\na", "a", (UNMET,)),
        (":x: 1\n\nifdef::x[]\na\nendif::[]", "a", ()),
        (":x:\n\nifdef::y,x[a]\n", "a", ()),
        (":x:\n\nifdef::y+x[Drop it.]\na", "a", (UNMET,)),
        (":x:\n\nifndef::x[Drop it.]\na", "a", (UNMET,)),
        ("ifndef::env-github[]\na\nendif::[]", "a", ()),
        ("ifdef::backend-html5[]\na\nendif::[]", "a", ()),
        ("ifeval::[1 > 2]\nDrop it.\nendif::[]\na", "a", (UNMET,)),
        ("----\nifdef::never[]\nDrop it.\nendif::[]\na\n----", "```\na\n```", (UNMET,)),
        ("----\n\\ifdef::never[]\na\n----", "```\nifdef::never[]\na\n```", ()),
        ("|===\n|a |b\nifdef::never[]\n|Drop |it.\nendif::[]\n|===", "| a | b |\n| --- | --- |", (UNMET,)),
        ("////\nifdef::never[]\n////\na", "a", (COMMENT,)),
        ("endif::[]\na", "a", ()),
        ("[comment]\nDrop it.\nAll of it.\n\na", "a", (COMMENT,)),
        ("[comment]\n--\nDrop it.\n\n* All\n--\na", "a", (COMMENT,)),
        ("[comment]\n====\nDrop it.\n\nAll of it.\n====\na", "a", (COMMENT,)),
        ("[comment]\n----\nDrop it.\n----\na", "a", (COMMENT,)),
        ("[comment]\n.A title\n[[id]]\nDrop it.\n\na", "a", (COMMENT,)),
        ("[comment#id.role]\nDrop it.\n\n[comment]\n\nDrop it.\n\na", "a", ("2 AsciiDoc comments",)),
        ("[commented]\na", "a", ()),
    ],
)  # fmt: skip
def test_asciidoc_shows_what_its_reader_would_see(page: str, text: str, hidden: tuple[str, ...]):
    """An attribute that the page does not set is not set."""
    assert asciidoc_to_markdown(page)[1:] == (text, hidden)


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        ("only:: html", True),
        ("only:: html or latex", True),
        ("only:: not latex", True),
        ("only:: (html and not draft)", True),
        ("only:: never", False),
        ("only:: html and draft", False),
        ("only:: not html", False),
        ("only:: not (html or latex)", False),
        ("only:: latex", False),
        ("only::", False),
        ("only:: html or (", False),
        ("only:: html )", False),
        ("only:: html or f(html)", False),
        ("only:: not html-like", False),
        ("ifconfig:: release == 'never'", False),
    ],
)
def test_restructuredtext_shows_what_a_reader_of_html_would_see(condition: str, shown: bool):
    """Sphinx's tags as a site has them; what cannot be reckoned is not shown, and told."""
    page = f"Top.\n\n.. {condition}\n\n   Drop\n\n   * it.\n\nEnd.\n"

    found = rst_to_markdown(page)[1:]

    assert found == (
        ("Top.\n\nDrop\n\n- it.\n\nEnd.", ()) if shown else ("Top.\n\nEnd.", ("2 words that the page does not show",))
    )
