"""reStructuredText into Markdown, with what Sphinx adds to it.

Does: read a page with docutils, keep its headings, lists, tables, links, admonitions and code (byte for byte), and let what
docutils does not know (Sphinx's and any extension's directives and roles) be read for its words. What stands under a condition that
a site's HTML does not meet is left out, and told.
Does not: include files, run raw HTML, read a docutils.conf, or resolve references to other pages.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ingest.html import read_html

if TYPE_CHECKING:
    from docutils.parsers.rst import Directive

#: What docutils may do with a stranger's page: nothing but read it.
_SETTINGS = {
    "_disable_config": True,
    "doctitle_xform": True,
    "embed_stylesheet": False,
    "file_insertion_enabled": False,
    "halt_level": 5,
    "initial_header_level": 2,
    "input_encoding": "unicode",
    "line_length_limit": 2_000_000,
    "math_output": "LaTeX",
    "raw_enabled": False,
    "report_level": 5,
    "smart_quotes": False,
    "stylesheet_path": "",
    "syntax_highlight": "none",
}
_CODE = frozenset(("code", "code-block", "sourcecode", "prompt", "parsed-code", "terminal"))
#: Directives without words for a reader: lists of other pages, files, drawings, settings, and today's date.
_SILENT_NAMES = (
    "autoclass autofunction automodule autosummary blockdiag currentmodule date default-domain digraph graph graphviz highlight "
    "include index literalinclude mermaid module plantuml program raw sectionauthor seqdiag tabularcolumns toctree uml"
)
_SILENT = frozenset(_SILENT_NAMES.split())
#: Directives whose argument says when or how to show their content, and is no title of it.
_UNTITLED = frozenset(("cssclass", "grid", "ifconfig", "only", "rst-class", "tab-set"))
#: Directives whose content is shown on a condition; only that of `only` can be reckoned.
_CONDITIONS = frozenset(("ifconfig", "only"))
_LONGEST_CONDITION = 500
#: Tags that Sphinx sets by itself when it makes a site.
_TAGS = frozenset(("html", "format_html", "builder_html", "builder_dirhtml"))
#: The class of what is not shown.
_NOT_SHOWN = "condition-not-met"
_SINCE = {"versionadded": "New in", "versionchanged": "Changed in", "deprecated": "Deprecated since"}
_LITERAL_NAMES = (
    "attr class cmdoption command confval const data envvar exc file func kbd mailheader makevar meth mod newsgroup "
    "obj option program regexp samp token"
)
_LITERAL = frozenset(_LITERAL_NAMES.split())
_DIRECTIVE = re.compile(r"\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([A-Za-z][\w:.+-]*?)::(?!\S)")
_ROLE = re.compile(r":([A-Za-z][\w:.+-]*):`|`:([A-Za-z][\w:.+-]*):")
#: Sphinx's own notes to itself at the top of a page.
_METADATA = re.compile(r"^:(?:orphan|nocomments|nosearch|tocdepth):.*\n?", re.MULTILINE)


def rst_to_markdown(text: str) -> tuple[str, str, tuple[str, ...]]:
    """A page as Markdown.

    Returns:
        Its title (empty if it tells none), its text, and what was taken out that no reader sees.

    Raises:
        RecursionError: the page is nested deeper than any real page is.
    """
    from docutils.core import publish_parts

    _know(frozenset(_DIRECTIVE.findall(text)), frozenset(a or b for a, b in _ROLE.findall(text)))
    parts = publish_parts(_METADATA.sub("", text), writer="html5", settings_overrides=_SETTINGS)
    page = read_html(_plain_html(parts["html_body"]))
    title = page.title
    if not title and (heading := re.match(r"#+ (.+)", page.text)):  # several headings of the first rank
        title = heading[1].replace("`", "").strip()
    return title, page.text, page.hidden


def _plain_html(html: str) -> str:
    """The writer's HTML in the words that `ingest.html` reads."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.select("nav, .contents, .label .backrefs, .fn-backref, .system-message"):
        tag.decompose()
    for unmet in soup.select(f".{_NOT_SHOWN}"):  # taken out and counted with all else that the page does not show
        unmet["hidden"] = ""
    for aside in soup.find_all("aside"):  # admonitions, footnotes and topics are text here
        aside.name = "div"
    for title in soup.select(".admonition-title, .topic-title, .sidebar-title"):
        title.string = f"{title.get_text(' ', strip=True)}:"
        title.wrap(soup.new_tag("p"))
        title.name = "strong"
    for caption in soup.find_all("caption"):
        table = caption.find_parent("table")
        caption.name = "strong"
        if table is not None:
            table.insert_before(caption.wrap(soup.new_tag("p")))
    for literal in soup.select("span.literal"):
        literal.name = "code"
    for block in soup.find_all("pre"):
        names = [
            str(name) for name in block.get("class") or [] if name not in ("code", "literal-block", "doctest-block")
        ]
        block["class"] = f"language-{names[0]}" if names else ""
    return str(soup)


