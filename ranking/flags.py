"""Flags and settings that were switched before an incident, and the commits that know their names.

Does: find a switch's name in messages and changed lines however it is spelt; find the commits that brought the code behind
it, weeks ago too, within a time limit.
Does not: know what a switch was set to, or look at a switch at the incident's time or later.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.errors import RepositoryError
from core.model import Commit
from ranking.events import ChangeEvent, EventKind, without_value
from ranking.history import History
from ranking.index import LOG
from ranking.services import ServiceMap
from ranking.topology import key_of, telling

#: Words around a flag's own name that code and flag tools add or leave out.
_AROUND_WORDS = """
    feature features flag flags ff enable enables enabled disable disabled toggle toggles is use uses has exp experiment
    experiments rollout release config setting settings killswitch kill switch switches option options allow on off
"""
_AROUND = frozenset(_AROUND_WORDS.split())
#: At most so many switches are followed, the latest first, and only so old.
_SWITCHES, _DAYS = 12, 14
#: What a switch of another service is worth where nothing says how the two stand to each other.
_UNKNOWN = 0.5
_GAP = r"[-_./: ]{0,2}"
#: Matches nothing: for a switch that is told by its commit alone.
_NEVER = r"(?!)"
#: How far back the code behind a flag is looked for, in how many files, and in how many spellings.
_HISTORY_DAYS, _SETTING_DAYS, _FILES, _SPELLINGS = 400, 30, 40, 3
#: A commit of more files is an import: it brought everything, and so tells nothing.
_IMPORT = 100
#: Names and spellings alone, whatever the reader's own git settings add to them.
_GREP = ("grep", "-o", "-z", "-i", "-I", "-E", "--full-name", "--no-color", "--no-line-number", "--no-column")


@dataclass(frozen=True, kw_only=True)
class Switch:
    """Something that was switched before the incident."""

    name: str
    kind: EventKind
    at: datetime
    #: How near its service stands to the affected one; 1 when it names none.
    nearness: float
    #: What code and messages hold of the name, as regular expressions for lower-case text; the parts to look for first.
    pattern: re.Pattern[str]
    hint: str
    #: The same without look-around, for git; empty where only the commit was told.
    plain: str
    #: The commit that was rolled out, as it was told; empty where none was.
    sha: str = ""

    def touched_by(self, commit: Commit) -> bool:
        """Whether it is the name of a file that a commit changes: settings are pushed by their file too.

        Told with its folder it may lack its ending, as tools name what they make of a file.
        """
        return any(_is_file(f"/{change.path}", end) for change in commit.files for end in self._ends)

    @functools.cached_property
    def _ends(self) -> tuple[str, ...]:
        whole = without_value(self.name)
        paths = dict.fromkeys(word.strip("/") for word in (whole, *whole.split()))
        return tuple(f"/{path}" for path in paths if re.search("[./]", path))

    def known_to(self, text: str) -> bool:
        """Whether a lower-case text holds the name, however it is spelt."""
        return self.hint in text and bool(self.pattern.search(text))

    def value(self, moment: datetime) -> float:
        """What knowing it is worth: 1 for one of the affected service's, switched just before; a half an hour later."""
        return self.nearness / (1 + max(0.0, (moment - self.at).total_seconds() / 3600))


def find_switches(events: Iterable[ChangeEvent], services: ServiceMap, before: datetime) -> list[Switch]:
    """Flags and settings switched in the two weeks before a moment, the latest first; those of unrelated services left out."""
    since = before - timedelta(days=_DAYS)
    told = [
        e
        for e in events
        if e.kind in ("flag", "config") and (e.name or e.sha) and since <= e.at < before and e.in_production
    ]
    found: dict[str, Switch] = {}
    for event in sorted(told, key=lambda event: event.at, reverse=True):
        near = services.nearness(event.service)
        worth = near if near is not None else _UNKNOWN if event.service and services.affected else 1.0
        switch = _switch(event, worth)
        if switch and worth > 0:
            found.setdefault(f"{switch.plain} {switch.sha}", switch)
    return list(found.values())[:_SWITCHES]


def find_flagged(
    histories: Sequence[History],
    switches: Sequence[Switch],
    before: datetime,
    *,
    stop_after_s: float = 1.5,
    limit: int = 6,
) -> tuple[dict[str, tuple[Commit, Switch]], list[str]]:
    """The commits that brought the code behind flags, however old, or last changed settings; and what was not looked at.

    Looks for the files that hold the name on the branch before the moment, and there for the commits that changed how
    often they hold it, or for a setting, any line with it.

    Args:
        stop_after_s: seconds for all of it.
        limit: commits kept of one switch in one repository: the latest, and the one that brought it.

    Returns:
        By commit id, each with the latest switch it is behind; then gaps, in words.
    """
    end = time.monotonic() + stop_after_s
    found: dict[str, tuple[Commit, Switch]] = {}
    for switch in (switch for switch in switches if switch.plain):
        for history in histories:
            left = end - time.monotonic()
            if left <= 0:
                return found, [f"the code behind `{switch.name}` was not looked for in every repository"]
            with contextlib.suppress(RepositoryError):
                for commit in _behind(history, switch, before, left, limit).values():
                    found.setdefault(commit.sha, (commit, switch))
    return found, []


