"""Features of what was live: services, deploys, switched flags, since when a commit matters, and whether that is after the trouble began.

Does: fill columns of `ranking.features` from what `ranking.surroundings` looked up.
Does not: match words, weigh anything, or read anything from the incident's time or later.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ranking.kinds import never_runs, stands_by
from ranking.lexicon import Lines
from ranking.onset import told_onset
from ranking.paged import told_as_page
from ranking.surroundings import landed_at

if TYPE_CHECKING:
    from ranking.features import Measurer

#: What deploys and switches tell of a candidate.
CHANGED = ("went_live", "in_last_deploy", "not_live", "rolled_back", "switched")
#: What knowing a switch's name in a changed line is worth beside having brought it: the lines around a change are read too.
_IN_LINES = 0.5
#: What never running is worth against a commit where no deploy says that the page is of production: of 890 labelled pages two were caused so.
_UNSURE = 0.5
#: Behind the hours, in a note on a deploy that may not have brought the commit.
_STRANGE = "\nanother service"
#: A service nearer than this is no other service.
_NEAR = 0.25
#: How much later than the trouble, in hours, something must have come to be clearly after it: clocks differ, deploys take time.
_CLEARLY = 0.25


def surroundings_known(columns: Mapping[str, Collection[float]]) -> bool:
    """Whether the affected service, or what went live or was switched, is known of any of the candidates of these columns."""
    return any(any(columns[feature]) for feature in ("service", "foreign_service", *CHANGED) if feature in columns)


def told(measurer: Measurer) -> None:
    """How far the incident is told as a page tells it, and who stands by there.

    A page tells of a symptom: who speaks of the symptom itself mostly watches it, and stands by. Where a pager told of it, or the
    service or what went live is known, it is a page. What else counts otherwise there is the weights' business (`Weighing.told`).
    """
    table, question = measurer.table, measurer.question
    known = 1.0 if question.paged or surroundings_known(table.columns) else 0.0
    text = question.text
    paged = known or (told_as_page(text) if question.page else 0.0)
    if table.columns.get("paged", [])[:1] == [paged]:
        return  # nothing has come to be known since the pass before
    table.columns["paged"] = [paged] * len(table.commits)
    if not paged:
        return
    for index, commit in enumerate(table.commits):
        word = stands_by(commit, measurer.spoken, text)
        if word:
            table.put("bystander", index, paged, word)


def times(measurer: Measurer) -> None:
    """How long before the incident each went live, or came to its branch, and how many others of its repository came in between.

    One that was not live, or not merged, counts as the oldest: its youth makes it no suspect.
    """
    table, moment, around = measurer.table, measurer.question.moment, measurer.question.around
    oldest = min((commit.landed_at for commit in table.commits), default=moment)
    since = [(around.since(commit) if around else landed_at(commit)) or oldest for commit in table.commits]
    seen: Counter[str] = Counter()
    for index in sorted(range(len(since)), key=lambda index: (-since[index].timestamp(), index)):
        commit = table.commits[index]
        hours = (moment - since[index]).total_seconds() / 3600
        table.column("recent")[index] = -math.log(hours + 0.1)
        table.column("within_hour")[index] = float(hours < 1)
        table.column("newer_in_repo")[index] = -math.log1p(seen[commit.repo])
        seen[commit.repo] += 1
    if measurer.question.page:
        for feature in ("within_hour", "newer_in_repo"):
            table.columns[f"{feature}_by_days"] = list(table.column(feature))
        # A project may find a defect before it is merged, production cannot.
        table.columns["unmerged"] = [float(not commit.landed) for commit in table.commits]
    else:
        # In a project's history time counts for little, and for more the less is said. A page's time always counts.
        table.columns["recent_brief"] = [value * (1 - measurer.fullness) for value in table.columns["recent"]]


def onset(measurer: Measurer) -> None:
    """Which came clearly after the trouble had begun, where the incident's words say when it did."""
    table, question = measurer.table, measurer.question
    began = told_onset(question.text, question.moment)
    if began is None:
        return
    for index, commit in enumerate(table.commits):
        # One that had not come at all by the incident's time came no earlier than it was made.
        came = (question.around.since(commit) if question.around else landed_at(commit)) or commit.committed_at
        hours = (came - began).total_seconds() / 3600
        if hours > _CLEARLY:
            table.put("after_onset", index, 1.0, f"{hours:.6f}")


