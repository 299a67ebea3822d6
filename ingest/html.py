"""HTML into Markdown, as much of it as an operations page uses.

Does: keep headings, paragraphs, lists, tables, links and code (byte for byte); drop scripts, navigation and what a
reader would not see, and say what that was.
Does not: fetch anything, or keep images and styling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.concealed import seen_html

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.element import Tag

_UNSEEN = [
    "script",
    "style",
    "noscript",
    "template",
    "nav",
    "header",
    "footer",
    "aside",
    "form",
    "svg",
    "iframe",
    "head",
]
_BLOCKS = {
    "p",
    "div",
    "section",
    "article",
    "main",
    "body",
    "blockquote",
    "figure",
    "details",
    "summary",
    "dl",
    "dt",
    "dd",
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page that was read."""

    #: Empty if it tells none.
    title: str
    #: Markdown.
    text: str
    #: What no reader of the page sees and was left out, a short line each.
    hidden: tuple[str, ...] = ()


def read_html(html: str) -> Page:
    """A page as Markdown, and what it hides.

    Raises:
        RecursionError: the page is nested deeper than any real page is.
    """
    from bs4 import BeautifulSoup

    seen, hidden = seen_html(html)
    soup = BeautifulSoup(seen, "html.parser")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    heading = soup.find("h1")
    if heading is not None:
        title = " ".join(heading.get_text().split()) or title
    blocks = [block for block in _blocks(_body(soup)) if block.strip()]
    return Page(title=title, text="\n\n".join(blocks), hidden=hidden)


def _body(soup: BeautifulSoup) -> Any:
    """The part of the page a reader came for."""
    root = soup.find("main") or soup.find("article") or soup.find(role="main") or soup.body or soup
    for tag in root.find_all(_UNSEEN):
        tag.decompose()
    return root


def _blocks(tag: Any) -> list[str]:
    """A tag's content as Markdown blocks; loose text between blocks becomes paragraphs."""
    from bs4.element import NavigableString, PreformattedString, Tag

    found: list[str] = []
    loose: list[str] = []

    def settle() -> None:
        if text := _squeeze("".join(loose)):
            found.append(text)
        loose.clear()

    for child in tag.children:
        if isinstance(child, Tag) and (made := _block(child)) is not None:
            settle()
            found += made
        elif isinstance(child, Tag):
            loose.append(_inline(child))
        elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
            loose.append(str(child))
    settle()
    return found


def _block(tag: Tag) -> list[str] | None:
    """The blocks a tag makes, or None for a tag that belongs inside a line."""
    if re.fullmatch(r"h[1-6]", tag.name):
        words = _squeeze(_inline(tag)).replace("\n", " ")
        return [f"{'#' * int(tag.name[1])} {words}"] if words else []
    if tag.name == "pre":
        return [_code(tag)]
    if tag.name in ("ul", "ol"):
        return [_list(tag)]
    if tag.name == "table":
        return [_table(tag)]
    if tag.name == "hr":
        return ["---"]
    return _blocks(tag) if tag.name in _BLOCKS or tag.find(["p", "pre", "ul", "ol", "table", "h2", "h3"]) else None


def _code(tag: Tag) -> str:
    classes = " ".join(str(name) for part in (tag, tag.find("code")) if part for name in part.get("class") or [])
    language = re.search(r"(?:language|lang|highlight-source)-([\w+-]+)", classes)
    text = tag.get_text().strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}{language[1] if language else ''}\n{text}\n{fence}"


def _list(tag: Tag) -> str:
    lines: list[str] = []
    for number, item in enumerate(tag.find_all("li", recursive=False), start=1):
        mark = f"{number}. " if tag.name == "ol" else "- "
        blocks = [block for block in _blocks(item) if block]
        body = ("\n" if all(not block.startswith("```") for block in blocks) else "\n\n").join(blocks)
        indent = " " * len(mark)
        lines.append(mark + re.sub(r"\n(?!\n)", "\n" + indent, body))
    return "\n".join(lines)


def _table(tag: Tag) -> str:
    rows = [
        [_squeeze(_inline(cell)).replace("\n", " ").replace("|", "\\|") for cell in row.find_all(["th", "td"])]
        for row in tag.find_all("tr")
    ]
    rows = [row for row in rows if any(row)]
    if not rows:
        return ""
    width = max(len(row) for row in rows)
    lines = [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * width}", *lines[1:]])


def _inline(tag: Tag) -> str:
    """A tag inside a line."""
    from bs4.element import NavigableString, PreformattedString, Tag

    if tag.name == "br":
        return "\n"
    if tag.name in ("code", "kbd", "samp", "tt"):
        text = tag.get_text()
        return f"`{text}`" if text and "`" not in text else text
    inner = "".join(
        _inline(child) if isinstance(child, Tag) else "" if isinstance(child, PreformattedString) else str(child)
        for child in tag.children
        if isinstance(child, (Tag, NavigableString))
    )
    target = str(tag.get("href") or "")
    if tag.name == "a" and target.startswith(("http://", "https://")) and inner.strip():
        return f"[{_squeeze(inner)}]({target})"
    return f"**{inner.strip()}**" if tag.name in ("b", "strong") and inner.strip() else inner


def _squeeze(text: str) -> str:
    """Runs of blanks as one, line breaks made by `<br>` kept."""
    return "\n".join(line for line in (" ".join(part.split()) for part in text.split("\n")) if line)
