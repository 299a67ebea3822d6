"""What stands in a page's source and its reader does not see: taken out, counted, and told in a line each.

Does: comments, elements that are not shown or cannot be seen, Markdown's comments, descriptions and titles of its images and links,
attributes with words, and characters without a shape; one pass over HTML, or over Markdown with HTML inside it.
Does not: change what can be seen, a Markdown code block included; judge what the words say; or parse a page into text.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.text import strip_hidden
from ingest.markup import Token, count_words, next_place, tokens_of
from ingest.styling import NOT_SHOWN, Look, Styles

# -- characters ------------------------------------------------------------------------------------------------------

#: A flag of a region is spelt in tag characters; joiners shape letters beyond ASCII and emoji. They are no hiding place.
_HONEST = re.compile(
    "\U0001f3f4[\U000e0061-\U000e007a]{2,6}\U000e007f|(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f\u200b-\u200f])|\\A\ufeff"
)
_CHARACTERS = (
    ("zero-width character", "s", re.compile("[\u200b-\u200d\u2060-\u2064\ufeff\u034f\u115f\u1160\u17b4\u17b5\u180e\u2800\u3164\uffa0]")),
    ("character", "s that turn the direction of writing", re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")),
    ("tag character", "s", re.compile("[\U000e0000-\U000e007f]")),
    # One after a letter chooses its shape; several in a row spell something.
    ("variation selector", "s", re.compile("(?<=[\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe00-\ufe0f\U000e0100-\U000e01ef]")),
)  # fmt: skip


def conceal_report(text: str) -> tuple[str, tuple[str, ...]]:
    """A text of any source without the characters that nobody sees.

    Returns:
        The text as `core.text.strip_hidden` leaves it, and a line for each kind that can carry or break words: "7 zero-width
        characters". What only shapes letters goes without a word.
    """
    looked_at = _HONEST.sub("", text)
    counts = [(len(found.findall(looked_at)), what, more) for what, more, found in _CHARACTERS]
    return strip_hidden(text), tuple(_line(count, what, more) for count, what, more in counts if count)


def _line(count: int, what: str, more: str = "s") -> str:
    """ "1 HTML comment", "2 HTML comments"; for the direction of writing, what it does stays in both."""
    if count > 1:
        return f"{count:,} {what}{more}"
    return f"1 {what}{more[1:].replace(' turn', ' turns')}"


# -- HTML ------------------------------------------------------------------------------------------------------------


def seen_html(source: str) -> tuple[str, tuple[str, ...]]:
    """A page's source without what its reader does not see.

    Returns:
        The source, which may be parsed in time that grows with its length alone, and what was taken out, a line each.
    """
    tokens = list(tokens_of(source, 0, len(source)))
    page = _Page(source, Styles(_sheets(source, tokens)))
    page.read(tokens, 0, len(source))
    page.close_all(len(source))
    return page.kept(), page.told()


def _sheets(source: str, tokens: list[Token]) -> Iterator[str]:
    for token, raw in itertools.pairwise(tokens):
        if token.kind == "open" and token.name == "style" and raw.kind == "raw":
            media = token.attributes.get("media", "").strip().lower()
            if media in ("", "all", "screen"):
                yield source[raw.start : raw.end]


# -- one page --------------------------------------------------------------------------------------------------------

_VOID_NAMES = "area base br col embed hr img input link meta param source track wbr"
_VOID = frozenset(_VOID_NAMES.split())
#: Elements that end a paragraph that was left open.
_BLOCK_NAMES = (
    "address article aside blockquote body center details dialog dd dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4"
    " h5 h6 header hgroup hr html li main menu nav ol p pre section summary table tbody td tfoot th thead tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
#: What an opening element ends, if it is the innermost of its kind within one of the others.
_ENDS = {
    "li": ({"li"}, {"ul", "ol", "menu", "dir"}),
    "dt": ({"dt", "dd"}, {"dl"}),
    "dd": ({"dt", "dd"}, {"dl"}),
    "tr": ({"tr", "td", "th"}, {"table"}),
    "td": ({"td", "th"}, {"tr", "table"}),
    "th": ({"td", "th"}, {"tr", "table"}),
    "option": ({"option"}, {"select"}),
    "a": ({"a"}, {"td", "th", "table"}),
}
#: Parts of a page that are no text of it: what is not shown of them is nobody's loss, and nobody's hiding place.
_BESIDE = frozenset(
    ("script", "style", "noscript", "nav", "header", "footer", "aside", "form", "svg", "iframe", "head")
)
#: Elements that hold something for machines.
_MACHINES = frozenset(("script", "style", "noscript", "template"))
#: Elements looked through for the one to close; a page nested deeper is not read at all.
_DEEPEST = 400


@dataclass(frozen=True, kw_only=True)
class _Open:
    """An element whose end has not come."""

    name: str
    look: Look
    #: Where it begins, if nothing of it is shown while its parent is; else -1.
    cut_from: int
    beside: bool
    #: Whether a Markdown paragraph's end closes it.
    inline: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


class _Page:
    """A source being read once, from its start to its end."""

    def __init__(self, source: str, styles: Styles, *, tags_stay: bool = False) -> None:
        self._source, self._styles, self._tags_stay = source, styles, tags_stay
        self._open: list[_Open] = [_Open(name="", look=Look(), cut_from=-1, beside=False)]
        self._cuts: list[tuple[int, int]] = []
        self._endless: set[str] = set()
        self._comments: Counter[str] = Counter()
        self._words: Counter[str] = Counter()

    def read(self, tokens: list[Token], start: int, end: int, *, inline: bool = False) -> None:
        """Read from one place to another, given the markup between them."""
        at = start
        for token in tokens:
            self._text(at, token.start)
            at = token.end
            if token.kind == "raw" and token.name not in _MACHINES:
                self._text(token.start, token.end)
            elif token.kind == "comment":
                self._comments["HTML"] += 1
                self._cuts.append((token.start, token.end))
            elif token.kind == "rest":
                self._rest(token)
            elif token.kind == "open":
                self._opened(token, inline=inline)
            elif token.kind == "close":
                self._closed(token.name, token.start, token.end)
            for place in token.wordy if self._tags_stay else ():
                self.hide(*place, ATTRIBUTE)
        self._text(at, end)

    def cut(self, start: int, end: int) -> None:
        """Take out a comment in Markdown's own form."""
        self._comments["Markdown"] += 1
        self._cuts.append((start, end))

    def hide(self, start: int, end: int, why: str) -> None:
        """Take out words that stand beside the text."""
        if words := count_words(self._source[start:end]):
            self._words[why] += words
        self._cuts.append((start, end))

    def close_inline(self, at: int) -> None:
        """A paragraph ended here."""
        while self._open[-1].inline:
            self._pop(at)

    def close_all(self, at: int) -> None:
        """The page ended here."""
        while len(self._open) > 1:
            self._pop(at)

    def kept(self) -> str:
        """The source without what was taken out."""
        parts, at = [], 0
        for start, end in sorted(self._cuts):
            if end > at:
                parts.append(self._source[at : max(at, start)])
                at = end
        return "".join([*parts, self._source[at:]]) if parts else self._source

    def told(self) -> tuple[str, ...]:
        """What was taken out, a line each."""
        lines = [_line(count, f"{language} comment") for language, count in self._comments.items()]
        return (*lines, *(_line(count, "word", f"s {why}") for why, count in self._words.items()))

    def _text(self, start: int, end: int) -> None:
        here = self._open[-1]
        why = here.look.unseen if end > start else ""
        if why:
            if not here.beside and (words := count_words(self._source[start:end])):
                self._words[why] += words
            self._cuts.append((start, end))

    def _rest(self, token: Token) -> None:
        if token.name == "!":
            self._comments["HTML"] += 1
        elif words := count_words(self._source[token.start : token.end]):
            self._words[NOT_SHOWN] += words
        self._cuts.append((token.start, token.end))

    def _opened(self, token: Token, *, inline: bool) -> None:
        if token.name in _VOID:
            return
        if token.name in _BLOCKS:
            self._end(
                {"p"},
                {"table", "td", "th", "li", "div", "section", "article", "main", "blockquote", "body"},
                token.start,
            )
        if token.name in _ENDS:
            self._end(*_ENDS[token.name], token.start)
        around = self._open[-1]
        look = self._styles.look(around.look, token.name, token.attributes)
        if token.name in _MACHINES and (not inline or self._ends(token)):
            look = replace(look, gone=NOT_SHOWN)
        elif token.name in ("html", "body"):
            # Pages hide themselves whole until a script shows them.
            look = replace(look, gone=around.look.gone, visible=around.look.visible)
        if len(self._open) > _DEEPEST:
            raise RecursionError(f"more than {_DEEPEST} elements within each other")
        self._open.append(
            _Open(
                name=token.name,
                look=look,
                cut_from=token.start if look.gone and not around.look.gone else -1,
                beside=around.beside or token.name in _BESIDE,
                inline=inline and token.name not in _BLOCKS,
                attributes=token.attributes,
            )
        )

    def _ends(self, token: Token) -> bool:
        """Whether an element's end follows it somewhere; "replace <template> by a name" is words."""
        return next_place(self._source, f"</{token.name}", token.end, len(self._source), self._endless) >= 0

    def _end(self, names: set[str], within: set[str], at: int) -> None:
        """Close the innermost of these elements, unless one of the others stands between."""
        for place in range(len(self._open) - 1, 0, -1):
            name = self._open[place].name
            if name in names:
                self._close_to(place, at, at)
                return
            if name in within:
                return

    def _closed(self, name: str, start: int, end: int) -> None:
        for place in range(len(self._open) - 1, 0, -1):
            if self._open[place].name == name:
                self._close_to(place, start, end)
                return

    def _close_to(self, place: int, start: int, end: int) -> None:
        """Close an element and all inside it; a font that was left open goes on after it, as in a browser."""
        fonts = [one for one in self._open[place + 1 :] if one.name == "font" and one.cut_from < 0][-3:]
        while len(self._open) > place + 1:
            self._pop(start)
        self._pop(end)
        for one in fonts:
            self._opened(
                Token(kind="open", start=end, end=end, name="font", attributes=one.attributes), inline=one.inline
            )

    def _pop(self, at: int) -> None:
        one = self._open.pop()
        if one.cut_from >= 0:
            self._cuts.append((one.cut_from, at))


