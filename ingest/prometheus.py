"""Alerting rules of Prometheus as documents: what an alert means, what it measures, and which page is its runbook.

Does: list every alerting rule below a folder: rule files, PrometheusRule resources, ConfigMaps and Helm values that hold
them, several YAML documents a file. A rule's own annotations, expression and labels become its text. A comment in its file,
`# readers: group:sre, anna@example.org`, says who may read it; a file that names readers in any other way is left out.
Does not: evaluate expressions, render Helm or jsonnet, ask a running Prometheus, or list recording rules.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.access import EVERYONE
from core.errors import DocumentError, UsageError
from core.model import Document, Tier
from core.settings import Settings
from ingest.files import MAX_BYTES
from ingest.git_docs import is_repository
from ingest.readers import UnclearReaders, readers_in_yaml, readers_of
from ingest.sources import NOTHING, Held, Listed, Skipped

SUFFIXES = (".yaml", ".yml", ".rules")
#: The same for people.
READS = "files with alerting rules (.yaml, .yml, .rules)"
#: Part of every version: raise it when the same rule would become another document.
_MADE = "rules-2"
#: How deep in a file groups are looked for: Helm values hold them five maps down.
_DEEPEST = 8

#: Annotations that name the runbook, by their letters alone, best first.
_RUNBOOK = ("runbookurl", "runbook", "runbooklink", "playbookurl", "playbook", "sopurl", "sop")
_LEADING = ("summary", "title", "message", "description")
_SERVICE = ("service", "service_name", "app", "application")

_HELM = re.compile(r"\{\{-?\s*(?:if|end|else|range|with|include|define|template|\.Values|\$?\.)[^}]*\}\}")
_OLD = re.compile(r"^\s*ALERT\s+\w+\s*(?:\n\s*)?IF\b", re.MULTILINE)
_PERHAPS = re.compile(r"\balert[\"']?\s*:|\bALERT\b")
_OLD_RULES = "rules as Prometheus 1 wrote them: convert them with promtool of Prometheus 2.0"
_MENTIONS = re.compile(r"^\s*(?:-\s+)?[\"']?alert[\"']?\s*:", re.MULTILINE)
#: What a template prints, where it is one label or the value; pipes only format it.
_LABEL = re.compile(r"\{\{-?\s*(?:(?:\$labels|\.Labels)\.(\w+)|\$(labels))\s*(?:\|[^{}]*)?-?\}\}")
_VALUE = re.compile(
    r"\{\{-?\s*(?:(?:humanize\w*|printf\s+\"[^\"]*\")\s+)?(?:\$value|\.Value|\$externalLabels\.(\w+))\s*(?:\|[^{}]*)?-?\}\}"
)
_ALERTNAME = re.compile(r"\{\{-?\s*\$labels\.alertname\s*-?\}\}")
_MARKUP = re.compile(r"^([ \t]*)(#|=|---|```|~~~)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """One alerting rule as its file has it."""

    group: str
    name: str
    expr: str
    hold: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class _Refused(Exception):
    """Why a file's rules cannot be read, in words."""


@dataclass(frozen=True, kw_only=True)
class _File:
    """What a file of rules holds."""

    rules: Sequence[_Rule] = ()
    #: What stands among them but is none.
    skipped: Sequence[Skipped] = ()
    #: Who may read them, where the file says so.
    readers: tuple[str, ...] | None = None


USAGE = "prometheus:DIR"


def open(rest: str, settings: Settings) -> PrometheusSource:
    """The rules of "prometheus:PATH".

    Args:
        rest: a folder of rule files, or one rule file.

    Raises:
        UsageError: no path is given.
        DocumentError: it does not exist, or holds no files.
        SettingsError: the readers in the settings are no principals.
    """
    if not rest.strip():
        raise UsageError(
            "cannot read Prometheus rules",
            why="no folder is named",
            way_out="give one: prometheus:/etc/prometheus/rules",
        )
    path = Path(rest).expanduser().absolute()
    if not path.exists():
        raise DocumentError(
            f"cannot read Prometheus rules from {str(path)!r}",
            why="it does not exist",
            way_out="give a folder of rule files, or one file",
        )
    if is_repository(path) and not (path / ".git").exists():
        raise DocumentError(
            f"cannot read Prometheus rules from {str(path)!r}",
            why="it is a bare git repository, which has no files",
            way_out="give a work tree of it: git worktree add FOLDER",
        )
    return PrometheusSource(path, readers=readers_of(settings.prometheus_readers, setting="RUNDOWN_PROMETHEUS_READERS"))