def _behind(history: History, switch: Switch, before: datetime, left_s: float, limit: int) -> dict[str, Commit]:
    end = time.monotonic() + left_s
    tip = history.branch_at(before)
    if tip is None:
        return {}
    files: dict[str, None] = {}
    spelt: Counter[str] = Counter()
    for line in _listed(history, left_s, *_GREP, "-e", switch.plain, tip, "--", ":/"):
        place, _, spelling = line.partition("\0")
        files[place.partition(":")[2]] = None
        spelt[spelling] += 1
    # A flag by its spelling, not by the pattern: git counts a fixed text eight times faster. A setting's value changes beside it.
    how, days = ("-G", _SETTING_DAYS) if switch.kind == "config" else ("-S", _HISTORY_DAYS)
    since = f"--since={int((before - timedelta(days=days)).timestamp())}"
    shas: dict[str, None] = {}
    for spelling, _ in spelt.most_common(_SPELLINGS):
        left = end - time.monotonic()
        if left > 0:
            fixed = re.escape(spelling) if how == "-G" else spelling
            places = [f":(top,literal){file}" for file in list(files)[:_FILES]]
            pick = ("--no-merges", "--format=%H", f"{how}{fixed}", since, tip, "--", *places)
            own = _listed(history, left, *LOG, *pick)
            shas |= dict.fromkeys([*own[: limit - 1], *own[-1:]])
    found = history.find(shas, before)
    return {sha: commit for sha, commit in found.items() if len(commit.files) <= _IMPORT}


def _listed(history: History, left_s: float, *command: str) -> list[str]:
    """The lines a git command prints before its time is over. `git grep` that finds nothing fails: that is no failure."""
    found: list[str] = []
    with (
        contextlib.suppress(RepositoryError),
        history.repository.stream(*command, stop_after_s=left_s) as output,
    ):
        found = [line.decode("utf-8", "replace").rstrip("\n") for line in output]
    return found


def _switch(event: ChangeEvent, worth: float) -> Switch | None:
    """A switch by its name; None for a name of which nothing telling is left, if no commit is told either."""
    name, sha = event.name or "", (event.sha or "").lower()
    cores = [
        core
        for bare in event.names
        for core in dict.fromkeys((_core(bare), _core(_leaf(bare))))
        # The last part of a path alone may be any word, or the file's ending.
        if _telling(core) and (len(core) > 1 or event.kind != "config" or "/" not in bare)
    ]
    if not cores:
        never = re.compile(_NEVER)
        told = Switch(
            name=name or sha, kind=event.kind, at=event.at, nearness=worth, pattern=never, hint="", plain="", sha=sha
        )
        return told if sha else None
    plain = "|".join(_GAP.join(map(re.escape, core)) for core in cores)
    around = "|".join(sorted(_AROUND))
    pattern = rf"(?:\b|_|(?:{around}))(?:{plain})(?:\b|_|(?:{around})|[-.])"
    hint = max(set(cores[0]).intersection(*map(set, cores)) or cores[-1], key=len)
    found = re.compile(pattern)
    return Switch(
        name=name, kind=event.kind, at=event.at, nearness=worth, pattern=found, hint=hint, plain=plain, sha=sha
    )


def _is_file(path: str, end: str) -> bool:
    return path.endswith(end) or ("/" in end[1:] and path.rpartition(".")[0].endswith(end))


def _leaf(name: str) -> str:
    """The last part of "checkout.pool.max_size": a program may know a setting by it alone."""
    return re.split(r"[./:]", name.rstrip("./:"))[-1]


def _core(name: str) -> tuple[str, ...]:
    """The words of a name without what tools put around it: "ff_new-checkout.enabled" is new, checkout."""
    whole = words = tuple(word for word in key_of(name).split("-") if word)
    while len(words) > 1 and words[0] in _AROUND:
        words = words[1:]
    while len(words) > 1 and words[-1] in _AROUND:
        words = words[:-1]
    return words if _telling(words) else whole


def _telling(words: Sequence[str]) -> bool:
    """Two words, or one long one that is not every service's."""
    return len(words) > 1 or (
        len(words) == 1 and len(words[0]) > 5 and words[0] not in _AROUND and bool(telling(words[0]))
    )
