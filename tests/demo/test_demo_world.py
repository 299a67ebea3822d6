"""The demo's world is real: its culprit breaks it, nothing else does, and nobody is led to it by the hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.demo_world import World, build_world
from core.errors import RepositoryError
from core.model import Incident, Tier
from core.store import open_store
from ingest.sources import open_source
from ingest.sync import Ingestor
from ranking.history import open_history
from ranking.meaning import open_readers
from ranking.ranker import Ranker
from retrieval.embedding import open_embedder
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever

NOW = datetime(2026, 3, 2, 18, 30, 12, 345678, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), now=NOW)


@pytest.fixture(scope="module")
def documents(world):
    return {document.id: document for document in open_source(world.docs).documents()}


def git(world, *arguments):
    return subprocess.run(
        ["git", "-C", str(world.repo), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def at(world, folder: Path, revision: str) -> Path:
    """The shop's files as of a commit."""
    git(world, "worktree", "add", "--quiet", "--detach", str(folder / "shop"), revision)
    return folder / "shop"


def rush_hour(shop: Path, customers: int = 12) -> subprocess.CompletedProcess[str]:
    """The shop's own load script: twelve customers at once."""
    return subprocess.run(
        [sys.executable, "-m", "load.rush_hour", str(customers)], cwd=shop, check=False, capture_output=True, text=True
    )


def test_before_the_culprit_the_shop_works(world, tmp_path):
    """Everything that tempts and is older was harmless."""
    ran = rush_hour(at(world, tmp_path, f"{world.culprit_sha}^"))

    assert (ran.returncode, ran.stdout) == (0, "0 of 12 orders failed, 12 at a time\n")


def test_the_culprit_breaks_it_as_the_alert_says(world, tmp_path):
    """The same code path, the same words in the log."""
    shop = at(world, tmp_path, world.culprit_sha)
    # On a busy machine the first twelve may come one after the other, and find a connection each.
    ran = next((ran for customers in (12, 60, 300) if (ran := rush_hour(shop, customers)).returncode), None)

    assert ran is not None
    assert "no free connection after 1.5 s (pool_size=5)" in ran.stderr
    assert world.details["log"] == "PoolTimeout: no free connection after 1.5 s (pool_size=5)"


def test_without_the_culprit_today_s_shop_works(world, tmp_path):
    """Reverting that one commit heals everything that came after: nothing else is to blame."""
    shop = at(world, tmp_path, "main")
    subprocess.run(["git", "revert", "--no-edit", world.culprit_sha], cwd=shop, check=True, capture_output=True)

    assert rush_hour(shop).returncode == 0


def test_the_shop_s_own_tests_did_not_notice(world, tmp_path):
    """As in life: the culprit was reviewed, tested and green."""
    shop = at(world, tmp_path, "main")
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(shop)},
        check=False,
        capture_output=True,
        text=True,
    )

    assert "5 passed" in tested.stdout


def test_the_history_is_whole(world):
    """Sixty commits by six people and a robot over three weeks, oldest first, all before the alert."""
    times = [int(line) for line in git(world, "log", "--reverse", "--format=%ct").splitlines()]
    people = set(git(world, "log", "--format=%an").splitlines())

    assert (world.commits, world.authors) == (len(times), len(people) - 1) == (60, 6)
    assert times == sorted(times)
    assert timedelta(days=20) < NOW - datetime.fromtimestamp(times[0], UTC) < timedelta(days=22)
    assert datetime.fromtimestamp(times[-1], UTC) < NOW - timedelta(minutes=10)
    assert git(world, "status", "--porcelain") == git(world, "fsck", "--strict", "--no-dangling") == ""


def test_others_tempt(world):
    """Newer ones, checkout's own, a revert, a dependency, documents and tests in the alert's words."""
    order = git(world, "log", "--reverse", "--format=%H").splitlines()
    subjects = [git(world, "log", "-1", "--format=%s", sha) for sha in world.tempting_shas]

    assert len(world.tempting_shas) == 10
    assert sum(order.index(sha) > order.index(world.culprit_sha) for sha in world.tempting_shas) == 4
    assert any(subject.startswith("Revert ") for subject in subjects)
    assert any(subject.startswith("Bump ") for subject in subjects)
    assert world.culprit_sha not in world.tempting_shas


def test_a_revert_names_the_commit_it_reverts(world):
    """By its id, as git writes it."""
    reverted = git(world, "log", "--format=%H", "--grep=^Retry card captures once$").splitlines()

    assert f"This reverts commit {reverted[-1]}." in git(world, "log", "--format=%b", "--grep=^Revert ")


