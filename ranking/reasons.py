"""Why a candidate stands where it stands, in sentences a person can check.

Does: group features, add up what each group was worth against the window's average, and word each group.
Does not: weigh anything, or leave out what counts against a candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from core.duration import duration
from core.model import Commit, Reason
from ranking.features import Table

#: At most so many sentences for a candidate, and so many against it.
_FOR, _AGAINST = 5, 2
#: A commit that waited longer for its merge is told with both times.
_WAITED = timedelta(hours=1)
#: A smaller share in the score is not worth a line.
_LEAST = 0.15
#: Places among the candidates compared that are worth telling.
_CLOSE = 5

#: Features that are told in one sentence.
GROUPS: dict[str, tuple[str, ...]] = {
    "names": ("file", "phrase", "name_lines", "name_message", "folder"),
    "words": ("words_place", "subject", "paths", "message_and_lines"),
    "lines": ("hunk",),
    "neighbours": ("side_by_side",),
    "meaning": ("closeness", "likeness"),
    "cause": ("cause",),
    "files": ("path_history",),
    "service": ("service", "foreign_service"),
    "deploy": ("went_live", "in_last_deploy", "not_live", "rolled_back"),
    "switch": ("switched",),
    "idle": ("never_runs",),
    "bystander": ("bystander",),
    "onset": ("after_onset",),
    "time": (
        "recent",
        "recent_brief",
        "within_hour",
        "within_hour_by_days",
        "newer_in_repo",
        "newer_in_repo_by_days",
        "unmerged",
    ),
    "repository": ("repo_named", "repo_history"),
    "history": ("reverts_here", "culprits_here"),
    "followed": ("repaired_since", "named_since"),
    "reverted": ("already_reverted",),
    "owner": ("owns_files",),
    "again": ("changed_again",),
    "size": ("files",),
}
_KINDS = {
    "config": "changes configuration",
    "flag": "its subject speaks of a flag or of switching something",
    "migration": "touches SQL or a migration",
    "dependency": "updates a dependency",
    "revert": "is itself a revert",
    "reland": "applies an earlier change again",
    "fix": "is itself a fix",
    "docs": "changes only documentation",
    "tests": "changes only tests",
    "translation": "changes only translations",
    "robot": "was made by a robot",
    "empty": "changes no file that is known",
}


def explain(
    table: Table, index: int, weights: Mapping[str, float], means: Mapping[str, float], moment: datetime
) -> tuple[Reason, ...]:
    """The reasons of one candidate, what speaks for it first.

    Args:
        index: the candidate's row.
        weights: the weight of each feature.
        means: the average of each feature over the window: what a candidate is compared with.
        moment: the incident's time.
    """
    found: list[Reason] = []
    for group, features in (
        *GROUPS.items(),
        *((f"kind_{kind}", (f"kind_{kind}",)) for kind in _KINDS),
    ):
        worth = sum(
            weights.get(feature, 0.0) * (table.columns[feature][index] - means[feature])
            for feature in features
            if feature in table.columns
        )
        # When it was made is always worth a line.
        text = _sentence(group, table, index, moment, worth) if abs(worth) >= _LEAST or group == "time" else ""
        if text:
            found.append(Reason(feature=group, text=text, weight=round(worth, 3)))
    found.sort(key=lambda reason: -reason.weight)
    return (
        *[reason for reason in found if reason.weight >= 0][:_FOR],
        *[reason for reason in found if reason.weight < 0][-_AGAINST:],
    )


def ago(commit: Commit, moment: datetime) -> str:
    """How long before a moment a commit came to its branch: "14 min"."""
    return duration(moment - commit.landed_at)


def _sentence(group: str, table: Table, index: int, moment: datetime, worth: float) -> str:
    """The group's sentence, or nothing when it has none for this side of the scale."""
    if group.startswith("kind_"):
        return _KINDS[group.removeprefix("kind_")] if table.columns[group][index] else ""
    wording = _WORDINGS[group]
    return wording(table, index, moment, worth)


