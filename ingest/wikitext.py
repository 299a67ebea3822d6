"""A MediaWiki page, as the wiki's own parser wrote it, into Markdown.

Does: take away what the skin shows beside the text (edit links, contents, backlinks of notes), give highlighted code its
language and links their whole address, and report what a reader of the page would not see.
Does not: parse wikitext. Only the wiki itself can expand its templates, and a runbook made of templates is nothing without
them; so the rendered page is read, and what is left of wikitext's own syntax here is its class names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from ingest.html import read_html

if TYPE_CHECKING:
    from bs4.element import Tag

#: What the parser puts beside the text.
_BESIDE = ".mw-editsection, .toc, #toc, .mw-jump-link, .mw-empty-elt, .mw-cite-backlink, sup.reference, .linenos, .navbox, .catlinks, .printfooter"
#: The language of highlighted code: by Pygments now, by GeSHi before 1.25.
_LANGUAGE = re.compile(r"(?:mw-highlight-lang|source)-([\w+-]+)")


def rendered_to_markdown(html: str, base: str) -> tuple[str, tuple[str, ...]]:
    """The text of a page.

    Args:
        html: what `action=parse` gives under "text".
        base: the page's own address, to which its links are relative.

    Returns:
        Its Markdown, and what was taken out because nobody sees it, a short line each.

    Raises:
        RecursionError: the page is nested deeper than any real page is.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.select(_BESIDE):
        tag.decompose()
    for block in soup.find_all(class_=_LANGUAGE):
        _name_language(block)
    for link in soup.find_all("a", href=True):
        href = str(link["href"])
        if href.startswith("#") or "redlink=1" in href:
            del link["href"]
        else:
            link["href"] = urljoin(base, href)
    page = read_html(str(soup))
    # The wiki's parser leaves no editor's comment in; those it leaves tell of its own work.
    return page.text, tuple(line for line in page.hidden if "HTML comment" not in line)


def _name_language(block: Tag) -> None:
    """Write the language where HTML writes it: on the `pre`, or on the inline code itself."""
    match = _LANGUAGE.search(" ".join(str(name) for name in block.get("class") or []))
    code: Any = block if block.name in ("pre", "code") else block.find("pre")
    if match and code is not None and match[1] != "text":
        code["class"] = [f"language-{match[1]}"]
