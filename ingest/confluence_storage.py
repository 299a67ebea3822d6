"""Confluence's storage format into Markdown: XHTML with macros, links and task lists of Confluence's own.

Does: turn macros, links, dates and task lists into the plain HTML a reader sees, and leave the rest to `ingest.html`; keep code
byte for byte; say what was left out that no reader of the page sees.
Does not: fetch anything: an included page becomes a link to it, and people mentioned in the text stay without a name.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from ingest.html import read_html

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.element import PageElement, Tag

_OPEN, _CLOSE = "<![CDATA[", "]]>"
_MACROS = ("ac:structured-macro", "ac:macro")
#: Boxes, and the word their colour says to whoever looks at the page.
_BOXES = {"info": "Info", "note": "Note", "warning": "Warning", "tip": "Tip", "panel": "", "expand": ""}
_VERBATIM = ("code", "noformat")
#: Elements within each other: five times what real pages have, and work grows with its square.
_DEEPEST = 150
#: Elements that end a line inside a table's cell, where Markdown has room for one line only.
_LINES = ("p", "li", "div", "h1", "h2", "h3", "h4", "h5", "h6")
#: Attributes by which text may be hidden: what becomes another element keeps them, or hidden words would come to light.
_LOOKS = ("style", "class", "id", "hidden", "color", "bgcolor", "background")
#: Characters of a row of heads.
_LONGEST_HEADS = 5_000
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]{4,15}(?:Z|[+-]\d\d:?\d\d)?)?")


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A page's body."""

    text: str
    #: What no reader of the page sees and was left out, a short line each.
    hidden: tuple[str, ...] = ()


