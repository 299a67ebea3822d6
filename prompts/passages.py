"""A Markdown text as the passages a person would quote: sentences, steps, and the commands that belong to them.

Does: walk headings, paragraphs, lists, tables and code; take markup, images and addresses off; keep code to the letter.
Does not: judge relevance, or run anything.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Kind = Literal["sentence", "step", "row"]


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Something that may be quoted whole."""

    text: str
    kind: Kind = "sentence"
    #: Shell or query lines that follow it, to the letter but for the prompt sign.
    commands: tuple[str, ...] = ()
    #: The heading path: the source's own and that inside its text.
    section: tuple[str, ...] = ()
    #: Whether it is an item of a numbered list.
    ordered: bool = False
    #: Whether an address was left out of it.
    cut: bool = False


def passages(text: str, section: Sequence[str] = ()) -> tuple[Passage, ...]:
    """The passages of a Markdown text, in reading order.

    Args:
        text: Markdown; plain text is Markdown too.
        section: the heading path the text stands under.
    """
    return _passages(text, tuple(section))


@functools.lru_cache(maxsize=512)
def _passages(text: str, section: tuple[str, ...]) -> tuple[Passage, ...]:
    found: list[Passage] = []
    for item in _walk(_markdown().parse(text[:_LOOKED_AT]), section):
        last = found[-1] if found and found[-1].section == item.section else None
        if last and not item.text:
            found[-1] = replace(last, commands=last.commands + item.commands)
        elif last and last.kind == item.kind == "step" and last.text.endswith(":") and not last.commands:
            found[-1] = replace(item, text=f"{last.text} {item.text}")
        else:
            found.append(item)
    return tuple(item for item in found if item.text or item.commands)


def inline_code(text: str) -> frozenset[str]:
    """Every code span of a Markdown text, blanks made one."""
    tokens = _markdown().parse(text[:_LOOKED_AT])
    children = [child for token in tokens for child in token.children or () if child.type == "code_inline"]
    return frozenset(" ".join(child.content.split()) for child in children)


#: More of a text than this is never looked at.
_LOOKED_AT = 20_000


@functools.cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def _walk(tokens: Sequence[Token], section: tuple[str, ...]) -> Iterator[Passage]:
    path: list[tuple[int, str]] = []
    lists: list[bool] = []
    row: list[str] | None = None
    heading = 0
    for token in tokens:
        here = (*section, *(name for _, name in path))
        if token.type == "heading_open":
            heading = int(token.tag[1])
        elif token.type == "inline" and heading:
            path = [*(step for step in path if step[0] < heading), (heading, _shown(token)[0])]
            heading = 0
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            lists.append(token.type == "ordered_list_open")
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            cells, row = [cell for cell in row or () if cell], None
            if len(cells) > 1:
                yield Passage(text=f"{cells[0]}: {'; '.join(cells[1:])}", kind="row", section=here)
        elif token.type == "inline" and row is not None:
            row.append(_shown(token)[0])
        elif token.type == "inline":
            yield from _prose(token, lists, here)
        elif token.type in ("fence", "code_block"):
            commands = tuple(_commands(token.content, token.info.strip().lower()))
            if commands:
                yield Passage(text="", commands=commands, section=here)


def _prose(token: Token, lists: list[bool], section: tuple[str, ...]) -> Iterator[Passage]:
    text, cut = _shown(token)
    if lists:
        text = re.sub(r"^\[[ xX]\]\s+", "", text)
        if text:
            yield Passage(text=text, kind="step", section=section, ordered=lists[-1], cut=cut)
        return
    for sentence in sentences(text):
        yield Passage(text=sentence, section=section, cut=cut)


