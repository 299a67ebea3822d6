"""What speaks for and against each candidate, measured as of the incident's time.

Does: fill a table of numbers, a row a candidate and a column a feature, with a note where a person can check it. First
from messages, paths and times for all; then from changed lines, owners and reverts for the best few hundred.
Does not: weigh the numbers or word the reasons (`ranking.scorer`), choose candidates, or read anything from later.

A feature is about a candidate among the others of its window: shares of the best score, places, rarity in the window.
So the numbers mean the same in a window of twenty and in one of a thousand.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from core.model import Commit
from core.words import split_identifiers
from ranking.clues import find_clues
from ranking.events import ChangeEvent, Deployments, switches
from ranking.history import History
from ranking.kinds import KINDS
from ranking.lexicon import Lexicon, Lines
from ranking.services import ServiceMap
from ranking.text import K1, B, Bm25, count_terms, saturated, terms

_RUN = re.compile(r"\w+")
#: A term repeated in the incident counts at most so often: logs repeat themselves.
_REPEATS = 3
_TEXT_LIMIT = 20_000
#: Git processes that read diffs at the same time.
_READERS = 3
#: Paths of one commit that owners and reverts are asked for.
_PATHS = 20


@dataclass(frozen=True, kw_only=True)
class Question:
    """An incident as the ranker asks about it."""

    title: str
    description: str
    moment: datetime
    events: tuple[ChangeEvent, ...] = ()
    #: The commits that deploys among the events name, by the id the event gives.
    heads: Mapping[str, Commit] = field(default_factory=dict)
    service: ServiceMap | None = None

    @property
    def text(self) -> str:
        """Title and description, the part that is read."""
        return f"{self.title}\n{self.description}"[:_TEXT_LIMIT]


@dataclass(kw_only=True)
class Table:
    """The candidates, newest first, and what was measured of them."""

    commits: Sequence[Commit]
    #: Feature -> a number for each candidate, in their order.
    columns: dict[str, list[float]] = field(default_factory=dict)
    #: (feature, candidate's index) -> what a reason's sentence needs.
    notes: dict[tuple[str, int], str] = field(default_factory=dict)

    def column(self, feature: str) -> list[float]:
        """The numbers of one feature, zero to begin with."""
        return self.columns.setdefault(feature, [0.0] * len(self.commits))

    def put(self, feature: str, index: int, value: float, note: str = "") -> None:
        """Set one number if it is larger than what stands there, with its note."""
        column = self.column(feature)
        if value > column[index]:
            column[index] = value
            if note:
                self.notes[feature, index] = note


class Measurer:
    """Measures one incident's candidates.

    Args:
        question: the incident.
        commits: the candidates, newest first.
        lexicon: where counted words are kept.
    """

    def __init__(self, question: Question, commits: Sequence[Commit], lexicon: Lexicon) -> None:
        self.table, self.question, self._lexicon = Table(commits=commits), question, lexicon
        self.messages = [lexicon.message(commit) for commit in commits]
        #: The incident's terms, the title's twice.
        self.wanted, self._spelling = _query(question)
        self.clues = find_clues(question.text)
        #: Terms of identifiers the incident names, with their spelling.
        self.names = _names(self.clues.identifiers)

    def first_pass(self) -> Table:
        """Everything that needs no diff: words, names, times, repositories, service, kinds, size."""
        for measure in (_words, _files, _times, _repositories, _kinds, _sizes, _later_changes):
            measure(self)
        _name_matches(self, "name_message", [message.whole for message in self.messages], range(len(self.messages)))
        _service(self)
        _deploys(self)
        return self.table

    def second_pass(self, histories: Mapping[str, History], chosen: Sequence[int], *, stop_after_s: float) -> list[str]:
        """Changed lines, owners and reverts of the chosen candidates; what could not be read, in words.

        Args:
            histories: by repository name.
            chosen: indexes of candidates.
            stop_after_s: seconds for reading diffs, over all repositories.
        """
        lines, gaps = self._read_lines(histories, chosen, stop_after_s)
        _changed_lines(self, lines)
        _name_matches(self, "name_lines", [found.whole for found in lines.values()], list(lines))
        _phrases(self, lines)
        _switched(self, lines)
        for repo, indexes in _by_repo(self.table.commits, chosen).items():
            _past(self, histories[repo], indexes)
        return gaps

    def _read_lines(
        self, histories: Mapping[str, History], chosen: Sequence[int], stop_after_s: float
    ) -> tuple[dict[int, Lines], list[str]]:
        """Changed words by candidate; git reads several repositories at the same time."""
        end = time.monotonic() + stop_after_s
        by_repo = _by_repo(self.table.commits, chosen)

        def read(repo: str) -> tuple[dict[str, Lines], list[str]]:
            commits = [self.table.commits[index] for index in by_repo[repo]]
            return self._lexicon.lines(histories[repo], commits, stop_after_s=end - time.monotonic())

        found: dict[int, Lines] = {}
        gaps: list[str] = []
        with ThreadPoolExecutor(max_workers=_READERS) as readers:
            for repo, (lines, problems) in zip(by_repo, readers.map(read, by_repo), strict=True):
                gaps += problems
                commits = self.table.commits
                found.update({i: lines[commits[i].sha] for i in by_repo[repo] if commits[i].sha in lines})
        return found, gaps

    def shared(self, words: Mapping[str, int], rarity: Mapping[str, float], count: int = 3) -> str:
        """The rarest terms that the incident and a text share, as the incident spells them."""
        found = sorted((term for term in self.wanted if term in words), key=lambda term: -rarity.get(term, 0.0))
        said: list[str] = []
        for term in found:
            word = self._spelling.get(term, term)
            if len(said) < count and not any(word.lower() in other.lower() for other in said):
                said.append(word)
        return ", ".join(f"“{word}”" for word in said)


def _query(question: Question) -> tuple[Counter[str], dict[str, str]]:
    title, rest = question.title[:_TEXT_LIMIT], question.text[len(question.title) :]
    wanted = count_terms(title)
    wanted.update(count_terms(title))
    wanted.update(count_terms(rest))
    spelling: dict[str, str] = {}
    for run in _RUN.findall(question.text):
        whole, *parts = split_identifiers(run) or [""]
        for word, written in ((whole, run), *((part, part) for part in parts)):
            for term in terms(word)[:1]:
                spelling.setdefault(term, written[:60])
    return wanted, spelling


def _names(identifiers: Sequence[str]) -> dict[str, str]:
    """Each identifier's first term, which stands for the whole of it, and its spelling."""
    names: dict[str, str] = {}
    for identifier in identifiers:
        for run in identifier.replace("::", " ").replace(".", " ").replace("->", " ").replace("-", " ").split():
            found = terms(run)
            if found and (len(found) > 1 or run == identifier):
                names.setdefault(found[0], run)
    return names