def _names(table: Table, index: int, moment: datetime, worth: float) -> str:
    notes = {feature: table.notes.get((feature, index)) for feature in GROUPS["names"]}
    if worth < 0:
        return ""
    if notes["file"]:
        return f"touches `{notes['file']}`, named in the incident"
    if notes["phrase"]:
        return f"“{notes['phrase'][:80]}” from the incident stands where it changes lines"
    if notes["name_lines"]:
        return f"changes lines at `{notes['name_lines']}`, named in the incident"
    if notes["name_message"]:
        return f"mentions `{notes['name_message']}`, named in the incident"
    return f"touches `{notes['folder']}`, in a folder the incident names" if notes["folder"] else ""


def _words(table: Table, index: int, moment: datetime, worth: float) -> str:
    shared = table.notes.get(("overlap", index))
    if worth > 0:
        return f"its message or paths share {shared} with the incident" if shared else ""
    return "" if shared else "its message and paths share no telling word with the incident"


def _lines(table: Table, index: int, moment: datetime, worth: float) -> str:
    path, _, shared = table.notes.get(("hunk", index), "").partition("\n")
    return f"changes lines about {shared} in `{path}`" if worth > 0 and shared else ""


def _neighbours(table: Table, index: int, moment: datetime, worth: float) -> str:
    said = table.notes.get(("side_by_side", index))
    return f"says “{said}”, as the incident does" if worth > 0 and said else ""


def _meaning(table: Table, index: int, moment: datetime, worth: float) -> str:
    told = [table.notes[feature, index].split("\n") for feature in GROUPS["meaning"] if (feature, index) in table.notes]
    place, among = min(((int(place), among) for place, among in told), default=(_CLOSE + 1, ""))
    if worth <= 0 or place > _CLOSE or among == "1":
        return ""
    order = "the closest" if place == 1 else f"among the {_CLOSE} closest"
    return f"{order} to the incident in meaning of {among} changes compared"


def _cause(table: Table, index: int, moment: datetime, worth: float) -> str:
    place, _, among = table.notes.get(("cause", index), "").partition("\n")
    if not place or among == "1":
        return ""
    first, likely = place == "1", table.columns["cause"][index] > 0
    if worth < 0:
        return "read beside the incident, what it changes would not explain it" if int(place) > _CLOSE else ""
    if first and not likely:
        return f"of {among} changes read beside the incident, what it changes comes nearest to explaining it"
    if first:
        return f"what it changes would best explain the incident, of {among} changes read beside it"
    told = likely and int(place) <= _CLOSE
    return "what it changes would explain the incident, read beside it" if told else ""


def _files(table: Table, index: int, moment: datetime, worth: float) -> str:
    path = table.notes.get(("path_history", index))
    return f"other commits to `{path}` speak of what the incident does" if worth > 0 and path else ""


def _service(table: Table, index: int, moment: datetime, worth: float) -> str:
    return table.notes.get(("service" if worth > 0 else "foreign_service", index), "")


def _deploy(table: Table, index: int, moment: datetime, worth: float) -> str:
    gone = table.notes.get(("rolled_back", index))
    hours, _, whose = table.notes.get(("went_live", index), "").partition("\n")
    if gone:
        return f"was rolled back {duration(timedelta(hours=float(gone)))} before"
    if hours and worth > 0:
        last = ", with the last deploy" if ("in_last_deploy", index) in table.notes else ""
        went, of = ("may have gone live", f" of {whose}" if last else "") if whose else ("went live", "")
        return f"{went} {duration(timedelta(hours=float(hours)))} before{last}{of}"
    return "had not gone live yet" if table.columns.get("not_live", [0.0] * (index + 1))[index] else ""


def _switch(table: Table, index: int, moment: datetime, worth: float) -> str:
    name, _, hours = table.notes.get(("switched", index), "").partition("\n")
    if not name or worth <= 0:
        return ""
    when = f"{duration(timedelta(hours=float(hours)))} before"
    if table.commits[index].sha.startswith(name):
        return f"was rolled out {when}, as a change of settings"
    return f"knows `{name}`, which was switched {when}"


