"""Ranks many incidents from a file, each line of the answer written as soon as it is known.

Does: read Case lines, check all of them before the first is ranked, rank each against the repositories it names, write
Ranked lines: {"id", "ranking": [{"sha", "score", "confidence", "reasons"}, …] best first, "abstained", "seconds"}, and
"gaps" when something could not be looked at.
Does not: score the result, or skip a bad line silently.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import CaseError, ModelUnavailable
from core.model import Incident, Ranking, from_unix
from ranking.event_lines import EventLine, Seconds
from ranking.history import open_histories
from ranking.llama import CulpritModel
from ranking.meaning import open_readers
from ranking.ranker import Progress, Ranker, Survey
from ranking.scorer import Weighing

#: Candidates whose reasons are written; all have their score.
_EXPLAINED = 5
#: Seconds in which a model must be loaded.
_LOAD_S = 600.0


class Case(BaseModel):
    """One incident to rank. Keys it does not know are ignored, so that labels may lie in the same file; null is as good as no key."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)

    id: str
    title: str
    description: str = ""
    #: Unix seconds, or ISO 8601.
    created_at: Seconds
    service: str | None = None
    repos: tuple[str, ...] | None = None
    window_days: Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)] | None = None
    window_commits: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    events: tuple[EventLine, ...] = ()
    candidates: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, told: Any) -> Any:
        """Without what is null, or no repository: not known, as if it were left out."""
        if not isinstance(told, dict):
            return told
        return {key: value for key, value in told.items() if value is not None and (key != "repos" or value)}


def rank_cases(
    repos: Sequence[Path | str],
    cases: Path,
    out: Path,
    *,
    home: Path,
    window_days: float = 14.0,
    model: CulpritModel | None = None,
    weighing: Weighing | None = None,
    service_repos: dict[str, list[str]] | None = None,
    progress: Progress | None = None,
) -> int:
    """Rank every case of a file.

    Args:
        repos: repositories, as paths or "NAME=PATH".
        cases: Case lines.
        out: where Ranked lines go, in the order of the cases; what it held is replaced.
        home: Rundown's home folder, for the commit indexes.
        window_days: for cases that name no window.
        weighing: what each feature counts; what ships with Rundown by default.
        service_repos: service name to repository names, a hint.

    Returns:
        How many were ranked.

    Raises:
        CaseError: a line cannot be read, or names only repositories that were not given, or `out` is the file of the cases.
            Nothing was written then.
        RepositoryError: no repository can be read.
    """
    histories, gaps = open_histories(repos, home=home)
    ranker = Ranker(
        histories, readers=open_readers(), model=model, weighing=weighing, service_repos=service_repos, gaps=gaps
    )
    wanted = list(read_cases(cases, ranker.repos))
    if out.is_dir() or (out.exists() and out.samefile(cases)):
        why = "it is a folder" if out.is_dir() else "it holds the cases"
        raise CaseError(f"cannot write '{out}'", why=why, way_out="choose another --out")
    ranker.refresh(progress)
    if model:
        # Loaded before the first case, which else would be ranked without its vote; should that fail, every line says so.
        with contextlib.suppress(ModelUnavailable):
            model.vote("", ["a", "b"], budget_s=_LOAD_S)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf8") as lines:
            for count, case in enumerate(wanted, 1):
                lines.write(json.dumps(_ranked_line(case, rank_case(ranker, case, window_days), ranker.repos)) + "\n")
                lines.flush()
                if progress:
                    progress("ranking", count, len(wanted))
    except OSError as error:
        raise CaseError(f"cannot write '{out}'", why=str(error), way_out="choose another --out") from error
    return len(wanted)


def read_cases(path: Path, repos: Sequence[str]) -> Iterator[Case]:
    """The cases of a file, in order. Empty lines are passed over.

    Args:
        repos: the names of the repositories given.

    Raises:
        CaseError: the file cannot be read, or a line is no case; the message names file, line and reason.
    """
    seen: dict[str, int] = {}
    for number, text in enumerate(_lines(path), 1):
        if not text.strip():
            continue
        where = f"{path}:{number}"
        try:
            case = Case.model_validate_json(text)
        except ValidationError as error:
            raise CaseError(f"cannot read the case at {where}", why=_why(error), way_out=_WAY_OUT) from None
        if case.id in seen:
            raise CaseError(
                f"cannot read the case at {where}",
                why=f"its id {case.id!r} is that of line {seen[case.id]}",
                way_out="give each case its own id",
            )
        if case.repos and not set(case.repos) & set(repos):
            raise CaseError(
                f"cannot rank the case at {where}",
                why=f"of the repositories it names ({', '.join(case.repos)}) none is among those given ({', '.join(repos)})",
                way_out="add --repo NAME=PATH for one of them",
            )
        seen[case.id] = number
        yield case


_WAY_OUT = (
    'a case is one line of JSON: {"id", "title", "created_at" in unix seconds} and, if known, "description", "service", '
    '"repos", "window_days" or "window_commits", "events", "candidates"'
)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            yield from lines
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(
            f"cannot read the cases '{path}'", why=str(error), way_out="give a file of JSON lines"
        ) from error


def _why(error: ValidationError) -> str:
    """What is wrong, field by field, without the values: a case may hold private text."""
    problems = []
    for item in error.errors(include_input=False, include_url=False)[:3]:
        place = ".".join(str(part) for part in item["loc"])
        problems.append(f"{place}: {item['msg']}" if place else item["msg"])
    return "; ".join(problems)


def rank_case(ranker: Ranker, case: Case, window_days: float = 14.0) -> Ranking:
    """The ranking of all candidates of one case; `window_days` counts if the case names no window."""
    return ranker.rank(incident_of(case), limit=1_000_000, **_asked(case, window_days))


def survey_case(ranker: Ranker, case: Case, window_days: float = 14.0) -> Survey:
    """The candidates of one case and their features, unranked; arguments as `rank_case`."""
    return ranker.survey(incident_of(case), **_asked(case, window_days))


def incident_of(case: Case) -> Incident:
    """The incident a case tells of."""
    return Incident(
        id=case.id,
        title=case.title,
        description=case.description,
        created_at=from_unix(case.created_at),
        service=case.service,
    )


def _asked(case: Case, window_days: float) -> dict[str, Any]:
    """How a case wants its candidates chosen, as arguments of a `Ranker`."""
    events = [line.event for line in case.events]
    return {
        "window_days": case.window_days or window_days,
        "window_commits": case.window_commits,
        "events": events,
        "candidates": case.candidates,
        "repos": case.repos or None,
    }


def _ranked_line(case: Case, ranking: Ranking, repos: Sequence[str]) -> dict[str, Any]:
    """The Ranked line, with what could not be looked at. A candidate given by a prefix keeps the name it was given."""
    given = sorted(case.candidates or (), key=len)
    rows = []
    for place, culprit in enumerate(ranking.culprits):
        sha = culprit.commit.sha
        row = {
            "sha": next((name for name in given if sha.startswith(name.strip().lower())), sha),
            "score": round(culprit.score, 5),
            "confidence": round(culprit.confidence, 5),
            "reasons": [reason.text for reason in culprit.reasons] if place < _EXPLAINED else [],
        }
        rows.append(row)
    absent = [f"repository '{name}' was not given" for name in case.repos or () if name not in repos]
    gaps = [*absent, *ranking.gaps]
    return {
        "id": case.id,
        "ranking": rows,
        "abstained": ranking.abstained,
        "seconds": ranking.seconds,
        **({"gaps": gaps} if gaps else {}),
    }
