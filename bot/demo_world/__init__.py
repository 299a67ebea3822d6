"""The demo's small world: a real repository in which one commit broke something, and a knowledge folder about it.

Does: build both in well under a second, the same for the same moment, and say what a good assistant would find in them.
Does not: help anybody find it. The alert's words are an alert's; the history and the documents tempt as real ones do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import RepositoryError


@dataclass(frozen=True, kw_only=True)
class World:
    """Where the world is, the alert that it raises, and what is to be found."""

    repo: Path
    docs: Path
    #: How many commits the repository has, and by how many people, robots not counted.
    commits: int
    authors: int

    #: The alert, in a monitor's words.
    title: str
    service: str
    details: dict[str, str]
    created_at: datetime

    #: What is to be found, and what a responder asks later.
    culprit_sha: str
    #: Commits a hasty reader would suspect: newer, in the same service, or in the alert's words.
    tempting_shas: tuple[str, ...]
    runbook_doc_id: str
    #: The heading of the runbook's section for this symptom.
    runbook_section: str
    question: str
    past_incident_doc_id: str

    @property
    def description(self) -> str:
        """The alert's details as lines, for callers that have no PagerDuty."""
        return "\n".join(value if name == "description" else f"{name}: {value}" for name, value in self.details.items())


def build_world(folder: Path, *, now: datetime) -> World:
    """Build the world.

    Args:
        folder: made if missing; `shop` and `knowledge` in it must not be there yet.
        now: when the alert fires. Everything in the world happened before.

    Raises:
        core.errors.RepositoryError: a world is there already, or git is missing or refused.
    """
    from bot.demo_world.history import read_story, write_repository
    from bot.demo_world.knowledge import write_knowledge

    repo, docs = folder / "shop", folder / "knowledge"
    if repo.exists() or docs.exists():
        raise RepositoryError(
            f"cannot build the demo's world in {str(folder)!r}",
            why="there is one already",
            way_out="remove it or name another folder",
        )
    story = read_story()
    shas = write_repository(repo, story, now=now)
    write_knowledge(docs, now=now)
    return World(
        repo=repo,
        docs=docs,
        commits=len(story),
        authors=len({change.by for change in story} - {"bot"}),
        title="CheckoutErrorRate: POST /orders above 2% errors",
        service="checkout",
        details={
            "description": "14% of POST /orders answered 503 in the last 5 minutes, p99 1.6 s. All pods, eu-west.",
            "log": "PoolTimeout: no free connection after 1.5 s (pool_size=5)",
            "runbook": "https://runbooks.shop.example/runbooks/checkout",
            "dashboard": "https://graphs.shop.example/d/checkout",
        },
        created_at=now,
        culprit_sha=next(sha for sha, change in zip(shas, story, strict=True) if change.culprit),
        tempting_shas=tuple(sha for sha, change in zip(shas, story, strict=True) if change.tempts),
        runbook_doc_id="runbooks/checkout.md",
        runbook_section="No free database connections",
        question="What helped the last time checkout ran out of database connections?",
        past_incident_doc_id="incidents/checkout-report-job.md",
    )