# -- Markdown --------------------------------------------------------------------------------------------------------

#: `[//]: # (words)`: a link nobody can follow, by names people give it.
_DEFINITION = re.compile(r" {0,3}\[([^\[\]\n]{1,300})\]:")
#: Where an image or a link leads, and the title it has besides.
_TARGET = re.compile(
    r"""\(\s*(?:<[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()]*)*)(?P<title>\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*\)"""
)
_TITLE = re.compile(r"""\s(?:"[^"]*"|'[^']*'|\([^()]*\))\s*\Z""")
_ESCAPED = re.compile(r"\\[!-/:-@\[-`{-~]")
_NAME = re.compile(r"\[([^\[\]]+)\]")
DESCRIPTION, ATTRIBUTE = "in descriptions of images and links", "in attributes of tags"
_USED = re.compile(r"\[([^\[\]\n]{1,300})\](?!:)")
_REMARKS = frozenset(("//", "comment", "_", "#", "."))


def seen_markdown(source: str) -> tuple[str, tuple[str, ...]]:
    """A Markdown text without what its reader does not see once it is rendered: HTML in it, and comments in its own form.

    Returns:
        The text, its code to the letter, and what was taken out, a line each.
    """
    if not re.search(r"<[a-zA-Z!?/]|!\[|\]\(", source) and not _DEFINITION.search(source):
        return source, ()
    lines = [0, *(match.end() for match in re.finditer(r"\n", source)), len(source)]
    blocks, remarks, definitions = _blocks(source)
    pieces = []
    for kind, first, last in blocks:
        start, end = lines[first], lines[min(last, len(lines) - 1)]
        end -= source.endswith("\n", start, end)  # the line's end stays, whatever is taken out before it
        pieces.append((start, end, kind, list(_markup(source, start, end, kind))))
    page = _Page(source, Styles(sheet for *_, tokens in pieces for sheet in _sheets(source, tokens)), tags_stay=True)
    at = 0
    for start, end, kind, tokens in pieces:
        page.read([], at, start)
        page.read(tokens, start, end, inline=kind == "text")
        if kind == "text":
            page.close_inline(end)
        for place in _descriptions(source, start, end, kind, tokens, definitions):
            page.hide(*place, DESCRIPTION)
        at = end
    page.read([], at, len(source))
    page.close_all(len(source))
    for first, last in remarks:
        page.cut(lines[first], lines[min(last, len(lines) - 1)])
    for first, last in definitions.values():
        start = lines[first]
        if title := _TITLE.search(source[start : lines[min(last, len(lines) - 1)]]):
            page.hide(start + title.start(), start + len(title.string.rstrip()), DESCRIPTION)
    return page.kept(), page.told()


