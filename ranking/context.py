"""What surrounds a candidate: its time, its repository, its kind, its service, when it went live, what happened there before.

Does: fill the columns of `ranking.features` that need no look at the incident's words in a message or a diff.
Does not: match words (`ranking.features`), weigh anything, or read anything from later than the incident.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from core.model import Commit
from ranking import places
from ranking.history import History
from ranking.kinds import KINDS
from ranking.text import terms

if TYPE_CHECKING:
    from ranking.features import Measurer

#: Paths of one commit that owners and reverts are asked for.
PATHS = 20
#: A term repeated in the incident counts at most so often: logs repeat themselves.
REPEATS = 3


def term_weights(wanted: Mapping[str, int], rarity: Mapping[str, float]) -> dict[str, float]:
    """What each term of the incident is worth: its rarity, as often as it is said."""
    return {term: rarity[term] * min(count, REPEATS) for term, count in wanted.items()}


def named_repositories(measurer: Measurer) -> None:
    """Whether the incident names the repository, by a word that tells it from the others."""
    table, wanted = measurer.table, measurer.wanted
    named = {commit.repo: set(terms(commit.repo)) for commit in table.commits}
    if len(named) < 2:
        return
    common = set.intersection(*named.values())
    for index, commit in enumerate(table.commits):
        if (named[commit.repo] & wanted.keys()) - common:
            table.put("repo_named", index, 1.0, commit.repo)


def repository_histories(measurer: Measurer, histories: Mapping[str, History]) -> None:
    """How likely each repository is the one the incident speaks of, by what its commits of two years talked about."""
    table, moment = measurer.table, measurer.question.moment
    repos = dict.fromkeys(commit.repo for commit in table.commits)
    measurer.counts = {repo: histories[repo].word_counts(measurer.wanted, moment) for repo in repos}
    chances = places.repository_chances(measurer.wanted, measurer.counts)
    table.columns["repo_history"] = [chances[commit.repo] for commit in table.commits]


def path_histories(measurer: Measurer, history: History, indexes: Sequence[int]) -> None:
    """How much of the incident the earlier commits of a candidate's files talk about."""
    table, moment = measurer.table, measurer.question.moment
    weights = term_weights(measurer.wanted, places.rarity(measurer.wanted, measurer.counts))
    paths = {change.path for index in indexes for change in table.commits[index].files[: places.PATHS]}
    told = history.words_of_paths(paths, moment, places.DEPTH + 1)
    for index in indexes:
        share, path = places.path_likeness(table.commits[index], told, weights)
        table.put("path_history", index, share, path)


def kinds(measurer: Measurer) -> None:
    """Which kinds of change each candidate is."""
    for kind in KINDS:
        measurer.table.columns[f"kind_{kind}"] = [float(kind in message.kinds) for message in measurer.messages]


def sizes(measurer: Measurer) -> None:
    """How many files each touches."""
    measurer.table.columns["files"] = [math.log1p(len(commit.files)) for commit in measurer.table.commits]


def later_changes(measurer: Measurer) -> None:
    """How often a commit's files were changed again before the incident."""
    files: Counter[tuple[str, str]] = Counter()
    table = measurer.table
    for index, commit in enumerate(table.commits):
        touched = [(commit.repo, change.path) for change in commit.files[:PATHS]]
        again = max((files[path] for path in touched), default=0)
        table.put("changed_again", index, math.log1p(again), str(again))
        files.update(touched)


def by_repo(commits: Sequence[Commit], chosen: Sequence[int]) -> dict[str, list[int]]:
    """Indexes of candidates by repository."""
    found: dict[str, list[int]] = defaultdict(list)
    for index in chosen:
        found[commits[index].repo].append(index)
    return found


def past(measurer: Measurer, history: History, indexes: Sequence[int]) -> None:
    """What had happened in a commit's files before: who wrote them, what was reverted there; was it itself reverted."""
    table, before = measurer.table, measurer.question.moment
    paths = {change.path for index in indexes for change in table.commits[index].files[:PATHS]}
    owners, reverts = history.owners(paths, before), history.reverts_of(paths, before)
    for index in indexes:
        commit = table.commits[index]
        mine = total = 0
        for change in commit.files[:PATHS]:
            authors = owners.get(change.path, {})
            mine += authors.get(commit.author_email, 0)
            total += sum(authors.values())
            count = reverts.get(change.path, 0)
            table.put("reverts_here", index, math.log1p(count), f"{change.path}\n{count}")
        table.put("owns_files", index, mine / total if total else 0.0)
    _culprits_before(measurer, history, indexes, paths)
    _mentions(measurer, history, indexes)


def _culprits_before(measurer: Measurer, history: History, indexes: Sequence[int], paths: Collection[str]) -> None:
    """How often a change to a commit's files had turned out to be a culprit."""
    table, before = measurer.table, measurer.question.moment
    here = history.past_culprits(paths, before)
    for index in indexes:
        for change in table.commits[index].files[:PATHS]:
            count = here.get(change.path, 0)
            table.put("culprits_here", index, math.log1p(count), f"{change.path}\n{count}")


def _mentions(measurer: Measurer, history: History, indexes: Sequence[int]) -> None:
    """Whether later commits, still before the incident, name a commit: as what they undo, what they repair, or in passing."""
    table, before = measurer.table, measurer.question.moment
    oldest = min(table.commits[index].committed_at for index in indexes)
    said = history.mentions([table.commits[index].sha for index in indexes], oldest, before)
    for index in indexes:
        kinds_said = {mention.kind for mention in said.get(table.commits[index].sha, ())}
        table.put("already_reverted", index, float("revert" in kinds_said))
        table.put("repaired_since", index, float("fix" in kinds_said))
        table.put("named_since", index, float("mention" in kinds_said))