def _idle(table: Table, index: int, moment: datetime, worth: float) -> str:
    what = table.notes.get(("never_runs", index))
    return f"changes only {what}, which nothing runs in production" if worth < 0 and what else ""


def _bystander(table: Table, index: int, moment: datetime, worth: float) -> str:
    word = table.notes.get(("bystander", index))
    return f"its subject says “{word}”: what only watches or explains is rarely the cause" if worth < 0 and word else ""


def _onset(table: Table, index: int, moment: datetime, worth: float) -> str:
    hours = table.notes.get(("after_onset", index))
    return (
        f"came {duration(timedelta(hours=float(hours)))} after the trouble began, by the incident's words"
        if hours
        else ""
    )


def _time(table: Table, index: int, moment: datetime, worth: float) -> str:
    commit = table.commits[index]
    if not commit.landed:
        live = table.columns.get("went_live", [0.0] * (index + 1))[index]  # from a branch: that is told by itself
        return "" if live else "had not been merged yet"
    merged, made = ago(commit, moment), duration(moment - commit.committed_at)
    if commit.merged_at is None:
        return f"committed {made} before"
    waited = commit.merged_at - commit.committed_at > _WAITED and made != merged
    return f"merged {merged} before{f', committed {made} before' if waited else ''}"


def _repository(table: Table, index: int, moment: datetime, worth: float) -> str:
    repo = table.commits[index].repo
    if ("repo_named", index) in table.notes:
        return f"in `{repo}`, which the incident names"
    if worth > 0:
        return f"in `{repo}`, where the incident's words are at home"
    return f"in `{repo}`, where the incident's words are rarely used"


def _history(table: Table, index: int, moment: datetime, worth: float) -> str:
    if worth <= 0:
        return ""
    path, _, count = table.notes.get(("reverts_here", index), "").partition("\n")
    if path:
        return f"`{path}` has had changes reverted {'once' if count == '1' else f'{count} times'} before"
    path, _, count = table.notes.get(("culprits_here", index), "").partition("\n")
    return f"{count} change{'' if count == '1' else 's'} to `{path}` had been reverted or blamed before" if path else ""


def _followed(table: Table, index: int, moment: datetime, worth: float) -> str:
    if worth > 0 and table.columns["repaired_since"][index]:
        return "a later commit names it as what it repairs"
    return ""


def _reverted(table: Table, index: int, moment: datetime, worth: float) -> str:
    return "was already reverted before the incident" if table.columns["already_reverted"][index] else ""


def _owner(table: Table, index: int, moment: datetime, worth: float) -> str:
    share = table.columns["owns_files"][index]
    # The share counts this commit too: of files that it brought it says nothing.
    if (worth > 0) != (share < 0.5) or all(change.status == "A" for change in table.commits[index].files):
        return ""
    return f"its author had made {share:.0%} of all changes to its files by then"


def _again(table: Table, index: int, moment: datetime, worth: float) -> str:
    count = table.notes.get(("changed_again", index))
    times = "once" if count == "1" else f"{count} times"
    return f"its files were changed {times} again before the incident" if worth < 0 and count else ""


def _size(table: Table, index: int, moment: datetime, worth: float) -> str:
    count = len(table.commits[index].files)
    return f"touches {count} files" if count > 1 else ""


_WORDINGS: dict[str, Callable[[Table, int, datetime, float], str]] = {
    "names": _names,
    "words": _words,
    "lines": _lines,
    "neighbours": _neighbours,
    "meaning": _meaning,
    "cause": _cause,
    "files": _files,
    "service": _service,
    "deploy": _deploy,
    "switch": _switch,
    "idle": _idle,
    "bystander": _bystander,
    "onset": _onset,
    "time": _time,
    "repository": _repository,
    "history": _history,
    "followed": _followed,
    "reverted": _reverted,
    "owner": _owner,
    "again": _again,
    "size": _size,
}
