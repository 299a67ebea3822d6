"""AsciiDoc into Markdown, as much of it as an operations page uses.

Does: keep headings, paragraphs, lists, tables, links and listings (byte for byte); leave out comments, what stands under a condition
that is not met, descriptions of images and what passed-through HTML hides, and say so.
Does not: run includes or macros, which are left out, or know of attributes but those that the page and every HTML page set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.concealed import seen_markdown
from ingest.markup import count_words

_HEADING = re.compile(r"(={1,6})\s+(\S.*)")
_ATTRIBUTE = re.compile(r":(!?)([\w-]+)(!?):(?:\s+(.*))?")
_LISTING = re.compile(r"(-{4,}|\.{4,}|`{3,}.*)\s*")
_FRAME = re.compile(r"(={4,}|\*{4,}|_{4,}|--|\+{4,})\s*")
_BULLET = re.compile(r"(\*{1,5}|-)\s+(\S.*)")
_NUMBERED = re.compile(r"(\.{1,5}|\d+\.)\s+(\S.*)")
_IMAGE = re.compile(r"image:[^\s\[]+\[([^\]]*)\]")
_COMMENT = re.compile(r"\[comment(?:[,.#%][^\]]*)?\]\s*")
#: What stands between a block's first line and its text.
_BEFORE_TEXT = re.compile(r"\[.*\]\s*|\.[^\s.].*")
_CONDITION = re.compile(r"(ifdef|ifndef|ifeval)::([^\[\s]*)\[(.*)\]\s*")
_END = re.compile(r"endif::\S*\[.*\]\s*")
#: Attributes that a converter to HTML sets by itself.
_GIVEN_NAMES = "asciidoctor asciidoctor-version backend backend-html backend-html5 basebackend basebackend-html filetype-html outfilesuffix"
_GIVEN = frozenset(_GIVEN_NAMES.split())
_DROPPED = re.compile(r"(include::|ifdef::|ifndef::|ifeval::|endif::|image::|toc::|\[\[|\[#|'''|<<<)")


def asciidoc_to_markdown(text: str) -> tuple[str, str, tuple[str, ...]]:
    """A page as Markdown.

    Returns:
        Its title (empty if it tells none), its text, and what no reader of the page sees and was left out, a short line each.
    """
    reader = _Reader(lines=text.split("\n"))
    while (line := _next(reader)) is not None:
        _step(reader, line.rstrip())
    seen, hidden = seen_markdown("\n".join(reader.out))
    return reader.title, re.sub(r"\n{3,}", "\n\n", seen).strip(), (*_told(reader), *hidden)


def _told(reader: _Reader) -> Iterator[str]:
    """What was left out here, a line each."""
    counts = (
        (reader.comments, "AsciiDoc comment", ""),
        (reader.unmet, "word", " under a condition that is not met"),
        (reader.described, "word", " in descriptions of images"),
    )
    for count, what, where in counts:
        if count:
            yield f"{count} {what}{'s' * (count > 1)}{where}"


@dataclass(kw_only=True)
class _Reader:
    """Where the conversion stands."""

    lines: list[str]
    at: int = 0
    out: list[str] = field(default_factory=list)
    title: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    #: The language the last `[source,bash]` line announced.
    language: str = ""
    comments: int = 0
    #: Words under conditions that are not met.
    unmet: int = 0
    #: Words that describe images: a reader sees the picture.
    described: int = 0
    #: For each condition that is open, whether it and all around it are met.
    met: list[bool] = field(default_factory=list)


def _next(reader: _Reader) -> str | None:
    """The next line that a reader sees, None at the end; conditions hold in listings and tables as well."""
    while reader.at < len(reader.lines):
        line = reader.lines[reader.at]
        reader.at += 1
        met = not reader.met or reader.met[-1]
        if _END.fullmatch(line):
            del reader.met[-1:]
        elif condition := _CONDITION.fullmatch(line):
            holds = met and _holds(reader, condition[1], condition[2])
            if condition[1] == "ifeval" or not condition[3]:
                reader.met.append(holds)
            elif holds:
                return condition[3]
            else:
                reader.unmet += count_words(condition[3])
        elif met:
            return re.sub(r"^\\(?=(?:if\w+|endif|include)::)", "", line)
        else:
            reader.unmet += count_words(line)
    return None


def _holds(reader: _Reader, kind: str, names: str) -> bool:
    """Whether a condition is met; a comparison is not reckoned and never is."""
    if kind == "ifeval":
        return False
    held = [name in reader.attributes or name in _GIVEN for name in re.split(r"[,+]", names.lower())]
    met = all(held) if "+" in names else any(held)
    return met if kind == "ifdef" else not met


def _step(reader: _Reader, line: str) -> None:
    """Read one line, or one whole block, and write what it becomes."""
    if line.startswith("////"):
        _comment_block(reader, line)
    elif _COMMENT.fullmatch(line):
        _comment(reader)
    elif line.startswith("//") and not line.startswith("///"):
        reader.comments += 1
    elif match := _LISTING.fullmatch(line):
        _listing(reader, match[1])
    elif line.startswith("|===") or line.startswith(",==="):
        _table(reader, line)
    elif match := re.fullmatch(r"\[(?:source|listing)?,?\s*([\w+-]*).*\]", line):
        reader.language = match[1] if line.startswith("[source") else ""
    elif match := _ATTRIBUTE.fullmatch(line):
        _set(reader, match)
    elif match := _HEADING.fullmatch(line):
        words = _inline(reader, match[2])
        if len(match[1]) == 1 and not reader.title:
            reader.title = words
        reader.out += ["", f"{'#' * len(match[1])} {words}", ""]
    elif not _DROPPED.match(line) and not _FRAME.fullmatch(line) and line != "+":
        reader.out.append(_line(reader, line))


def _set(reader: _Reader, match: re.Match[str]) -> None:
    """Set an attribute, or take it back: `:x: value`, `:!x:`, `:x!:`."""
    if match[1] or match[3]:
        reader.attributes.pop(match[2].lower(), None)
    else:
        reader.attributes[match[2].lower()] = match[4] or ""


def _comment_block(reader: _Reader, opening: str) -> None:
    """Everything up to the same line again, conditions included."""
    while reader.at < len(reader.lines) and reader.lines[reader.at].rstrip() != opening:
        reader.at += 1
    reader.at += 1
    reader.comments += 1


def _comment(reader: _Reader) -> None:
    """The block or the paragraph after `[comment]`, whose author meant nobody to read it."""
    reader.comments += 1
    line = _next(reader)
    while line is not None and (not line.strip() or _BEFORE_TEXT.fullmatch(line)):
        line = _next(reader)
    if line is None:
        return
    line = line.rstrip()
    if _LISTING.fullmatch(line) or _FRAME.fullmatch(line) or line.startswith(("|===", ",===")):
        _until(reader, "```" if line.startswith("```") else line)
    elif line.startswith("////"):
        _comment_block(reader, line)
    else:
        while line is not None and line.strip():
            line = _next(reader)


def _line(reader: _Reader, line: str) -> str:
    """A line of text or of a list."""
    bare = line.strip()
    if match := _BULLET.fullmatch(bare):
        return f"{'  ' * (len(match[1]) - 1)}- {_inline(reader, match[2])}"
    if match := _NUMBERED.fullmatch(bare):
        depth = len(match[1]) - 1 if match[1].startswith(".") else 0
        return f"{'   ' * depth}1. {_inline(reader, match[2])}"
    if match := re.fullmatch(r"\.([^\s.].*)", bare):
        return f"\n**{_inline(reader, match[1])}**\n"
    return _inline(reader, line)


def _until(reader: _Reader, end: str) -> list[str]:
    """The lines up to the one that equals `end`, which is passed over."""
    found = []
    while (line := _next(reader)) is not None and line.rstrip() != end:
        found.append(line)
    return found


def _listing(reader: _Reader, opening: str) -> None:
    fenced = opening.startswith("`")
    language = opening.lstrip("`").strip() if fenced else reader.language
    body = [re.sub(r"\s*<\d+>\s*$", "", line) for line in _until(reader, "```" if fenced else opening)]
    reader.language = ""
    reader.out += ["", f"```{language}", *body, "```", ""]


def _table(reader: _Reader, opening: str) -> None:
    """A table whose rows are lines, or whose cells are lines grouped by the blank lines between rows."""
    rows: list[list[str]] = []
    fresh = True
    for line in _until(reader, opening):
        if not line.strip():
            fresh = True
            continue
        cells = [_inline(reader, cell.strip()) for cell in re.split(r"(?:^|\s)[\w.+<^>]*\|", line) if cell.strip()]
        if not line.lstrip().startswith("|") and rows:
            rows[-1][-1] += f" {_inline(reader, line.strip())}"
        elif len(cells) > 1 or fresh or not rows:
            rows.append(cells or [""])
        else:
            rows[-1] += cells
        fresh = False
    if rows:
        width = max(len(row) for row in rows)
        lines = [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in rows]
        reader.out += ["", lines[0], f"|{' --- |' * width}", *lines[1:], ""]


def _inline(reader: _Reader, text: str) -> str:
    """Links and emphasis inside a line; what stands between backticks stays as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _marks(reader, part) for part in parts)


def _marks(reader: _Reader, text: str) -> str:
    text = re.sub(r"\{([\w-]+)\}", lambda match: reader.attributes.get(match[1].lower(), match[0]), text)
    text = re.sub(r"(?:link:)?(https?://[^\s\[\]]+)\[([^\]]*)\]", _link, text)
    text = re.sub(r"(?:xref|link):[^\s\[]+\[([^\]]*)\]", r"\1", text)
    text = re.sub(r"<<[^,>]+,\s*([^>]+)>>", r"\1", text)
    text = re.sub(r"<<([^>]+)>>", r"\1", text)
    for image in _IMAGE.finditer(text):
        reader.described += count_words(image[1])
    text = _IMAGE.sub("", text)
    text = re.sub(r"(?<![\w*])\*([^\s*](?:[^*]*[^\s*])?)\*(?![\w*])", r"**\1**", text)
    return re.sub(r"\s\+$", "", text)


def _link(match: re.Match[str]) -> str:
    words = match[2].split(",")[0].strip("^ ") or match[1]
    return f"[{words}]({match[1]})"