def _weights(wanted: Mapping[str, int], rarity: Mapping[str, float]) -> dict[str, float]:
    return {term: rarity[term] * min(count, _REPEATS) for term, count in wanted.items()}


def _by_repo(commits: Sequence[Commit], chosen: Sequence[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for index in chosen:
        found[commits[index].repo].append(index)
    return found


def _words(measurer: Measurer) -> None:
    """Message and paths against the incident's words: the share they hold, and the place BM25 gives."""
    table, messages = measurer.table, measurer.messages
    model = Bm25([message.whole for message in messages])
    rarity = model.rarity(measurer.wanted)
    weights = _weights(measurer.wanted, rarity)
    scores = model.scores(weights)
    for index, message in enumerate(messages):
        table.put("overlap", index, _overlap(weights, message.whole), measurer.shared(message.whole, rarity))
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    for place, index in enumerate(order):
        table.column("words_place")[index] = -math.log1p(place)
    for feature, documents in (
        ("subject", [message.subject for message in messages]),
        ("paths", [message.paths for message in messages]),
    ):
        part = Bm25(documents)
        found = part.scores(_weights(measurer.wanted, part.rarity(measurer.wanted)))
        top = max(found, default=0.0) or 1.0
        table.columns[feature] = [score / top for score in found]


def _changed_lines(measurer: Measurer, lines: Mapping[int, Lines]) -> None:
    """Changed lines against the incident's words: the best hunk, and message and lines together."""
    table = measurer.table
    whole = Bm25([found.whole for found in lines.values()])
    weights = _weights(measurer.wanted, whole.rarity(measurer.wanted))
    sizes = [sum(words.values()) for found in lines.values() for _, words in found.hunks]
    mean = sum(sizes) / max(1, len(sizes)) or 1.0
    hunks = {index: _best_hunk(found, weights, mean) for index, found in lines.items()}
    top = max((score for score, _, _ in hunks.values()), default=0.0) or 1.0
    for index, (score, path, words) in hunks.items():
        if score > 0:
            table.put("hunk", index, score / top, f"{path}\n{measurer.shared(words, weights)}")
    for index, found in lines.items():
        table.put("overlap", index, _overlap(weights, measurer.messages[index].whole, found.whole))
    together = Bm25([measurer.messages[index].whole + found.whole for index, found in lines.items()])
    scores = together.scores(_weights(measurer.wanted, together.rarity(measurer.wanted)))
    best = max(scores, default=0.0) or 1.0
    for index, score in zip(lines, scores, strict=True):
        table.put("message_and_lines", index, score / best)


def _overlap(weights: Mapping[str, float], *texts: Mapping[str, int]) -> float:
    """The share of the incident's words, by weight, that any of the texts holds."""
    held = sum(weight for term, weight in weights.items() if any(term in text for text in texts))
    return held / (sum(weights.values()) or 1.0)


def _best_hunk(found: Lines, weights: Mapping[str, float], mean: float) -> tuple[float, str, Mapping[str, int]]:
    best: tuple[float, str, Mapping[str, int]] = (0.0, "", {})
    items = list(weights.items())
    for path, words in found.hunks:
        damping = K1 * (1 - B + B * sum(words.values()) / mean)
        score = sum(weight * saturated(count, damping) for term, weight in items if (count := words.get(term)))
        if score > best[0]:
            best = (score, path, words)
    return best


def _name_matches(
    measurer: Measurer, feature: str, documents: Sequence[Mapping[str, int]], indexes: Sequence[int]
) -> None:
    """Identifiers of the incident in a commit: the rarest one's rarity, 1 for a name only one candidate has."""
    scale = math.log1p(len(documents)) or 1.0
    rarity = Bm25(documents).rarity(measurer.names)
    for index, words in zip(indexes, documents, strict=True):
        held = [name for name in measurer.names if name in words]
        if held:
            rarest = max(held, key=lambda name: rarity[name])
            measurer.table.put(feature, index, min(1.0, rarity[rarest] / scale), measurer.names[rarest])


def _files(measurer: Measurer) -> None:
    """Files and folders that the incident names. A template "x.conf.erb" is named by "x.conf"."""
    table = measurer.table
    holders: dict[str, set[int]] = defaultdict(set)
    for index, commit in enumerate(table.commits):
        for change in commit.files[:200]:
            holders[change.path.rpartition("/")[2].lower()].add(index)
    scale = math.log1p(len(table.commits)) or 1.0
    for path in measurer.clues.paths:
        file = path.rpartition("/")[2].lower()
        for name in (file, f"{file}.erb", f"{file}.j2", f"{file}.tmpl"):
            rarity = math.log((len(table.commits) + 1) / max(1, len(holders.get(name, ())))) / scale
            for index in holders.get(name, ()):
                full = next(c.path for c in table.commits[index].files if c.path.lower().endswith(name))
                table.put("file", index, min(1.0, rarity), full)
    folders = [path.lower().strip("/").split("/") for path in measurer.clues.paths if "/" in path]
    pairs = {"/".join(parts[start : start + 2]) for parts in folders for start in range(len(parts) - 1)}
    for index, commit in enumerate(table.commits if pairs else ()):
        for change in commit.files[:200]:
            if any(pair in change.path.lower() for pair in pairs):
                table.put("folder", index, 1.0, change.path)


def _phrases(measurer: Measurer, lines: Mapping[int, Lines]) -> None:
    """Quoted and error texts of the incident in the changed lines, word for word."""
    for phrase in measurer.clues.phrases[:10]:
        for index, found in lines.items():
            if phrase.lower() in found.text:
                measurer.table.put("phrase", index, 1.0, phrase)


def _switched(measurer: Measurer, lines: Mapping[int, Lines]) -> None:
    """Flags and settings that were switched before the incident, in what a commit says or changed."""
    moment = measurer.question.moment
    for name, at in switches(measurer.question.events, moment):
        whole = next(iter(terms(name)), "")
        for index, message in enumerate(measurer.messages):
            if whole in message.whole or (index in lines and whole in lines[index].whole):
                hours = (moment - at).total_seconds() / 3600
                measurer.table.put("switched", index, 1 / (1 + hours), f"{name}\n{hours:.6f}")


def _times(measurer: Measurer) -> None:
    """How long before the incident, and how many other commits of its repository came in between."""
    table = measurer.table
    seen: Counter[str] = Counter()
    for index, commit in enumerate(table.commits):
        hours = (measurer.question.moment - commit.committed_at).total_seconds() / 3600
        table.column("recent")[index] = -math.log(hours + 0.1)
        table.column("within_hour")[index] = float(hours < 1)
        table.column("newer_in_repo")[index] = -math.log1p(seen[commit.repo])
        seen[commit.repo] += 1


def _repositories(measurer: Measurer) -> None:
    """How much likelier the incident's words are in a repository's recent commits than in all of them."""
    table, wanted = measurer.table, measurer.wanted
    counts = Counter(commit.repo for commit in table.commits)
    by_repo: dict[str, Counter[str]] = defaultdict(Counter)
    everywhere: Counter[str] = Counter()
    for commit, message in zip(table.commits, measurer.messages, strict=True):
        by_repo[commit.repo].update(message.whole.keys())
        everywhere.update(message.whole.keys())
    total = len(table.commits)
    likeness = {}
    for repo, words in by_repo.items():
        sums = 0.0
        for term, times in wanted.items():
            share = everywhere[term] / total
            if share:
                sums += times * math.log((words[term] + share) / (counts[repo] + 1.0) / share)
        likeness[repo] = sums / math.sqrt(1 + wanted.total())
    named = {repo: set(terms(repo)) & set(wanted) for repo in counts}
    common = set.intersection(*(set(terms(repo)) for repo in counts)) if len(counts) > 1 else set()
    for index, commit in enumerate(table.commits):
        table.column("repo_words")[index] = likeness[commit.repo]
        if len(counts) > 1 and named[commit.repo] - common:
            table.put("repo_named", index, 1.0, commit.repo)


def _kinds(measurer: Measurer) -> None:
    for kind in KINDS:
        measurer.table.columns[f"kind_{kind}"] = [float(kind in message.kinds) for message in measurer.messages]


def _sizes(measurer: Measurer) -> None:
    measurer.table.columns["files"] = [math.log1p(len(commit.files)) for commit in measurer.table.commits]


def _later_changes(measurer: Measurer) -> None:
    """How often a commit's files were changed again before the incident."""
    files: Counter[tuple[str, str]] = Counter()
    table = measurer.table
    for index, commit in enumerate(table.commits):
        touched = [(commit.repo, change.path) for change in commit.files[:_PATHS]]
        again = max((files[path] for path in touched), default=0)
        table.put("changed_again", index, math.log1p(again), str(again))
        files.update(touched)


def _service(measurer: Measurer) -> None:
    service = measurer.question.service
    if service:
        for index, commit in enumerate(measurer.table.commits):
            match = service.match(commit)
            measurer.table.put("service", index, match.strength, match.why)


def _deploys(measurer: Measurer) -> None:
    """When events tell of deploys: how long before the incident a commit went live, or that it had not."""
    question, table = measurer.question, measurer.table
    if not any(event.kind == "deploy" for event in question.events):
        return
    service = question.service
    deploys = Deployments(
        question.events,
        repos={commit.repo for commit in table.commits},
        heads=question.heads,
        service=(service.service, service.repos) if service else ("", frozenset()),
        before=question.moment,
    )
    for index, commit in enumerate(table.commits):
        live = deploys.live_at(commit)
        if live:
            hours = (question.moment - live).total_seconds() / 3600
            table.put("went_live", index, 1 / (1 + hours), f"{max(0.0, hours):.6f}")
        elif deploys.known(commit):
            table.put("not_live", index, 1.0)


def _past(measurer: Measurer, history: History, indexes: Sequence[int]) -> None:
    """What had happened in a commit's files before: who wrote them, what was reverted there; was it itself reverted."""
    table, before = measurer.table, measurer.question.moment
    paths = {change.path for index in indexes for change in table.commits[index].files[:_PATHS]}
    owners, reverts = history.owners(paths, before), history.reverts_of(paths, before)
    oldest = min(table.commits[index].committed_at for index in indexes)
    undone = {target[:7] for target in history.reverted(oldest, before)}
    for index in indexes:
        commit = table.commits[index]
        mine = total = 0
        for change in commit.files[:_PATHS]:
            authors = owners.get(change.path, {})
            mine += authors.get(commit.author_email, 0)
            total += sum(authors.values())
            count = reverts.get(change.path, 0)
            table.put("reverts_here", index, math.log1p(count), f"{change.path}\n{count}")
        table.put("owns_files", index, mine / total if total else 0.0)
        table.put("already_reverted", index, float(commit.sha[:7] in undone))
