"""From facts to the two messages a model reads, with everything untrusted behind a fence.

Does: choose and shorten sources to a small budget, fence them under a mark that no text can forge, and fill a task's templates;
a variable the template names and nobody gave is an error that names it.
Does not: read the clock, call a model, or put any instruction where outside text could stand.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.model import Tier
from prompts.sources import Source, clean
from prompts.tasks import Task

if TYPE_CHECKING:
    from jinja2 import Environment

#: Characters of all sources together, and of one. Local models are slow or useless on more (FIELD.md, G).
BUDGET, LONGEST_SOURCE = 7_000, 1_200
#: Characters of a question or of a rejected sentence's reason.
LONGEST_QUESTION, LONGEST_REASON = 500, 200

_TRUST = {
    Tier.RUNBOOK: "runbook, reviewed",
    Tier.WIKI: "wiki page",
    Tier.PAST_INCIDENT: "past incident",
    Tier.SLACK: "remark in Slack",
    Tier.COMMIT: "commit",
    Tier.ALERT: "alert",
}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a model is asked, and the sources it was shown: only these may be cited."""

    system: str
    user: str
    sources: Mapping[str, Source]


def render(task: Task, sources: Mapping[str, Source], *, question: str = "", problems: Sequence[str] = ()) -> Prompt:
    """The prompt of one task.

    Args:
        sources: what may be cited, in order of worth after the incident itself.
        question: what was asked; for "answer".
        problems: why an earlier answer was refused, to be told once.

    Raises:
        jinja2.UndefinedError: a template names a variable that is not given; the message names it.
    """
    shown = fitting(sources.values())
    asked = clean(question)[:LONGEST_QUESTION]
    mark = _mark([asked, *(source.everything for source in shown)])
    return Prompt(
        system=fill(f"{task}/system.md", mark=mark),
        user=fill(
            f"{task}/user.md",
            mark=mark,
            sources="\n".join(_fenced(source, mark) for source in shown),
            question=asked,
            problems=[clean(problem)[:LONGEST_REASON] for problem in problems],
        ),
        sources={source.id: source for source in shown},
    )


def fitting(sources: Iterable[Source], budget: int = BUDGET) -> list[Source]:
    """The sources that fit the budget, in order, each cut at a line's end if it is long."""
    shown: list[Source] = []
    for source in sources:
        text = _cut(source.text, LONGEST_SOURCE)
        budget -= len(source.name) + len(text)
        if budget < 0:
            break
        shown.append(replace(source, text=text))
    return shown


def fill(template: str, **values: object) -> str:
    """One template, by its path under this package.

    Raises:
        jinja2.UndefinedError: it names a variable that is not given.
    """
    return _environment().get_template(template).render(**values).strip()


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Nothing here is HTML: what comes back is checked as data and escaped where it is shown.
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _fenced(source: Source, mark: str) -> str:
    return f"[{mark} {source.id}: {_TRUST[source.tier]}: {source.name[:200]}]\n{source.text}\n[{mark} end]"


def _mark(texts: Sequence[str]) -> str:
    """A word that stands in none of the texts: made from them, so that whoever wrote one could not know it."""
    digest = hashlib.sha256("\n".join(texts).encode(errors="replace")).hexdigest()
    return next(
        digest[start : start + 8] for start in range(56) if not any(digest[start : start + 8] in text for text in texts)
    )


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    kept = text[:limit]
    end = max(kept.rfind("\n"), kept.rfind(". ") + 1)
    return f"{kept[: end if end > limit // 2 else limit].rstrip()}\n[cut]"
