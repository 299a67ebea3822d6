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
from core.words import RUN, split_run
from ranking import context, live
from ranking.cause import CauseReader, Change
from ranking.clues import find_clues
from ranking.events import ChangeEvent
from ranking.history import History
from ranking.kinds import idle, spoken_of
from ranking.lexicon import Lexicon, Lines, Pairs
from ranking.outside import PLAIN, told_outside
from ranking.small.model import CommitReader
from ranking.surroundings import Surroundings
from ranking.text import K1, B, Bm25, count_terms, inverse_frequency, neighbours, saturated, terms
from ranking.vocabulary import WordCounts

#: Where a sentence of an incident ends, or a line of it.
_STRETCH = re.compile(r"[.!?;]\s|\n")
_TEXT_LIMIT = 20_000
#: Characters of an incident whose words are looked for side by side: behind them are logs, where everything is.
_PAIRS_LIMIT = 2_000
#: Different terms from which on an incident says enough for the best match to mean something: e to the power of this, about 54.
_TOLD = 4.0
#: Git processes that read diffs at the same time.
_READERS = 3


def is_page(window_commits: int | None, service: str | None, events: Sequence[ChangeEvent] = ()) -> bool:
    """Whether an incident is a page: its window is of days, or its service is told, or what was deployed.

    A window of commits alone looks at a project's history, where a defect is found releases later and the last hour means little:
    time has a weight of its own in each, and of a project nobody doubts that a commit did it.
    """
    return window_commits is None or bool(events) or service is not None