class PrometheusSource:
    """The alerting rules below a folder. The id of each is "path#group/alert", the path relative to the folder.

    Where one group has an alert several times, the severity is added, and where that is the same too, a number.

    Args:
        path: the folder, or one file.
        readers: who may read the rules of a file that does not say.
    """

    def __init__(self, path: Path, *, readers: Sequence[str] = (EVERYONE,)) -> None:
        self._path, self._readers = path.absolute(), tuple(readers)

    @property
    def name(self) -> str:
        """ "prometheus:" and the absolute path."""
        return f"prometheus:{self._path}"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Every alerting rule. A file whose bytes are as they were is not parsed again.

        Raises:
            DocumentError: the folder cannot be listed.
        """
        if not self._path.exists():
            raise DocumentError(
                f"cannot read Prometheus rules from {str(self._path)!r}",
                why="it is not there",
                way_out="check the path; what is indexed from it stays as it is",
            )
        known: dict[str, list[str]] = {}
        for doc_id in held:
            known.setdefault(doc_id.partition("#")[0], []).append(doc_id)
        for file in self._files():
            if isinstance(file, Skipped):
                yield file
            else:
                yield from self._read(file, {doc_id: held[doc_id] for doc_id in known.get(self._id(file), ())})

    def _files(self) -> Iterator[Path | Skipped]:
        """Rule files by name, in order; a link is followed if it stays inside, as in a mounted ConfigMap."""
        if self._path.is_file():
            yield self._path
            return
        unlisted: list[OSError] = []
        found: list[Path] = []
        for folder, folders, files in os.walk(self._path, onerror=unlisted.append):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
            found += [Path(folder, n) for n in files if n.lower().endswith(SUFFIXES) and not n.startswith(".")]
        for error in unlisted:
            yield self._unlisted(error)
        root = self._path.resolve()
        for file in sorted(found):
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                yield Skipped(doc_id=self._id(file), reason="a link that leads out of the folder")
            else:
                yield file

    def _unlisted(self, error: OSError) -> Skipped:
        where, why = Path(error.filename or self._path), error.strerror or str(error)
        if where == self._path:
            raise DocumentError(f"cannot list {str(self._path)!r}", why=why, way_out="check its permissions") from error
        return Skipped(doc_id=f"{self._id(where)}/", reason=why, unreadable=True)

    def _id(self, path: Path) -> str:
        text = path.name if path == self._path else path.relative_to(self._path).as_posix()
        return text.encode(errors="backslashreplace").decode()

    def _read(self, file: Path, held: Mapping[str, str]) -> Iterator[Listed]:
        """The rules of one file, or why it gives none."""
        path = self._id(file)
        try:
            with file.open("rb") as opened:
                data = opened.read(MAX_BYTES + 1)
        except OSError as error:
            yield Skipped(doc_id=path, reason=error.strerror or str(error), unreadable=True)
            yield from (Held(doc_id=doc_id) for doc_id in held)
            return
        digest = hashlib.sha256(data).hexdigest()[:24]
        if held and set(held.values()) == {self._version(digest, len(held))}:
            yield from (Held(doc_id=doc_id) for doc_id in held)
            return
        try:
            made = _rules(path, data)
        except (_Refused, UnclearReaders) as refused:
            yield Skipped(doc_id=path, reason=str(refused))
            return
        yield from made.skipped
        # A file with something to tell of is read each time, so that every report tells it.
        version = None if made.skipped else self._version(digest, len(made.rules))
        readers = self._readers if made.readers is None else made.readers
        for doc_id, rule in zip(_ids(path, made.rules), made.rules, strict=True):
            yield _document(doc_id, rule, source=self.name, readers=readers, version=version)

    def _version(self, digest: str, rules: int) -> str:
        """A file's bytes, who reads what does not say, and how many documents it makes: with one missing, nothing is as it was."""
        return " ".join((_MADE, digest, str(rules), *(one for one in self._readers if self._readers != (EVERYONE,))))


