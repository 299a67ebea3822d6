"""One file's bytes into one document, wherever the bytes came from.

Does: decode, convert to Markdown, read the front matter, and name title, tier, address, times, readers and what it hides. Readers
may also be named in a comment of one line, an AsciiDoc attribute, a reStructuredText field or an HTML `<meta>`.
Does not: open files or walk folders; see `ingest.folder` and `ingest.git_docs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from core.access import EVERYONE
from core.model import Document, Tier
from ingest.concealed import seen_markdown
from ingest.postmortem import as_time, occurred_at, tier_of
from ingest.readers import UnclearReaders, principal, readers_in_comment, readers_in_words
from ingest.sources import Skipped

MAX_BYTES = 2_000_000
_MARKDOWN = {".md", ".markdown", ".mdx"}
_ASCIIDOC = {".adoc", ".asciidoc", ".asc"}
_HTML = {".html", ".htm", ".xhtml"}
_RST = {".rst", ".rest"}
_TEXT = {".txt", ".text"}
SUFFIXES = _MARKDOWN | _ASCIIDOC | _HTML | _RST | _TEXT
#: The same for people.
READS = "Markdown, AsciiDoc, reStructuredText, HTML and text files (.md, .adoc, .rst, .html, .txt and the like)"
_CHANGED = ("updated_at", "updated", "last_updated", "lastmod", "last_modified", "last_reviewed_on", "date")
_REVIEWED = ("reviewed_at", "last_reviewed_on", "last_reviewed_at", "last_reviewed", "reviewed_on", "reviewed")

#: A line near the top that says who may read a page, though in no form that is understood; marks and quotes do not matter.
_NAMES_READERS = re.compile(
    r"""^[ \t<!>/.\#;%*_"'\[\](){}:+|@-]*(?:page-)?readers["'*_\])]*[ \t]*[:=]|[{,]\s*["']readers["']\s*:|\{\s*readers\s*:""",
    re.MULTILINE | re.IGNORECASE,
)
_TOP = 600
#: The same below another key of the front matter, where some site builders want it.
_NAMES_BELOW = re.compile(r"""(?:^[ \t]+(?:-[ \t]+)?|[{,]\s*)["']?readers["']?\s*:""", re.MULTILINE | re.IGNORECASE)
#: AsciiDoc's attribute and reStructuredText's field; a field goes on in the lines that are indented.
_ATTRIBUTE = re.compile(r"^:!?readers!?:(.*)$", re.MULTILINE | re.IGNORECASE)
_FIELD = re.compile(r"^:readers:(.*(?:\n[ \t]+\S.*)*)", re.MULTILINE | re.IGNORECASE)
_META = re.compile(r"<meta\b[^<>]{0,1000}>?", re.IGNORECASE)
_META_PART = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


class _Refused(Exception):
    """Why a file cannot become a document, in words."""