@dataclass(frozen=True, kw_only=True)
class Question:
    """An incident as the ranker asks about it."""

    title: str
    description: str
    moment: datetime
    #: Services, deploys and switches; None where only words are asked about.
    around: Surroundings | None = None
    #: See `is_page`.
    page: bool = True
    #: Whether a pager told of it, so that it is one however it is told.
    paged: bool = False

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
    #: How plainly the incident's words tell of a cause that is no commit, 0 to 5.
    outside: float = 0.0

    @property
    def elsewhere(self) -> bool:
        """Whether they tell of it plainly enough for a person to be told so."""
        return self.outside >= PLAIN

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
        self.table = Table(commits=commits, outside=told_outside(question.text))
        self.question, self._lexicon = question, lexicon
        self.messages = [lexicon.message(commit) for commit in commits]
        #: The incident's terms, the title's twice.
        self.wanted, self._spelling = _query(question)
        #: How much the incident says, 0 to 1. The best match for three words is hardly better than the others, so that shares of the
        #: best and places among them count by it.
        self.fullness = min(1.0, math.log1p(len(self.wanted)) / _TOLD)
        self.clues = find_clues(question.text)
        #: Of what the incident speaks that else never runs.
        self.spoken = spoken_of(question.text)
        #: Terms of identifiers the incident names, with their spelling.
        self.names = _names(self.clues.identifiers)
        #: By repository: in how many of its commits each of the incident's terms occurs.
        self.counts: dict[str, WordCounts] = {}
        #: Changed words by candidate, once they were read.
        self._lines: Mapping[int, Lines] = {}

    def first_pass(self, histories: Mapping[str, History]) -> Table:
        """Everything that needs no diff: words, names, times, repositories, service, kinds, size.

        Args:
            histories: by repository name.
        """
        live.services(self)  # first: it takes the service's own name out of the words to look for
        _words(self)
        _files(self)
        _name_matches(self, "name_message", [message.whole for message in self.messages], range(len(self.messages)))
        for measure in (
            live.times,
            live.onset,
            context.named_repositories,
            context.kinds,
            context.sizes,
            context.later_changes,
        ):
            measure(self)
        context.repository_histories(self, histories)
        live.deploys(self)
        live.idle(self)
        live.told(self)
        return self.table

    def second_pass(self, histories: Mapping[str, History], chosen: Sequence[int], *, stop_after_s: float) -> list[str]:
        """Changed lines, owners and reverts of the chosen candidates; what could not be read, in words.

        Args:
            histories: by repository name.
            chosen: indexes of candidates.
            stop_after_s: seconds for reading diffs, over all repositories.
        """
        # What happened in their files before is SQLite's work, their changed lines git's: neither waits for the other.
        with ThreadPoolExecutor(max_workers=1) as beside:
            happened = beside.submit(self._look_back, histories, chosen)
            lines, gaps = self._read_lines(histories, chosen, stop_after_s)
            happened.result()
        self._lines = lines
        _changed_lines(self, lines)
        _side_by_side(self, lines, chosen)
        _name_matches(self, "name_lines", [found.whole for found in lines.values()], list(lines))
        _phrases(self, lines)
        live.switched(self, lines)
        live.remarks(self, lines)
        live.told(self)  # a switch may be the first that is known of what changed
        return gaps

    def third_pass(self, feature: str, reader: CommitReader, chosen: Sequence[int]) -> None:
        """How close the chosen candidates are to the incident by what they mean to a reader.

        Args:
            feature: where the reader's word goes.

        Raises:
            ModelUnavailable: the reader failed.
        """
        near = reader.closeness(self.question.text, [self.table.commits[index] for index in chosen])
        # What was not read is taken for as far away as the farthest that was.
        column = self.table.columns[feature] = [min(near, default=0.0)] * len(self.table.commits)
        for place, (value, index) in enumerate(sorted(zip(near, chosen, strict=True), reverse=True), 1):
            column[index] = value
            self.table.notes[feature, index] = f"{place}\n{len(chosen)}"

    def fourth_pass(self, reader: CauseReader, chosen: Sequence[int]) -> None:
        """Whether the changes of the chosen candidates would explain the incident, as far as it is told as a page.

        Raises:
            ModelUnavailable: the reader failed.
        """
        paged = self.table.columns["paged"][0]
        odds = reader.odds(self.question.text, [self._change(index) for index in chosen])
        # What was not read is taken for as unlikely as the least likely that was.
        column = self.table.columns["cause"] = [paged * min(odds, default=0.0)] * len(self.table.commits)
        for place, (value, index) in enumerate(sorted(zip(odds, chosen, strict=True), reverse=True), 1):
            column[index] = paged * value
            self.table.notes["cause", index] = f"{place}\n{len(chosen)}"

    def _change(self, index: int) -> Change:
        """A candidate as `ranking.cause` reads it: the place that speaks most of the incident first, then the others, and last what never runs."""
        commit, found = self.table.commits[index], self._lines.get(index)
        path, _, _ = self.table.notes.get(("hunk", index), "").partition("\n")
        paths = [change.path for change in commit.files[:1]]
        lines: list[str] = []
        if found:

            def late(hunk: tuple[tuple[str, Counter[str]], str]) -> tuple[bool, bool, int]:
                (place, words), _ = hunk
                shared = self.wanted.keys() & words.keys()
                return idle(place) not in ("", *self.spoken), place != path, -len(shared)

            hunks = sorted(zip(found.hunks, found.changes, strict=False), key=late)
            paths, lines = [place for (place, _), _ in hunks[:1]] or paths, [text for _, text in hunks]
        return Change(
            subject=commit.subject, path="".join(paths), body=commit.body, lines="\n".join(lines), sha=commit.sha
        )

    def _look_back(self, histories: Mapping[str, History], chosen: Sequence[int]) -> None:
        """Owners, reverts and what was said in the files of the chosen candidates."""
        for repo, indexes in context.by_repo(self.table.commits, chosen).items():
            with histories[repo].connected():
                context.path_histories(self, histories[repo], indexes)
                context.past(self, histories[repo], indexes)

    def _read_lines(
        self, histories: Mapping[str, History], chosen: Sequence[int], stop_after_s: float
    ) -> tuple[dict[int, Lines], list[str]]:
        """Changed words by candidate; git reads several repositories at the same time."""
        end = time.monotonic() + stop_after_s
        by_repo = context.by_repo(self.table.commits, chosen)

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

    def pairs(self, index: int) -> Pairs:
        """Which words of a candidate's message and paths stand side by side."""
        return self._lexicon.pairs(self.table.commits[index])

    def spelled(self, pair: tuple[str, str]) -> str:
        """Two terms as the incident spells them; an identifier and its first part are that identifier."""
        first, second = (self._spelling.get(term, term) for term in pair)
        return first if second.lower() in first.lower() else f"{first} {second}"

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
    for run in RUN.findall(question.text):
        whole, *parts = split_run(run) or ("",)
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