def _rules(path: str, data: bytes) -> _File:
    """The alerting rules of a file, and who may read them.

    A YAML file that has nothing to do with rules gives nothing.

    Raises:
        _Refused: it has, and cannot be read.
        UnclearReaders: it names readers in a way that is not understood.
    """
    import yaml

    if len(data) > MAX_BYTES:
        raise _Refused(f"{len(data) / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:g}")
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff")
    if not _PERHAPS.search(text):  # most YAML beside rules: parsing it all takes a second for each 200 files
        return _File()
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        parts = list(yaml.load_all(text, Loader=loader))
        found = [group for part in parts for group in _groups(part, _DEEPEST, set())]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if not _is_about_rules(path, text):
            return _File()
        raise _Refused(_why_unreadable(text, error)) from error
    if not found and _OLD.search(text):
        raise _Refused(_OLD_RULES)
    rules: list[_Rule] = []
    skipped: list[Skipped] = []
    for number, group in enumerate(found):
        name = _line(group.get("name")) or str(number)
        for index, given in enumerate(group["rules"]):
            made = _rule(name, given)
            if isinstance(made, _Rule):
                rules.append(made)
            elif made:
                skipped.append(Skipped(doc_id=f"{path}#{name}/{index}", reason=made))
    return _File(rules=rules, skipped=skipped, readers=readers_in_yaml(text, [parts, found]) if found else None)


def _groups(value: Any, depth: int, seen: set[int]) -> Iterator[Mapping[str, Any]]:
    """Rule groups, wherever in a YAML document they are: at the top, in a resource's spec, in a ConfigMap's texts.

    Args:
        seen: what was looked at already: aliases of aliases name one list a million times.
    """
    import yaml

    if depth < 0 or id(value) in seen:
        return
    if isinstance(value, (dict, list)):
        seen.add(id(value))
    if isinstance(value, dict):
        if isinstance(value.get("rules"), list) and any(
            isinstance(rule, dict) and "alert" in rule for rule in value["rules"]
        ):
            yield value
            return
        texts = value.get("data") if value.get("kind") == "ConfigMap" else None
        for name, text in texts.items() if isinstance(texts, dict) else ():
            if isinstance(text, str) and str(name).lower().endswith(SUFFIXES) and _MENTIONS.search(text):
                yield from _groups(yaml.safe_load(text), depth - 1, set())
        for part in value.values():
            yield from _groups(part, depth - 1, seen)
    elif isinstance(value, list):
        for part in value:
            yield from _groups(part, depth - 1, seen)


def _is_about_rules(path: str, text: str) -> bool:
    return path.lower().endswith(".rules") or bool(_MENTIONS.search(text))


def _why_unreadable(text: str, error: Exception) -> str:
    if _OLD.search(text):
        return _OLD_RULES
    if _HELM.search(text):
        return "a Helm template, not YAML: render it with `helm template`, and give the folder of what it wrote"
    return f"not YAML: {' '.join(str(error).split())[:200]}"


def _rule(group: str, given: Any) -> _Rule | str:
    """The rule, or why it is none; "" for a recording rule."""
    if not isinstance(given, dict):
        return "not a rule: no mapping"
    if "alert" not in given:
        return "" if "record" in given else "neither an alert nor a recording rule"
    name, expr = _line(given["alert"]), given.get("expr")
    if not name:
        return "an alert without a name"
    if not isinstance(expr, (str, int, float)) or isinstance(expr, bool) or not str(expr).strip():
        return f"the alert {name} has no expression"
    return _Rule(
        group=group,
        name=name,
        expr=_dedented(str(expr)),
        hold=_line(given.get("for")),
        labels=_strings(given.get("labels")),
        annotations=_strings(given.get("annotations")),
    )


def _ids(path: str, rules: Sequence[_Rule]) -> list[str]:
    plain = [f"{path}#{rule.group}/{rule.name}" for rule in rules]
    often = Counter(plain)
    ids = [
        f"{doc_id}/{rule.labels['severity']}" if often[doc_id] > 1 and rule.labels.get("severity") else doc_id
        for doc_id, rule in zip(plain, rules, strict=True)
    ]
    seen: Counter[str] = Counter()
    numbered = []
    for doc_id in ids:
        seen[doc_id] += 1
        numbered.append(doc_id if seen[doc_id] == 1 else f"{doc_id}/{seen[doc_id]}")
    return numbered


def _document(doc_id: str, rule: _Rule, *, source: str, readers: tuple[str, ...], version: str | None) -> Document:
    return Document(
        id=doc_id,
        source=source,
        title=rule.name,
        text=_told(rule),
        tier=Tier.ALERT,
        service=next((word for name in _SERVICE if (word := rule.labels.get(name)) and "{{" not in word), None),
        readers=readers,
        version=version,
        runbook_url=_runbook(rule),
    )