def is_document(name: str) -> bool:
    """Whether a file's name says that it is Markdown, AsciiDoc, reStructuredText, HTML or text."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def make_document(
    doc_id: str,
    data: bytes,
    *,
    source: str,
    root: str = "",
    url: str | None = None,
    changed_at: datetime | None = None,
) -> Document | Skipped:
    """The document a file holds, or why it holds none.

    Args:
        doc_id: the path relative to the source's root, with forward slashes.
        root: name of the root folder, which may tell the tier where no folder below it does.
        url: the document's address, unless its front matter names one.
        changed_at: when it was last changed, where that is known for certain; else its front matter may say.
    """
    try:
        front, body, outside = _front_matter(_decoded(data))
        readers = _readers(front, outside, PurePosixPath(doc_id).suffix.lower())
        title, text, hidden = _converted(doc_id, body)
        path = PurePosixPath(root, doc_id) if root else PurePosixPath(doc_id)
        tier = _tier(front, path, title, text)
        past = tier is Tier.PAST_INCIDENT
        return Document(
            id=doc_id,
            source=source,
            title=_title(front, title, doc_id),
            text=text,
            tier=tier,
            url=_address(front) or url,
            service=_word(front, "service"),
            updated_at=changed_at or _changed(front, past=past),
            occurred_at=occurred_at(PurePosixPath(doc_id), front, text) if past else None,
            readers=readers,
            reviewed_at=next((at for name in _REVIEWED if (at := as_time(front.get(name))) is not None), None),
            hidden=hidden,
        )
    except (_Refused, UnclearReaders) as refused:
        return Skipped(doc_id=doc_id, reason=str(refused))
    except RecursionError:
        return Skipped(doc_id=doc_id, reason="nested deeper than any real page")


def address_of(docs_url: str | None, doc_id: str) -> str | None:
    """Where a document is read in a browser, given the address its path is relative to."""
    return f"{docs_url.rstrip('/')}/{quote(doc_id)}" if docs_url else None


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _Refused(f"{len(data) / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:g}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\x00" in data:
        raise _Refused("not text")
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not text.strip():
            raise _Refused("empty")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    raise _Refused("not text")


def _front_matter(text: str) -> tuple[Mapping[str, Any], str, str]:
    """What stands between `---` lines at the top, the text after it, and all that stands outside of it.

    One that cannot be read refuses the document: it may have said who must not read it. So does one that names readers below
    another key.
    """
    whole = text
    # Atomic: tried again in every other way, thirty blanks at the top would take longer than anybody waits.
    text = re.sub(r"\A(?>(?:\s+|<!--.*?-->)+)(?=---[ \t]*\n)", "", text, flags=re.DOTALL)
    if text.lstrip().startswith("+++"):
        raise _Refused("its front matter is TOML; write it as YAML between --- lines")
    match = re.match(r"---[ \t]*\n(.*?)\n?(?:---|\.\.\.)[ \t]*(?:\n|$)", text, re.DOTALL)
    if not match or not (match[1] == "" or re.match(r"\s*(#|[\w\"'-][\w \"'-]*:)", match[1])):
        return {}, text, whole
    import yaml

    try:
        front = yaml.safe_load(match[1]) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _Refused(f"its front matter is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(front, dict):
        raise _Refused("its front matter is not a YAML mapping")
    told = {str(key).lower(): value for key, value in front.items()}
    if "readers" not in told and _NAMES_BELOW.search(match[1]):
        raise _Refused("its front matter names readers, but below another key")
    body = text[match.end() :]
    return told, body, whole[: len(whole) - len(text)] + body


def _converted(doc_id: str, body: str) -> tuple[str, str, tuple[str, ...]]:
    """Title as the text tells it, the text as Markdown, and what was taken out that no reader sees."""
    suffix = PurePosixPath(doc_id).suffix.lower()
    hidden: tuple[str, ...] = ()
    if suffix in _HTML:
        from ingest.html import read_html

        page = read_html(body)
        title, text, hidden = page.title, page.text, page.hidden
    elif suffix in _ASCIIDOC:
        from ingest.asciidoc import asciidoc_to_markdown

        title, text, hidden = asciidoc_to_markdown(body)
    elif suffix in _RST:
        from ingest.rst import rst_to_markdown

        title, text, hidden = rst_to_markdown(body)
    elif suffix in _MARKDOWN:
        text, hidden = seen_markdown(body)
        title = _first_heading(text)
    else:
        title, text = "", body
    if not text.strip():
        raise _Refused("empty")
    return title, text, hidden


def _first_heading(text: str) -> str:
    """The first heading of the first level, outside code blocks."""
    fence = ""
    lines = text.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if fence or line.lstrip().startswith(("```", "~~~")):
            mark = line.lstrip()[:3]
            fence = mark if not fence else "" if mark == fence else fence
        elif match := re.match(r" {0,3}# +(.+?)(?: +#+)?\s*$", line):
            return re.sub(r"\s*\{#[\w-]+\}$", "", match[1]).replace("`", "").strip()
        elif line.strip() and re.fullmatch(r" {0,3}=+\s*", following):
            return line.strip()
    return ""


def _title(front: Mapping[str, Any], title: str, doc_id: str) -> str:
    path = PurePosixPath(doc_id)
    name = path.parent.name if path.stem.lower() in ("index", "readme", "_index") and path.parent.name else path.stem
    return _word(front, "title") or title or re.sub(r"[-_\s]+", " ", name).strip() or doc_id


def _tier(front: Mapping[str, Any], path: PurePosixPath, title: str, text: str) -> Tier:
    named = str(front.get("tier", "")).lower()
    return Tier(named) if named in (Tier.RUNBOOK, Tier.WIKI, Tier.PAST_INCIDENT) else tier_of(path, title, text)


def _word(front: Mapping[str, Any], name: str) -> str | None:
    value = front.get(name)
    return " ".join(str(value).split()) or None if isinstance(value, (str, int, float)) else None


def _address(front: Mapping[str, Any]) -> str | None:
    url = str(front.get("url") or "")
    return url if url.startswith(("http://", "https://")) else None


def _changed(front: Mapping[str, Any], *, past: bool) -> datetime | None:
    """When it says it was changed; in a report of a past incident, "date" is the incident's."""
    times = (as_time(front.get(name)) for name in _CHANGED if not (past and name == "date"))
    return next((found for found in times if found is not None), None)