def _words(measurer: Measurer) -> None:
    """Message and paths against the incident's words: the share they hold, and the place BM25 gives."""
    table, messages = measurer.table, measurer.messages
    model = Bm25([message.whole for message in messages])
    rarity = model.rarity(measurer.wanted)
    weights = context.term_weights(measurer.wanted, rarity)
    scores = model.scores(weights)
    for index, message in enumerate(messages):
        table.put("overlap", index, _overlap(weights, message.whole), measurer.shared(message.whole, rarity))
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    for place, index in enumerate(order):
        table.column("words_place")[index] = -math.log1p(place) * measurer.fullness
    for feature, documents in (
        ("subject", [message.subject for message in messages]),
        ("paths", [message.paths for message in messages]),
    ):
        part = Bm25(documents)
        found = part.scores(context.term_weights(measurer.wanted, part.rarity(measurer.wanted)))
        table.columns[feature] = _shares(measurer, found)


def _changed_lines(measurer: Measurer, lines: Mapping[int, Lines]) -> None:
    """Changed lines against the incident's words: the best hunk, and message and lines together."""
    table = measurer.table
    whole = Bm25([found.whole for found in lines.values()])
    weights = context.term_weights(measurer.wanted, whole.rarity(measurer.wanted))
    sizes = [sum(words.values()) for found in lines.values() for _, words in found.hunks]
    mean = sum(sizes) / max(1, len(sizes)) or 1.0
    hunks = {index: _best_hunk(found, weights, mean) for index, found in lines.items()}
    shares = _shares(measurer, [score for score, _, _ in hunks.values()])
    for (index, (_, path, words)), share in zip(hunks.items(), shares, strict=True):
        if share > 0:
            table.put("hunk", index, share, f"{path}\n{measurer.shared(words, weights)}")
    for index, found in lines.items():
        table.put("overlap", index, _overlap(weights, measurer.messages[index].whole, found.whole))
    together = Bm25([measurer.messages[index].whole + found.whole for index, found in lines.items()])
    scores = together.scores(context.term_weights(measurer.wanted, together.rarity(measurer.wanted)))
    for index, share in zip(lines, _shares(measurer, scores), strict=True):
        table.put("message_and_lines", index, share)


def _side_by_side(measurer: Measurer, lines: Mapping[int, Lines], chosen: Sequence[int]) -> None:
    """Words that stand side by side in the incident and in a candidate: in its message, its paths or a changed line.

    What they are worth is the sum of their rarities, not a share of the best: two rare pairs mean something however vague the
    others are.
    """
    asked = list(dict.fromkeys(neighbours(map(terms, _STRETCH.split(measurer.question.text[:_PAIRS_LIMIT])))))
    said = {index: [measurer.pairs(index)] for index in chosen}
    for index, found in lines.items():
        said[index].append(found.pairs)
    held = {index: [pair for pair in asked if any(pair in pairs for pairs in said[index])] for index in chosen}
    having = Counter(pair for pairs in held.values() for pair in pairs)
    for index, pairs in held.items():
        if pairs:
            worth = sum(inverse_frequency(having[pair], len(chosen)) for pair in pairs)
            rarest = min(pairs, key=lambda pair: having[pair])
            measurer.table.put("side_by_side", index, math.log1p(worth), measurer.spelled(rarest))


def _shares(measurer: Measurer, scores: Sequence[float]) -> list[float]:
    """Scores as shares of the best one, as far as the incident says enough for a best one to mean something."""
    best = max(scores, default=0.0) or 1.0
    return [score / best * measurer.fullness for score in scores]


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
