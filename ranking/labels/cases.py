"""Incidents whose culprit is known: the one format that mining writes and that backtest, benchmark and training read.

Does: read and write Case lines (`ranking.bulk`) with "culprits", refusing a bad line by file, line and reason; make whole ids of
culprits told by the beginning of theirs.
Does not: mine them, rank them, or write the raw text they were mined from, which names its culprit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from core.errors import CaseError
from core.model import Commit, from_unix
from ranking.bulk import Case, read_cases

if TYPE_CHECKING:
    from ranking.history import History

#: Digits of an id that is not abbreviated.
_WHOLE = 40

Kind = Literal["revert", "prose", "fix"]


class Labelled(Case):
    """A case with its answer. A ranker is shown what `Case` holds, never what is below."""

    #: Ids of the commits that did it; empty when no commit did.
    culprits: tuple[str, ...]
    #: How it is known: a revert's reason, a sentence that blames, or a `Fixes:` trailer.
    kind: Kind | None = None
    #: From the culprit's commit to the incident.
    lag_hours: float | None = None
    #: Whether the culprit's author also fixed it.
    same_author: bool | None = None
    #: Whether the text was written by someone who knew the cause: a fix tells the mechanism, a revert the symptom.
    hindsight: bool | None = None
    #: The message before it was scrubbed: for the leakage probe only, and never written to a file.
    raw: str = Field(default="", exclude=True)


def read_labelled(path: Path, repos: Sequence[str]) -> list[Labelled]:
    """The labelled cases of a file, in order. Empty lines are passed over, keys nobody knows ignored.

    Args:
        repos: the names of the repositories given.

    Raises:
        CaseError: the file cannot be read, or a line is no case or has no answer; the message names file, line and reason.
    """
    cases = list(read_cases(path, repos))
    with path.open(encoding="utf-8-sig") as lines:
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    return [_labelled(f"{path}:{number}", line) for (number, line), _ in zip(numbered, cases, strict=True)]


def _labelled(where: str, line: str) -> Labelled:
    try:
        return Labelled.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0])
        missing = first["type"] == "missing"
        raise CaseError(
            f"cannot read the label at {where}",
            why=f"it has no {name!r}" if missing else f"{name}: {first['msg']}",
            way_out='a labelled case says "culprits": [sha, …], or [] when no commit did it',
        ) from None


def with_whole_ids(cases: Iterable[Labelled], histories: Sequence[History]) -> list[Labelled]:
    """The cases with whole ids for culprits, which people tell as git prints them; what no history knows stays as it is.

    Args:
        histories: refreshed.

    Raises:
        RepositoryError: an index cannot be read.
    """
    found = []
    for case in cases:
        asked = {sha: sha.strip().lower() for sha in case.culprits}
        known: dict[str, Commit] = {}
        for history in histories if any(len(sha) < _WHOLE for sha in asked) else ():
            known |= history.find(asked.values(), from_unix(case.created_at))
        whole = tuple(known[name].sha if name in known else sha for sha, name in asked.items())
        found.append(case.model_copy(update={"culprits": whole}))
    return found


def write_cases(path: Path, cases: Iterable[Labelled]) -> None:
    """Write cases, a line each; what the file held is replaced.

    Raises:
        CaseError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf8") as lines:
            for case in cases:
                lines.write(case.model_dump_json(exclude_none=True, exclude_defaults=True) + "\n")
    except OSError as error:
        raise CaseError(f"cannot write the cases '{path}'", why=str(error), way_out="choose another file") from error