def test_the_same_moment_gives_the_same_world(world, tmp_path):
    """Commit ids and documents; whatever identity and settings this machine's git has."""
    again = build_world(tmp_path, now=NOW)

    assert (again.culprit_sha, again.tempting_shas) == (world.culprit_sha, world.tempting_shas)
    assert {path.relative_to(again.docs): path.read_bytes() for path in again.docs.rglob("*.*")} == {
        path.relative_to(world.docs): path.read_bytes() for path in world.docs.rglob("*.*")
    }


def test_another_moment_gives_another(world, tmp_path):
    """The world is always three weeks old when the alert fires."""
    assert build_world(tmp_path, now=NOW + timedelta(days=1)).culprit_sha != world.culprit_sha


def test_an_existing_world_is_left_alone(world):
    """`rundown demo --keep` twice says what to do."""
    with pytest.raises(RepositoryError, match="there is one already"):
        build_world(world.repo.parent, now=NOW)


def test_every_document_is_read_and_none_is_from_the_future(documents):
    """Eight runbooks, six wiki pages in three formats, eight past incidents."""
    tiers = [document.tier for document in documents.values()]
    dated = [document.occurred_at or document.updated_at for document in documents.values()]

    assert {tier: tiers.count(tier) for tier in set(tiers)} == {Tier.RUNBOOK: 8, Tier.WIKI: 6, Tier.PAST_INCIDENT: 8}
    assert {Path(doc_id).suffix for doc_id in documents} == {".md", ".html", ".adoc"}
    assert [when for when in dated if when is not None and when > NOW] == []
    assert "@{" not in "".join(document.text for document in documents.values())


def test_what_is_to_be_found_is_there(world, documents):
    """The right section among its neighbours, the similar incident and what worked then."""
    assert f"## {world.runbook_section}\n" in documents[world.runbook_doc_id].text
    assert documents[world.runbook_doc_id].service == world.service
    assert "Rolling checkout back" in documents[world.past_incident_doc_id].text


def words(text):
    """The words of a text, as a naive reader compares them."""
    return set(re.findall(r"[a-z]{3,}", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()))


def test_nobody_is_led_by_the_hand(world, documents):
    """Neither the alert nor a document names the culprit, and others' messages are as near to the alert's words."""
    told = "\n".join([world.title, world.description, *(document.text for document in documents.values())]).lower()
    alert = words(f"{world.title} {world.description}") - words("the and for all any")
    shared = {
        sha: len(alert & words(git(world, "log", "-1", "--format=%B", sha)))
        for sha in (world.culprit_sha, *world.tempting_shas)
    }

    assert [
        word for word in ("shopkit.config", "defaults.yaml", "kofi", "every service's limits") if word in told
    ] == []
    assert sum(count >= shared[world.culprit_sha] for sha, count in shared.items() if sha in world.tempting_shas) >= 2


@pytest.mark.model
@pytest.mark.parametrize("hour", [0, 9, 17])
def test_the_ranker_names_the_culprit_at_any_hour(tmp_path, hour):
    """With the readers that ship; `rundown demo` shows the same through the whole bot."""
    world = build_world(tmp_path, now=NOW.replace(hour=hour))
    incident = Incident(
        id="local:demo",
        title=world.title,
        description=world.description,
        service=world.service,
        created_at=world.created_at,
    )
    ranking = Ranker([open_history(world.repo, home=tmp_path / "home")], readers=open_readers()).rank(incident)

    assert (ranking.culprits[0].commit.sha, ranking.abstained) == (world.culprit_sha, False)


@pytest.mark.model
def test_search_finds_the_section_and_the_similar_incident(world, home):
    """With the model that is carried along, by the alert's words and by a responder's question."""
    store, index, embedder = open_store(f"sqlite:///{home}/s.sqlite"), EdgeIndex(home / "index"), open_embedder()
    Ingestor(store, index, embedder).sync(open_source(world.docs))
    retriever = Retriever(index, embedder)
    guides = (Tier.RUNBOOK, Tier.WIKI)
    alert = f"{world.title}\n{world.description}"
    for_alert = retriever.search(alert, limit=3, service=world.service, before=world.created_at, tiers=guides)
    for_question = retriever.search(world.question, limit=3, service=world.service, before=world.created_at)
    index.close()
    store.close()

    assert (for_alert[0].doc_id, for_alert[0].section[-1]) == (world.runbook_doc_id, world.runbook_section)
    assert (for_question[0].doc_id, for_question[0].section) == (world.past_incident_doc_id, ("What helped",))