def _blocks(source: str) -> tuple[list[tuple[str, int, int]], list[tuple[int, int]], dict[str, tuple[int, int]]]:
    """The lines of text, of HTML and of tables, those of definitions that only say something, and those of others by name."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable("inline")
    told: dict[str, dict[str, dict[str, object]]] = {}
    blocks: list[tuple[str, int, int]] = []
    cells = 0
    for token in parser.parse(source, told):
        cells += {"tr_open": 1, "tr_close": -1}.get(token.type, 0)
        if token.map and token.type in ("html_block", "inline") and not (cells and token.type == "inline"):
            blocks.append(("html" if token.type == "html_block" else "text", token.map[0], token.map[1]))
        elif token.map and token.type == "tr_open":
            blocks.append(("row", token.map[0], token.map[1]))
    used = {" ".join(name.split()).casefold() for name in _USED.findall(source)}
    found = []
    definitions: dict[str, tuple[int, int]] = {}
    for name, what in told.get("references", {}).items():
        place, bare = what.get("map"), " ".join(name.split()).casefold()
        remark = (
            bare in _REMARKS
            or (what.get("href") in ("", "#") and what.get("title"))
            or (what.get("title") and bare not in used)
        )
        if isinstance(place, list):
            if remark:
                found.append((place[0], place[1]))
            else:
                definitions[bare] = (place[0], place[1])
    return blocks, found, definitions


def _descriptions(
    source: str, start: int, end: int, kind: str, tokens: Sequence[Token], definitions: Container[str]
) -> Iterator[tuple[int, int]]:
    """Where the words stand that describe an image, and those that are a title of it or of a link: a reader sees a picture."""
    if kind == "html":
        return
    bare = _masked(source, start, end, [(token.start, token.end) for token in tokens])
    for first, last in _cells(source, start, end) if kind == "row" else [(start, end)]:
        text = _without_code(source, bare, start, first, last)
        words, passed = source[first:last], 0
        for opening, closing in _brackets(text):
            image = text.startswith("!", opening - 1) if opening else False
            if opening < passed:
                continue
            target = _TARGET.match(text, closing + 1)
            if image and (target or _is_defined(words, opening, closing, definitions)):
                passed = closing
                yield first + opening + 1, first + closing
            if target and target["title"]:
                yield first + target.start("title"), first + target.end("title")


def _masked(source: str, start: int, end: int, places: Iterable[tuple[int, int]]) -> str:
    """What stands between two places, as long as it was, with some of it made meaningless."""
    parts, at = [], start
    for one, other in places:
        parts += [source[at:one], "x" * (other - one)]
        at = other
    return "".join([*parts, source[at:end]])


def _without_code(source: str, bare: str, start: int, first: int, last: int) -> str:
    """A cell or a paragraph of a block without its markup, as long as it was, without code and what backslashes go before."""
    parts, at = [], first
    for one, other in _between_spans(source, first, last):
        parts += ["x" * (one - at), bare[one - start : other - start]]
        at = other
    return _ESCAPED.sub("xx", "".join([*parts, "x" * (last - at)]))


def _brackets(text: str) -> list[tuple[int, int]]:
    """Where brackets open and close, the outer before those inside them."""
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for match in re.finditer(r"[\[\]]", text):
        if match[0] == "[":
            opened.append(match.start())
        elif opened:
            found.append((opened.pop(), match.start()))
    return sorted(found)


def _is_defined(text: str, opening: int, closing: int, definitions: Container[str]) -> bool:
    """Whether brackets name a definition, themselves or by those that follow."""
    name = _NAME.match(text, closing + 1)
    return " ".join((name[1] if name else text[opening + 1 : closing]).split()).casefold() in definitions


def _markup(source: str, start: int, end: int, kind: str) -> Iterator[Token]:
    """The markup of one block; in text, what stands in code spans is none, nor is what a backslash goes before."""
    if kind == "html":
        yield from tokens_of(source, start, end)
        return
    for first, last in _cells(source, start, end) if kind == "row" else [(start, end)]:
        for one, other in _between_spans(source, first, last):
            yield from tokens_of(source, one, other, lax=False)


def _cells(source: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for bar in re.compile(r"(?<!\\)\|").finditer(source, start, end):
        yield at, bar.start()
        at = bar.end()
    yield at, end


_TICKS = re.compile(r"\\[\\`<]|`+|<!--")


def _between_spans(source: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """What of a paragraph stands outside code spans; comments are not looked into."""
    runs: dict[int, list[int]] = {}
    for run in re.compile(r"`+").finditer(source, start, end):
        runs.setdefault(len(run[0]), []).append(run.start())
    for places in runs.values():
        places.reverse()
    at = begun = start
    endless: set[str] = set()
    while match := _TICKS.search(source, at, end):
        at = match.end()
        if match[0] == "<!--":
            close = next_place(source, "-->", at, end, endless)
            at = close + 3 if close >= 0 else at
        elif match[0].startswith("\\"):
            yield begun, match.start()
            begun = at = match.end()
        else:
            places = runs.get(len(match[0]), [])
            while places and places[-1] < at:
                places.pop()
            if places:
                yield begun, match.start()
                begun = at = places.pop() + len(match[0])
    yield begun, end
