"""A document cut into pieces along its own structure.

Does: cut Markdown at its headings, keep code blocks and tables whole and commands byte for byte, pack neighbouring
blocks of one section up to a size, and remember the heading path of each piece. Or have a configured splitter cut each section.
Does not: embed, redact or index; nor load a tokenizer: `wordpieces` estimates.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    from core.settings import Settings

#: Part of what a stored document's digest covers: raise it when the same text would be cut another way.
VERSION = "sections-1"
#: What the default embedding model reads of a text; beyond it the text still counts for words, no longer for meaning.
MAX_WORDPIECES = 256
#: A code block or table is kept whole up to this; a longer one is a dump that no card can show.
MAX_WHOLE_WORDPIECES = 1500

_WORD = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a document that can be found on its own."""

    #: The heading path inside the document, outermost first; without a first heading that repeats the title.
    section: tuple[str, ...]
    #: Markdown, as the document has it.
    text: str


class Cutter(Protocol):
    """Anything that cuts a document into pieces."""

    @property
    def version(self) -> str:
        """Another one where the same text would be cut another way: what is stored is then stored again. 64 characters at most."""
        ...

    def cut(self, title: str, text: str) -> list[Piece]:
        """The pieces of a document in reading order: at least one, unless the text is blank.

        Raises:
            DocumentError: it cannot be cut.
        """
        ...


class SectionCutter:
    """The default: `cut`."""

    version = VERSION

    def cut(self, title: str, text: str) -> list[Piece]:
        """The pieces of a document in reading order."""
        return cut(title, text)


def open_cutter(settings: Settings) -> Cutter:
    """What cuts documents: the configured splitter of LlamaIndex's within sections, or `cut`.

    Raises:
        SettingsError: the class cannot be used.
    """
    if not settings.splitter_class:
        return SectionCutter()
    from ingest.llamaindex import open_splitter

    return open_splitter(settings.splitter_class, settings.splitter_options)


def cut(title: str, text: str, *, max_wordpieces: int = MAX_WORDPIECES) -> list[Piece]:
    """The pieces of a document in reading order.

    Args:
        title: the document's title; a first heading that says the same is left out of the heading paths.
        text: the document in Markdown.
        max_wordpieces: the size that neighbouring blocks are packed to. A code block or table may exceed it.

    Returns:
        At least one piece, unless the text is blank. A heading with nothing under it makes no piece of its own but
        stands in the paths of those below; where a document is headings only, they are its one piece.
    """
    pieces: list[Piece] = []
    for section, blocks in _sections(title, text):
        sized = [part for block in blocks for part in _fit(block, max_wordpieces)]
        pieces += [Piece(section=section, text=packed) for packed in _pack(sized, max_wordpieces)]
    return pieces or whole(text)


def whole(text: str) -> list[Piece]:
    """A text of which no section gave a piece, as the one it is; none of a blank text."""
    return [Piece(section=(), text=text.strip())] if text.strip() else []