def _know(directives: frozenset[str], roles: frozenset[str]) -> None:
    """Teach docutils the names that a page uses and it does not know; what it knows well stays its own."""
    from docutils.parsers.rst import directives as known_directives
    from docutils.parsers.rst import roles as known_roles

    for name in sorted(directives):
        if name.lower() in _CODE | _SILENT or not _is_directive(name.lower()):
            known_directives.register_directive(name.lower(), _reader_of(name.lower()))
    for name in sorted(roles):
        if not _is_role(name.lower()):
            known_roles.register_local_role(name.lower(), _role)


@functools.cache
def _is_directive(name: str) -> bool:
    """Whether docutils brings that directive itself."""
    from docutils.parsers.rst import directives
    from docutils.parsers.rst.languages import en
    from docutils.utils import new_document

    english: Any = en
    return directives.directive(name, english, new_document("", _quiet()))[0] is not None


@functools.cache
def _is_role(name: str) -> bool:
    from docutils.parsers.rst import roles
    from docutils.parsers.rst.languages import en
    from docutils.utils import new_document

    english: Any = en
    return roles.role(name, english, 0, new_document("", _quiet()).reporter)[0] is not None


def _quiet() -> Any:
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser

    settings = get_default_settings(Parser)
    settings.report_level, settings.halt_level = 5, 5
    return settings


class _AnyOption(dict[str, Callable[[str], Any]]):
    """Allows a directive every option, as text."""

    def __missing__(self, name: str) -> Callable[[str | None], str]:
        return lambda value: value or ""


@functools.cache
def _reader_of(name: str) -> type[Directive]:
    """A directive that reads as much as a person would of one that docutils does not know."""
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Reader(Directive):
        """Code as code; otherwise its argument as a title, and its content as text."""

        required_arguments, optional_arguments, final_argument_whitespace = 0, 1, True
        has_content = True
        option_spec = _AnyOption(name=str)

        def run(self) -> Sequence[Any]:
            if name in _SILENT:
                return []
            text = "\n".join(self.content)
            if name in _CONDITIONS:
                return self._on_condition()
            if name in _CODE:
                language = self.arguments[0].split()[0] if self.arguments else ""
                block = nodes.literal_block(text, text, classes=["code", *filter(None, [language])])
                return [*self._title(self.options.get("caption", "")), block]
            words = [] if name in _UNTITLED else self.arguments
            title = " ".join(filter(None, [_SINCE.get(name), *words]))
            return [*self._title(title), *self._content()]

        def _title(self, title: str) -> Sequence[Any]:
            words = " ".join(title.split())
            if not words:
                return []
            inline, _ = self.state.inline_text(words, self.lineno)
            return [nodes.paragraph("", "", nodes.strong("", "", *inline))]

        def _on_condition(self) -> Sequence[Any]:
            if name == "only" and _is_met(" ".join(self.arguments)):
                return self._content()
            return [nodes.container("", *self._content(), classes=[_NOT_SHOWN])]

        def _content(self) -> Sequence[Any]:
            box = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, box)
            return box.children

    return Reader


def _is_met(condition: str) -> bool:
    """Whether a site's HTML meets a condition such as "html and not draft"; one that cannot be understood is not met."""
    try:
        return len(condition) <= _LONGEST_CONDITION and _reckoned(ast.parse(condition, mode="eval").body)
    except (SyntaxError, ValueError):
        return False


def _reckoned(condition: ast.expr) -> bool:
    """Sphinx writes conditions as Python does, and knows of Python tags, not, and, or and brackets alone."""
    match condition:
        case ast.Name(id=tag):
            return tag in _TAGS
        case ast.UnaryOp(op=ast.Not(), operand=one):
            return not _reckoned(one)
        case ast.BoolOp(op=joint, values=parts):
            met = [_reckoned(part) for part in parts]  # all of them: one that is not understood spoils the rest
            return all(met) if isinstance(joint, ast.And) else any(met)
    raise ValueError("no condition of Sphinx's")


def _role(
    name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Any,
    options: Mapping[str, Any] | None = None,
    content: Sequence[str] | None = None,
) -> tuple[list[Any], list[Any]]:
    """A role that docutils does not know: its words, as code if it names a thing that one types."""
    from docutils import nodes, utils

    words = utils.unescape(text)
    if match := re.fullmatch(r"(.+?)\s*<[^<>]+>", words, re.DOTALL):
        words = match[1]
    elif name.rpartition(":")[2] in ("doc", "download"):
        words = words.rpartition("/")[2]
    words = words.lstrip("!~")
    kind = nodes.literal if name.rpartition(":")[2] in _LITERAL else nodes.inline
    return [kind(rawtext, words)], []