_ADDRESS = re.compile(r"<?\b(?:[a-z][a-z0-9+.-]{1,12}://|mailto:|www\.)[^\s>)\]]*>?", re.I)
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)(?<!approx\.)\s+(?=[A-Z0-9`\"'(\[])")
_DANGLING = re.compile(r"\s*\(\s*\)|\s+(?=[,.;:!?])|(?:[,;:]?\s+(?:see|at|here|via|on|in))+\s*[:.]?$", re.I)

#: A link whose address stands elsewhere in its document, and so reads as brackets here.
_REFERENCE = re.compile(r"(?<![\w\]])!?\[([A-Za-z][^\[\]\n]{0,80})\](?:\[[^\[\]\n]{0,80}\])?")


def sentences(text: str) -> list[str]:
    """A paragraph's sentences."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def _shown(token: Token) -> tuple[str, bool]:
    """What a reader sees of inline Markdown, addresses left out, and whether any was."""
    parts: list[str] = []
    for child in _children(token):
        if child.type == "code_inline":
            parts.append(f"`{child.content}`" if "`" not in child.content else child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "text":
            parts.append(_REFERENCE.sub(r"\1", child.content))
    whole = "".join(parts)
    plain = _ADDRESS.sub("", whole)
    cut = plain != whole
    if cut:
        plain = _DANGLING.sub("", " ".join(plain.split()))
    return " ".join(plain.split()).strip(), cut


def _children(token: Token) -> Sequence[Any]:
    return token.children or ()


_SHELL_WORDS = "sh shell bash zsh console shell-session terminal cmd powershell sql psql mysql promql"
_SHELLS = frozenset(_SHELL_WORDS.split())
_PROMPT = re.compile(r"^\s*[\w.@:~/-]{0,40}[$%]\s+(?=\S)")
_TOOLS = re.compile(
    r"^(?:sudo\s+)?(?:kubectl|helm|docker|podman|systemctl|service|journalctl|ssh|scp|curl|wget|psql|mysql|redis-cli|mongosh?|aws"
    r"|gcloud|az|terraform|ansible(?:-playbook)?|git|etcdctl|rabbitmqctl|nomad|consul|vault|istioctl|argocd|flux|oc|patronictl"
    r"|pg_\w+|kafka-[\w.-]+|nodetool|ceph|dig|nslookup|openssl|make|python3?|npm|rsync|tail|grep|df|du|ps|kill|crictl|etcdutl"
    r"|amtool|promtool|logcli|SELECT|SHOW|EXPLAIN|ALTER|UPDATE|CALL|SET|VACUUM)\b"
)


_CONTROL = re.compile(r"^\s*(?:for|while|until|if|case|function|do|then|select)\b|\{\s*$|<<-?\s*['\"]?\w", re.M)


def _commands(content: str, language: str) -> Iterator[str]:
    """The commands of a code block, each whole or not at all; output, comments and configuration are left out."""
    lines = [line.rstrip() for line in content.split("\n") if line.strip()]
    prompted = any(_PROMPT.match(line) for line in lines)
    typed = [line for line in lines if not line.lstrip().startswith(("#", "--", "//"))]
    shell = language.split(maxsplit=1)[0] in _SHELLS if language else False
    if _CONTROL.search("\n".join(typed)) and not prompted:
        if shell or _TOOLS.match(typed[0]):
            yield "\n".join(typed)  # one piece of script: a part of it would do something else
        return
    while typed:
        command = typed.pop(0)
        if prompted and not _PROMPT.match(command):
            continue
        command = _PROMPT.sub("", command) if prompted else command.strip()
        while typed and not _complete(command):
            more = typed.pop(0)
            bare = more[2:] if prompted and more.startswith("> ") else more
            command = f"{command[:-1].rstrip()} {bare.strip()}" if command.endswith("\\") else f"{command}\n{bare}"
        if _complete(command) and (prompted or shell or _TOOLS.match(command)):
            yield command


def _complete(command: str) -> bool:
    """Whether nothing of a command is missing: no line to follow, every quote closed."""
    bare = re.sub(r"\\.", "", command)
    quotes = re.sub(r"'[^']*'|\"[^\"]*\"", "", bare)
    return not command.endswith("\\") and not {"'", '"'} & set(quotes) and "<<" not in quotes
