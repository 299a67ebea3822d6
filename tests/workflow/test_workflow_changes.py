"""The rank step asks once what was deployed, ranks by it, and ranks by the same when it runs again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.investigation import Changes, Investigator
from bot.steps import LiveSteps
from core.model import IncidentEvent
from core.settings import read_settings
from core.store import Store, open_store
from prompts.drafter import Drafter
from ranking.events import ChangeEvent
from ranking.history import open_history
from ranking.ranker import Ranker

BEGAN = datetime(2024, 5, 14, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    event = IncidentEvent(
        incident_id="pd:1", event_id="e1", kind="triggered", occurred_at=BEGAN, changes={"title": "Slow"}
    )
    made.record_events([event])
    yield made
    made.close()


@pytest.fixture
def ranker(tmp_path: Path, home: Path) -> Ranker:
    repo = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    for name in ("old", "new"):
        (repo / name).write_text(name)
        subprocess.run(["git", "-C", str(repo), "add", "."], check=True)
        date = (BEGAN - timedelta(hours={"old": 9, "new": 2}[name])).isoformat()
        environment = {
            "GIT_COMMITTER_DATE": date,
            "GIT_AUTHOR_DATE": date,
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
        }
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", str(repo), *identity, "commit", "-qm", name], check=True, env=environment)
    made = Ranker([open_history(repo, home=home)])
    made.refresh()
    return made


class Source:
    """Deploys as told, answer by answer; the last one is repeated."""

    def __init__(self, *answers: Changes | Exception) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, _incident: Any) -> Changes:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def steps(store: Store, ranker: Any, source: Source | None) -> Any:
    """Only what the rank step touches."""
    drafter = Drafter(None, timeout_s=read_settings().llm_timeout_s)
    investigator = Investigator(documents=lambda: None, commits=lambda: ranker, drafter=drafter)
    unused: Any = None
    return LiveSteps(
        store=store,
        investigator=investigator,
        channels=unused,
        delivery=unused,
        gate=unused,
        metrics=unused,
        changes=source,
    )


DEPLOY = ChangeEvent(kind="deploy", at=BEGAN - timedelta(minutes=9), service="checkout", sha="abc1234", name="v1")


def test_a_rank_step_that_runs_again_ranks_by_the_same_deploys(store, ranker):
    """What was told is kept before it is ranked by: a kill in between asks nobody twice."""
    source = Source(Changes(events=(DEPLOY,)), Changes())

    def killed() -> Any:
        raise KeyboardInterrupt

    class Killed:
        refresh = rank = property(lambda self: killed())

    with pytest.raises(KeyboardInterrupt):
        steps(store, Killed(), source).rank("pd:1")
    whole = steps(store, ranker, source).rank("pd:1")

    assert (whole, source.asked) == (True, 1)
    assert store.findings("pd:1")["changes"]["events"] == [
        {
            "kind": "deploy",
            "at": "2024-05-14T11:51:00Z",
            "service": "checkout",
            "sha": "abc1234",
            "name": "v1",
            "environment": None,
        }
    ]


def test_a_source_that_is_down_is_a_gap_and_is_asked_again(store, ranker):
    """The ranking stands without it, and is made again once it answers."""
    source = Source(RuntimeError("broken"), Changes(gaps=("no deploys today",), whole=False), Changes(events=(DEPLOY,)))
    live = steps(store, ranker, source)

    first = (
        live.rank("pd:1"),
        store.findings("pd:1")["rank"]["gaps"][-1],
        bool(store.findings("pd:1")["rank"]["ranking"]),
    )
    second = (live.rank("pd:1"), store.findings("pd:1")["rank"]["gaps"][-1:])
    third = (live.rank("pd:1"), source.asked)

    assert first == (False, "Looking for deploys failed: RuntimeError", True)
    assert second == (False, ["no deploys today"])
    assert third == (True, 3)


def test_without_a_source_nothing_is_asked_or_kept(store, ranker):
    """As it was before there were any."""
    assert (steps(store, ranker, None).rank("pd:1"), list(store.findings("pd:1"))) == (True, ["rank"])


def test_secrets_in_the_name_of_a_deploy_are_not_kept(store, ranker):
    """A summary may hold anything."""
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    told = ChangeEvent(kind="deploy", at=DEPLOY.at, name=f"deployed with token {secret}")
    steps(store, ranker, Source(Changes(events=(told,)))).rank("pd:1")

    assert secret not in str(store.findings("pd:1"))