def sections(title: str, text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Heading paths, as `Piece` has them, with the text directly under each."""
    for section, blocks in _sections(title, text):
        yield section, "\n\n".join(block.text for block in blocks)


def wordpieces(text: str) -> int:
    """About how many wordpieces a BERT tokenizer makes of a text.

    A run of letters counts one for each six, a run of digits one for each three, any other sign one: within 5% of the
    real count over 1,480 operations documents.
    """
    return sum(
        1 if not run[0].isalnum() else -(-len(run) // (3 if run[0].isdigit() else 6)) for run in _WORD.findall(text)
    )


@dataclass(kw_only=True)
class _Block:
    """A top-level block of Markdown: its lines, whether it must stay whole, and where it could be divided."""

    text: str
    whole: bool
    seams: list[str] = field(default_factory=list)


@functools.cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def _sections(title: str, text: str) -> Iterator[tuple[tuple[str, ...], list[_Block]]]:
    """Heading paths with the blocks directly under them."""
    lines = text.split("\n")
    path: list[tuple[int, str]] = []
    blocks: list[_Block] = []
    for heading, block in _walk(_markdown().parse(text), lines):
        if block is not None:
            blocks.append(block)
            continue
        if blocks:
            yield _names(path, title), blocks
            blocks = []
        assert heading is not None, "a step of the walk is a heading or a block"
        level, name = heading
        path = [*(step for step in path if step[0] < level), (level, name)]
    if blocks:
        yield _names(path, title), blocks


def _names(path: Sequence[tuple[int, str]], title: str) -> tuple[str, ...]:
    names = [name for _, name in path if name]
    return tuple(names[1:] if names and _plain(names[0]) == _plain(title) else names)


def _plain(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def _walk(tokens: Sequence[Token], lines: list[str]) -> Iterator[tuple[tuple[int, str] | None, _Block | None]]:
    """Top-level headings and blocks in order, one of the two at each step."""
    for index, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        if token.type == "heading_open":
            yield (int(token.tag[1]), _text_of(tokens[index + 1])), None
            continue
        source = "\n".join(lines[token.map[0] : token.map[1]]).rstrip()
        if source.strip():
            whole = token.type in ("fence", "code_block", "table_open")
            yield None, _Block(text=source, whole=whole, seams=_seams(tokens, index, lines))


def _text_of(inline: Token) -> str:
    """A heading's words, without markup or the `{#anchor}` some generators add."""
    children: Sequence[Any] = inline.children or ()
    words = "".join(child.content if child.type in ("text", "code_inline") else " " for child in children)
    return " ".join(re.sub(r"\{#[\w-]+\}\s*$", "", words).split())


def _seams(tokens: Sequence[Token], index: int, lines: list[str]) -> list[str]:
    """The parts a list or quotation falls into: the blocks one level further in."""
    opening = tokens[index]
    if opening.type not in ("bullet_list_open", "ordered_list_open"):
        return []
    assert opening.map is not None, "only blocks with lines are asked for their seams"
    starts: list[int] = []
    for token in tokens[index + 1 :]:
        if token.level == opening.level:
            break
        if token.type == "list_item_open" and token.level == opening.level + 1 and token.map is not None:
            starts.append(token.map[0])
    ends = [*starts[1:], opening.map[1]]
    return ["\n".join(lines[start:end]).rstrip() for start, end in zip(starts, ends, strict=True)]


def _fit(block: _Block, limit: int) -> list[str]:
    """The block, or the smallest number of its parts that keep to the limit."""
    if wordpieces(block.text) <= limit:
        return [block.text]
    if block.whole:
        return _split_whole(block.text)
    if len(block.seams) > 1:
        items = [part for seam in block.seams for part in _split_prose(seam, limit)]
        return list(_pack(items, limit, joint="\n"))
    return _split_prose(block.text, limit)


def _split_prose(text: str, limit: int) -> list[str]:
    """Parts at line ends, or sentence ends where a line alone is too long. Fenced code inside is never cut."""
    if wordpieces(text) <= limit:
        return [text]
    parts: list[str] = []
    for unit in re.split(r"(?m)(^[ \t]*```.*?^[ \t]*```[ \t]*$\n?)", text, flags=re.DOTALL):
        if unit.lstrip().startswith("```"):
            parts.append(unit.rstrip("\n"))
            continue
        for line in unit.split("\n"):
            parts += [line] if wordpieces(line) <= limit else list(_pack(_sentences(line, limit), limit, joint=" "))
    return list(_pack([part for part in parts if part.strip()], limit, joint="\n"))


def _sentences(line: str, limit: int) -> list[str]:
    """A long line's sentences; one that is too long itself is cut between words."""
    found: list[str] = []
    for sentence in re.split(r"(?<=[.!?;])\s+", line):
        if wordpieces(sentence) <= limit:
            found.append(sentence)
        else:
            found += _pack(sentence.split(), limit, joint=" ")
    return found


def _split_whole(text: str) -> list[str]:
    """Code or a table as it is; a dump in parts of whole lines, each a code block or table of its own again."""
    lines = text.split("\n")
    fence = re.match(r"\s*(`{3,}|~{3,})", lines[0])
    head = [lines[0]] if fence else lines[:2] if "|" in lines[0] else []
    tail = [fence.group(1)] if fence else []
    body = lines[len(head) : -1 if fence and lines[-1].strip().startswith(fence.group(1)) else None]
    return ["\n".join([*head, part, *tail]) for part in _pack(body, MAX_WHOLE_WORDPIECES, joint="\n")]


def _pack(parts: Sequence[str], limit: int, *, joint: str = "\n\n") -> Iterator[str]:
    """Neighbours put together as long as they keep to the limit."""
    held: list[str] = []
    size = 0
    for part in parts:
        more = wordpieces(part)
        if held and size + more > limit:
            yield joint.join(held)
            held, size = [], 0
        held.append(part)
        size += more
    if held:
        yield joint.join(held)