def _told(rule: _Rule) -> str:
    """The rule in Markdown. One section: an alert is found whole or not at all."""
    names = sorted(rule.annotations, key=lambda name: _LEADING.index(name) if name in _LEADING else len(_LEADING))
    runbook = _runbook(rule)
    said = []
    for name in names:
        words = _plain(readable(rule.annotations[name]))
        if not words or (runbook and _letters(name) in _RUNBOOK and runbook in words):
            continue
        said.append(words if name in _LEADING else f"{name}: {words}")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", rule.expr)), default=0))
    metrics = metric_names(rule.expr)
    parts = [
        f"# {rule.name}",
        *dict.fromkeys(said),
        f"Fires when this holds{f' for {rule.hold}' if rule.hold not in ('', '0', '0s', '0m') else ''}:",
        f"{fence}promql\n{rule.expr}\n{fence}",
        f"Metrics: {', '.join(f'`{name}`' for name in metrics)}" if metrics else "",
        _table(rule.labels),
        f"Runbook: {runbook}" if runbook else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(labels: Mapping[str, str]) -> str:
    rows = [f"| {name} | {_cell(value)} |" for name, value in labels.items() if value]
    return "\n".join(["| label | value |", "| --- | --- |", *rows]) if rows else ""


def _cell(value: str) -> str:
    return " ".join(readable(value).split()).replace("|", "\\|")


def _runbook(rule: _Rule) -> str | None:
    """The page that the annotations name: an address, or the path of a document."""
    by_letters = {_letters(name): value for name, value in reversed(list(rule.annotations.items()))}
    for name in _RUNBOOK:
        value = _ALERTNAME.sub(lambda _: rule.name, by_letters.get(name, ""))
        if match := re.search(r"https?://[^\s<>\"'|)\]]+", value):
            found = match[0].rstrip(".,;")
        elif re.fullmatch(
            r"[\w.+-]*/[\w./%+-]+(?:#[\w-]+)?|[\w.%+-]+\.(?:md|adoc|rst|html?)(?:#[\w-]+)?", value.strip()
        ):
            found = value.strip()
        else:
            continue
        if "{{" not in found:
            return found
    return None


def readable(text: str) -> str:
    """A Go template with `{{ $labels.pod }}` as "{pod}" and the value as "{value}"; any other action stays as it is."""
    named = _LABEL.sub(lambda match: f"{{{match[1] or match[2]}}}", text)
    return _VALUE.sub(lambda match: f"{{{match[1] or 'value'}}}", named)


_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`")
_COMMENT = re.compile(r"#[^\n]*")
_NAMED = re.compile(r"__name__\s*=\s*[\"']([A-Za-z_:][\w:]*)[\"']")
_CLAUSE = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w:.$])([A-Za-z_:][\w:]*)(?!\w)(?!\s*\()")
_KEYWORDS = "and or unless by without on ignoring group_left group_right offset bool inf nan start end atan2"
_WORDS = frozenset(_KEYWORDS.split())


def metric_names(expr: str) -> tuple[str, ...]:
    """The metrics that a PromQL expression reads, each once, in order.

    Label names, functions and keywords are no metrics; neither is anything in a string, but for `__name__="…"`.
    """
    named = _NAMED.findall(expr)
    bare = _STRING.sub('""', expr)
    bare = _COMMENT.sub(" ", bare)
    bare = re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]", " ", bare)
    bare = _CLAUSE.sub(" ", bare)
    found = [name for name in _NAME.findall(bare) if name.lower() not in _WORDS and not re.fullmatch(r"[:_]+", name)]
    return tuple(dict.fromkeys([*found, *named]))


def _strings(value: Any) -> dict[str, str]:
    """A map of labels or annotations; what is no text or number is left out."""
    if not isinstance(value, dict):
        return {}
    return {
        str(name): str(item).lower() if isinstance(item, bool) else str(item).strip()
        for name, item in value.items()
        if isinstance(item, (str, int, float))
    }


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _line(value: Any) -> str:
    return " ".join(str(value).split()) if isinstance(value, (str, int, float)) else ""


def _dedented(text: str) -> str:
    import textwrap

    return textwrap.dedent(text.expandtabs(2)).strip()


def _plain(words: str) -> str:
    """Somebody's words, unable to pass for a heading of ours or to open a code block that swallows the rest."""
    return _MARKUP.sub(r"\1\\\2", words.strip())