# -- who may read it -------------------------------------------------------------------------------------------------


def _readers(front: Mapping[str, Any], outside: str, suffix: str) -> tuple[str, ...]:
    """Who may read it: everyone if it does not say, nobody if what it says cannot be understood.

    Args:
        outside: the page without its front matter, where each format has its own way to name them.
    """
    named = [_from_front(front["readers"])] if "readers" in front else []
    values, rest = _named_outside(outside, suffix)
    named += [readers_in_words(value) for value in values]
    if len({frozenset(readers) for readers in named}) > 1:
        raise _Refused("it names its readers more than once, and not the same")
    if not named and rest:
        raise _Refused("it names readers, but not in YAML front matter between --- lines at its top")
    return named[0] if named else (EVERYONE,)


def _from_front(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list) or not all(isinstance(reader, (str, int)) for reader in value):
        raise _Refused("its front matter does not say who may read it: `readers` must be a list of names")
    return tuple(principal(str(reader).strip()) for reader in value if str(reader).strip())


def _named_outside(text: str, suffix: str) -> tuple[list[str], bool]:
    """What the page's own format says of its readers, and whether it names them in a way that is not understood."""
    text = _without_code(text, suffix)
    values: list[str] = []
    unclear = False
    for start, end in _comments(text):
        named, clear = readers_in_comment(text[start:end].strip())
        values += [named] if named is not None else []
        unclear |= not clear
    pattern = {**dict.fromkeys(_ASCIIDOC, _ATTRIBUTE), **dict.fromkeys(_RST, _FIELD)}.get(suffix)
    values += [found[1] for found in pattern.finditer(text)] if pattern else []
    for tag in _META.finditer(text):
        if re.search(r"\breaders\b", tag[0], re.IGNORECASE):
            told = {name.lower(): "".join(value) for name, *value in _META_PART.findall(tag[0])}
            clear = tag[0].endswith(">") and "readers" in (told.get(key, "").lower() for key in ("name", "property"))
            values += [told.get("content", "")] if clear else []
            unclear |= not clear
    return values, unclear or _NAMES_READERS.search(text[:_TOP]) is not None


def _comments(text: str) -> Iterator[tuple[int, int]]:
    """Where the words of each HTML comment begin and end."""
    at = 0
    while (start := text.find("<!--", at)) >= 0:
        end = text.find("-->", start + 4)
        end = end if end >= 0 else len(text)
        yield start + 4, end
        at = end + 3


def _without_code(text: str, suffix: str) -> str:
    """The page without the code further down, which may show how readers are named; what is near the top always counts."""
    opening = re.compile(r"(-{4,}|\.{4,}|`{3,})" if suffix in _ASCIIDOC else r" {0,3}(`{3,}|~{3,})")
    kept: list[str] = []
    fence, at = "", 0
    for line in text.split("\n"):
        mark = opening.match(line)
        code = bool(fence) or mark is not None
        if fence:
            fence = "" if line.strip() == fence else fence
        elif mark is not None:
            fence = mark[1]
        kept.append(line if at < _TOP else "" if code else re.sub(r"`[^`\n]*`", "", line))
        at += len(line) + 1
    return text if fence else "\n".join(kept)
