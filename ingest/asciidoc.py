"""AsciiDoc into Markdown, as much of it as an operations page uses.

Does: keep headings, paragraphs, lists, tables, links and listings (byte for byte); leave out comments and what passed-through HTML
hides, and say so.
Does not: run includes, conditions or macros; they are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ingest.concealed import seen_markdown

_HEADING = re.compile(r"(={1,6})\s+(\S.*)")
_ATTRIBUTE = re.compile(r":!?([\w-]+)!?:(?:\s+(.*))?")
_LISTING = re.compile(r"(-{4,}|\.{4,}|`{3,}.*)\s*")
_FRAME = re.compile(r"(={4,}|\*{4,}|_{4,}|--|\+{4,})\s*")
_BULLET = re.compile(r"(\*{1,5}|-)\s+(\S.*)")
_NUMBERED = re.compile(r"(\.{1,5}|\d+\.)\s+(\S.*)")
_DROPPED = re.compile(r"(include::|ifdef::|ifndef::|ifeval::|endif::|image::|toc::|\[\[|\[#|'''|<<<)")


def asciidoc_to_markdown(text: str) -> tuple[str, str, tuple[str, ...]]:
    """A page as Markdown.

    Returns:
        Its title (empty if it tells none), its text, and what no reader of the page sees and was left out, a short line each.
    """
    reader = _Reader(lines=text.split("\n"))
    while reader.at < len(reader.lines):
        _step(reader)
    seen, hidden = seen_markdown("\n".join(reader.out))
    comments = [f"{reader.comments} AsciiDoc comment{'s' * (reader.comments > 1)}"] if reader.comments else []
    return reader.title, re.sub(r"\n{3,}", "\n\n", seen).strip(), (*comments, *hidden)


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


def _step(reader: _Reader) -> None:
    """Read one line, or one whole block, and write what it becomes."""
    line = reader.lines[reader.at].rstrip()
    reader.at += 1
    if line.startswith("////"):
        _until(reader, line)
        reader.comments += 1
    elif line.startswith("//") and not line.startswith("///"):
        reader.comments += 1
    elif match := _LISTING.fullmatch(line):
        _listing(reader, match[1])
    elif line.startswith("|===") or line.startswith(",==="):
        _table(reader, line)
    elif match := re.fullmatch(r"\[(?:source|listing)?,?\s*([\w+-]*).*\]", line):
        reader.language = match[1] if line.startswith("[source") else ""
    elif match := _ATTRIBUTE.fullmatch(line):
        reader.attributes[match[1]] = match[2] or ""
    elif match := _HEADING.fullmatch(line):
        words = _inline(reader, match[2])
        if len(match[1]) == 1 and not reader.title:
            reader.title = words
        reader.out += ["", f"{'#' * len(match[1])} {words}", ""]
    elif not _DROPPED.match(line) and not _FRAME.fullmatch(line) and line != "+":
        reader.out.append(_line(reader, line))


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
    start = reader.at
    while reader.at < len(reader.lines) and reader.lines[reader.at].rstrip() != end:
        reader.at += 1
    found = reader.lines[start : reader.at]
    reader.at += 1
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
    text = re.sub(r"\{([\w-]+)\}", lambda match: reader.attributes.get(match[1], match[0]), text)
    text = re.sub(r"(?:link:)?(https?://[^\s\[\]]+)\[([^\]]*)\]", _link, text)
    text = re.sub(r"(?:xref|link):[^\s\[]+\[([^\]]*)\]", r"\1", text)
    text = re.sub(r"<<[^,>]+,\s*([^>]+)>>", r"\1", text)
    text = re.sub(r"<<([^>]+)>>", r"\1", text)
    text = re.sub(r"image:[^\s\[]+\[([^\]]*)\]", r"\1", text)
    text = re.sub(r"(?<![\w*])\*([^\s*](?:[^*]*[^\s*])?)\*(?![\w*])", r"**\1**", text)
    return re.sub(r"\s\+$", "", text)


def _link(match: re.Match[str]) -> str:
    words = match[2].split(",")[0].strip("^ ") or match[1]
    return f"[{words}]({match[1]})"