def storage_to_markdown(storage: str, *, site: str = "", space: str = "") -> Converted:
    """A page's body in storage format, as Markdown.

    The format: https://confluence.atlassian.com/doc/confluence-storage-format-790796544.html

    Args:
        storage: XHTML as `body.storage.value` holds it; broken markup is read as far as it goes.
        site: the address that links to other pages are relative to, without a slash at its end; without it they stay words.
        space: key of the page's space, for links that name none.

    Raises:
        RecursionError: the page is nested deeper than any real page is.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(_escaped(storage), "html.parser")
    _refuse_depth(soup)
    page = _Page(soup, site, space)
    page.simplify()
    read = read_html(str(soup))
    return Converted(text=read.text, hidden=(*page.hidden(), *read.hidden))


def _escaped(storage: str) -> str:
    """The body with its CDATA sections as escaped text, which goes through the parser unchanged.

    A section cannot hold its own end, so Confluence splits such code over two; each becomes its text and they meet again.
    """
    parts, at = [], 0
    while (start := storage.find(_OPEN, at)) >= 0 and (end := storage.find(_CLOSE, start)) >= 0:
        parts += [storage[at:start], escape(storage[start + len(_OPEN) : end], quote=False)]
        at = end + len(_CLOSE)
    return "".join([*parts, storage[at:].replace(_OPEN, escape(_OPEN))])


class _Page:
    """One body on its way to plain HTML, changed in place."""

    def __init__(self, soup: BeautifulSoup, site: str, space: str) -> None:
        self._soup, self._site, self._space = soup, site, space
        #: By what it is called, one and many.
        self._unseen: dict[tuple[str, str], int] = {}

    def simplify(self) -> None:
        """Turn everything of Confluence's own into HTML, innermost first, so that a macro's body is plain when its turn comes.

        Tags change in place: to replace one, bs4 looks for it among its neighbours, which takes hours on a page made for it.
        """
        handlers: dict[str, Callable[[Tag], None]] = {
            **dict.fromkeys(_MACROS, self._macro),
            "ac:link": self._link,
            "ac:image": self._image,
            "ac:emoticon": self._emoji,
            "ac:task-list": lambda tag: self._become(tag, "ul"),
            "ac:task": self._task,
            "ac:adf-extension": self._extension,
            "ac:placeholder": lambda tag: self._drop(tag, "placeholder"),
            "time": self._date,
        }
        for tag in reversed(self._soup.find_all(list(handlers))):
            handlers[tag.name](tag)
        for tag in self._soup.find_all(re.compile(r"^(?:ac|ri|at):")):
            self._become(tag, "span" if tag.name == "ac:inline-comment-marker" else "div")
        for table in reversed(self._soup.find_all("table")):
            self._table(table)

    def hidden(self) -> tuple[str, ...]:
        """What was left out, counted."""
        return tuple(f"{count} {many if count > 1 else one}" for (one, many), count in self._unseen.items())

    # -- macros ----------------------------------------------------------------------------------------------------------

    def _macro(self, tag: Tag) -> None:
        name = str(tag.get("ac:name") or "").lower()
        told = {str(one.get("ac:name") or ""): one.get_text().strip() for one in _own(tag, "ac:parameter")}
        plain = next(iter(_own(tag, "ac:plain-text-body")), None)
        rich = next(iter(_own(tag, "ac:rich-text-body")), None)
        if name in ("excerpt", "details") and told.get("hidden") == "true":
            self._drop(tag, f"hidden {name}")
        elif name in _VERBATIM or (plain is not None and name != "html"):
            self._code(tag, plain.get_text() if plain is not None else "", told)
        elif name == "html" and plain is not None:
            self._markup(tag, plain.get_text())
        elif name == "status":
            self._become(tag, "b", told.get("title", "") or told.get("colour", ""))
        elif name == "jira":
            # Of a query the page shows what it finds, not its words.
            self._note("query", "" if told.get("key") else told.get("jqlQuery", ""), more="queries")
            self._say(tag, told.get("key", ""))
        elif name in ("include", "excerpt-include"):
            self._include(tag)
        elif rich is not None:
            self._box(tag, rich, _BOXES.get(name, ""), told.get("title", ""))
        else:
            # Lists of pages, tables of contents, anchors: nothing of the page's own.
            self._say(tag, "")

    def _code(self, tag: Tag, text: str, told: dict[str, str]) -> None:
        parts = [self._paragraph(told["title"])] if told.get("title") else []
        if text.strip():
            block, inner = self._soup.new_tag("pre"), self._soup.new_tag("code")
            if language := told.get("language") or told.get(""):
                inner["class"] = f"language-{language}"
            inner.append(text)
            block.append(inner)
            parts.append(block)
        self._become(tag, "div", *parts)

    def _box(self, tag: Tag, body: Tag, word: str, title: str) -> None:
        """A macro around other text: a line that says what kind of box it is, and the text."""
        heading = ": ".join(part for part in (word, title) if part)
        # Inside a paragraph the text of an excerpt runs on.
        kind = "span" if tag.parent is not None and tag.parent.name in ("p", "span") else "div"
        self._become(body, kind)
        self._become(tag, kind, *([self._paragraph(heading)] if heading else []), body.extract())

    def _markup(self, tag: Tag, html: str) -> None:
        from bs4 import BeautifulSoup

        self._become(tag, "div", *(child.extract() for child in list(BeautifulSoup(html, "html.parser").contents)))

    def _include(self, tag: Tag) -> None:
        """What another page says stands there; the link to it, plain by now, is what a reader of this one can follow."""
        page = tag.find(["a", "span"])
        self._become(tag, "p", *(("Included page: ", page.extract()) if page is not None else ("",)))

    def _extension(self, tag: Tag) -> None:
        """What the new editor writes twice: once for itself, once for everybody else, which is the one to read."""
        told = tag.find("ac:adf-fallback") or tag.find("ac:adf-content")
        self._become(tag, "div", told.extract() if told is not None else "")

    # -- links and tasks -------------------------------------------------------------------------------------------------

    def _link(self, tag: Tag) -> None:
        shown = tag.find(["ac:plain-text-link-body", "ac:link-body"])
        target = tag.find(re.compile("^ri:"))
        kind = target.name if target is not None else ""
        href = ""
        if target is None:
            words = str(tag.get("ac:anchor") or "")
        elif kind in ("ri:page", "ri:blog-post", "ri:space"):
            words = str(target.get("ri:content-title") or target.get("ri:space-key") or "this page")
            href = self._page_url(target)
        elif kind == "ri:url":
            words = href = str(target.get("ri:value") or "")
        elif kind == "ri:user":
            words = "@somebody"
        else:
            words = str(target.get("ri:filename") or target.get("ri:shortcut-parameter") or "")
        if shown is None or not shown.get_text().strip():
            self._say(tag, words, href=href)
            return
        # Its elements stay as they are: their styles may hide what it says.
        self._become(shown, "span")
        self._become(tag, "a" if href else "span", shown.extract(), href=href)

    def _page_url(self, target: Tag) -> str:
        """The address that finds a page by its title, on Cloud and Data Center alike."""
        space, title = str(target.get("ri:space-key") or self._space), str(target.get("ri:content-title") or "")
        if not self._site or not space:
            return ""
        address = f"{self._site}/display/{quote(space, safe='~')}"
        return f"{address}/{quote_plus(title)}" if title else address

    def _task(self, tag: Tag) -> None:
        status, body = tag.find("ac:task-status"), tag.find("ac:task-body")
        done = status is not None and status.get_text().strip() == "complete"
        if body is not None:
            self._become(body, "span")
        self._become(tag, "li", "[x] " if done else "[ ] ", *([body.extract()] if body is not None else []))

    # -- pictures and dates ----------------------------------------------------------------------------------------------

    def _image(self, tag: Tag) -> None:
        """Its caption can be seen; its description is for who cannot see the picture."""
        self._note("description", str(tag.get("ac:alt") or ""), of=" of an image")
        self._become(tag, "span")

    def _emoji(self, tag: Tag) -> None:
        """The sign itself. Words in its place stand where the reader sees a picture."""
        sign = str(tag.get("ac:emoji-fallback") or "")
        if len(sign) > 8 or any(char.isalpha() and char != "ℹ" for char in sign):
            self._note("emoji", sign, of=" written in words", more="emoji")
            sign = ""
        self._say(tag, sign)

    def _date(self, tag: Tag) -> None:
        """The page shows the day of the attribute, whatever stands inside."""
        day = str(tag.get("datetime") or "").strip()
        if not day:
            self._become(tag, "span")
        elif _DATE.fullmatch(day):
            self._note("date", tag.get_text().replace(day, ""), of=" with other words")
            self._say(tag, day)
        else:
            self._note("date", day, of=" that is none")
            self._say(tag, "")

    # -- tables ----------------------------------------------------------------------------------------------------------

    def _table(self, table: Tag) -> None:
        """A table as Markdown can have it: one line a cell; one with code or a table inside is told row by row instead."""
        if table.find(["pre", "table"]) is not None:
            self._unroll(table)
            return
        for cell in table.find_all(["td", "th"]):
            for line in cell.find_all(_LINES):
                line.append(self._soup.new_tag("br"))

    def _unroll(self, table: Tag) -> None:
        rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
        cells = [row.find_all(["td", "th"], recursive=False) for row in rows]
        # Heads are said again before each cell, which a page made for it would make very long.
        headed = bool(cells) and rows[0].find("td") is None and len(str(rows[0])) <= _LONGEST_HEADS
        heads = cells[0] if headed else []
        parts: list[Tag] = []
        for row, own in list(zip(rows, cells, strict=True))[1 if heads else 0 :]:
            told: list[Tag] = []
            for number, cell in enumerate(own):
                if number < len(heads) and heads[number].get_text().strip():
                    told.append(self._head(heads[number], rows[0]))
                cell.name = "div"
                told.append(cell)
            parts.append(self._within(row, told))
        self._become(table, "div", *parts)

    def _head(self, cell: Tag, row: Tag) -> Tag:
        """A column's head, to stand before each of its cells, with all that may hide it."""
        head = copy.copy(cell)
        head.name = "b"
        for line in head.find_all(_LINES):
            line.name = "span"
        return self._within(row, [head])

    def _within(self, row: Tag, parts: list[Tag]) -> Tag:
        """Parts of a row in boxes that look as it and the section of the table around it do: they may be hidden by either."""
        section = row.parent if row.parent is not None and row.parent.name in ("thead", "tbody", "tfoot") else None
        for around in (row, section):
            if around is not None:
                box = self._soup.new_tag("div", attrs=_looks(around))
                box.extend(parts)
                parts = [box]
        return parts[0]

    # -- pieces ----------------------------------------------------------------------------------------------------------

    def _become(self, tag: Tag, name: str, *contents: PageElement | str, href: str = "") -> None:
        """Make the tag another one, holding these or, where none are given, what it held. What may hide it stays."""
        if contents:
            tag.clear()
            tag.extend(contents)
        tag.name, tag.attrs = name, {**_looks(tag), **({"href": href} if href else {})}

    def _say(self, tag: Tag, words: str, *, href: str = "") -> None:
        self._become(tag, "a" if href else "span", words, href=href)

    def _drop(self, tag: Tag, what: str) -> None:
        self._note(what, tag.get_text())
        self._say(tag, "")

    def _note(self, what: str, words: str, *, of: str = "", more: str = "") -> None:
        """Count that words were left out."""
        if words.strip():
            key = (f"{what}{of}", f"{more or f'{what}s'}{of}")
            self._unseen[key] = self._unseen.get(key, 0) + 1

    def _paragraph(self, words: str) -> Tag:
        made, bold = self._soup.new_tag("p"), self._soup.new_tag("b")
        bold.append(words)
        made.append(bold)
        return made


def _looks(tag: Tag) -> dict[str, Any]:
    return {name: tag.attrs[name] for name in _LOOKS if name in tag.attrs}


def _own(macro: Tag, name: str) -> list[Any]:
    """A macro's own parts of that name, not those of macros inside it."""
    return macro.find_all(name, recursive=False)


def _refuse_depth(soup: BeautifulSoup) -> None:
    from bs4.element import Tag

    level: list[Tag] = [soup]
    for _ in range(_DEEPEST):
        level = [child for tag in level for child in tag.contents if isinstance(child, Tag)]
        if not level:
            return
    raise RecursionError(f"more than {_DEEPEST} elements within each other")