def services(measurer: Measurer) -> None:
    """How surely each belongs to the affected service or to what it depends on, and how surely it is others' alone.

    The affected service's own name is then no word to look for: its commits share it whatever they do.
    """
    around, table = measurer.question.around, measurer.table
    if around is None or not around.services.known:
        return
    matches = [around.services.match(commit) for commit in table.commits]
    for index, match in enumerate(matches):
        table.put("service", index, match.strength, match.why)
        if match.strength < _NEAR:
            foreign, why = around.services.foreign(table.commits[index])
            table.put("foreign_service", index, foreign, why)
    if any(match.strength for match in matches):
        for term in around.services.words:
            measurer.wanted.pop(term, None)


def deploys(measurer: Measurer) -> None:
    """How each stood at the incident's time, by the deploys that were told."""
    table, moment, around = measurer.table, measurer.question.moment, measurer.question.around
    for index, commit in enumerate(table.commits if around else ()):
        standing = around.deploys.standing(commit) if around else None
        changed = (standing.live_at or standing.rolled_back_at) if standing else None
        hours = (moment - changed).total_seconds() / 3600 if changed else 0.0
        for feature, value in (standing.features(moment) if standing else {}).items():
            table.put(feature, index, value, f"{hours:.6f}{'' if standing and standing.placed else _STRANGE}")


def _deploys_told(measurer: Measurer) -> bool:
    around = measurer.question.around
    return around is not None and bool(around.deploys.repos)


def idle(measurer: Measurer) -> None:
    """Which candidates hold nothing that runs in production, for a page that does not speak of such things.

    A project's own history finds defects in tests and documentation as well. Where no deploy is told, a page may still be of a
    project's tests.
    """
    question = measurer.question
    sure = 1.0 if _deploys_told(measurer) else _UNSURE
    for index, commit in enumerate(measurer.table.commits if question.page else ()):
        what = never_runs(commit, measurer.spoken)
        if what:
            measurer.table.put("never_runs", index, sure, what)


def remarks(measurer: Measurer, lines: Mapping[int, Lines]) -> None:
    """Which candidates changed nothing but comments, where deploys were told: none makes them matter."""
    for index, found in lines.items() if _deploys_told(measurer) else ():
        if found.only_comments:
            measurer.table.put("never_runs", index, 1.0, "comments")


def switched(measurer: Measurer, lines: Mapping[int, Lines]) -> None:
    """Flags and settings switched before the incident: the commits behind them, and those that know their names."""
    table, moment, around = measurer.table, measurer.question.moment, measurer.question.around
    for index, commit in enumerate(table.commits if around and around.switches else ()):
        own = around.flagged.get(commit.sha) if around else None
        said = f"{commit.subject}\n{commit.body}".lower()
        for switch in around.switches if around else ():
            behind = own is not None and own[1] is switch
            pushed = behind and bool(switch.sha) and commit.sha.startswith(switch.sha)
            told = switch.known_to(said) or switch.touched_by(commit) or (behind and not pushed)
            inside = index in lines and switch.known_to(lines[index].text)
            sure = 1.0 if told or pushed else _IN_LINES if inside else 0.0
            if sure and commit.landed and commit.landed_at < switch.at:
                hours = (moment - switch.at).total_seconds() / 3600
                name = switch.name if told or inside else switch.sha
                table.put("switched", index, sure * switch.value(moment), f"{name}\n{hours:.6f}")
                table.column("not_live")[index] = 0.0  # what was switched was there
