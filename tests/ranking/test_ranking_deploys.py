"""What was live at the incident's time, by deploys and by release tags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add, git, merge

from core.model import Commit, Incident
from ranking.deploys import Deploys, Standing, read_deploys
from ranking.events import ChangeEvent
from ranking.history import History, open_history
from ranking.ranker import Ranker, _find
from ranking.services import map_service


def ago(hours: float, service: str | None = None, sha: str | None = None, name: str | None = None) -> ChangeEvent:
    """A deploy so many hours before the incident."""
    return ChangeEvent(kind="deploy", at=NOON - timedelta(hours=hours), service=service, sha=sha, name=name)


def deploys(
    histories: Sequence[History], events: Sequence[ChangeEvent], service: str | None = None
) -> tuple[list[Commit], Deploys]:
    """The candidates, oldest first, and what was deployed."""
    commits = sorted(
        (commit for history in histories for commit in history.commits_between(NOON - timedelta(days=30), NOON)),
        key=lambda commit: commit.committed_at,
    )
    services = map_service(service, histories, {}, NOON)
    start = commits[0].committed_at
    return commits, read_deploys(events, histories, services, before=NOON, start=start, find=_find)


def said(found: tuple[list[Commit], Deploys]) -> list[str]:
    """How each candidate stood, in short: hours live, "last", "gone", "not yet", "?"."""
    words = []
    for commit in found[0]:
        standing = found[1].standing(commit)
        if standing is None:
            words.append("?")
        elif standing.rolled_back_at:
            words.append("gone")
        elif standing.live_at:
            hours = (NOON - standing.live_at).total_seconds() / 3600
            words.append(f"{hours:g}{' last' if standing.in_last else ''}")
        else:
            words.append("not yet")
    return words


@pytest.fixture
def line(make_repo, home):
    """Four commits in a row, 9, 6, 3 and 1 hours before; their ids, oldest first."""
    path, shas = make_repo("shop", [Change(hours=h, message=str(h), files={"a": str(h)}) for h in (9, 6, 3, 1)])
    git(path, "tag", "v1.2.0", shas[1])
    history = open_history(path, home=home)
    history.refresh()
    return history, shas


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # Each commit goes live with the first deploy that holds it.
        ([(5, 1), (2, 2)], ["5", "5", "2 last", "not yet"]),
        # The same build again, in another region or as a restart, brings nothing.
        ([(5, 1), (2, 2), (1.5, 2)], ["5", "5", "2 last", "not yet"]),
        # An older build again is a rollback: what came after it was live, and is no longer.
        ([(8, 0), (2, 2), (1, 1)], ["8", "2 last", "gone", "not yet"]),
        # … and what comes back later counts from then.
        ([(8, 0), (2.9, 2), (2, 0), (0.5, 3)], ["8", "0.5 last", "0.5 last", "0.5 last"]),
        # At the incident's time or later: not yet.
        ([(5, 1), (0, 3), (-1, 3)], ["5 last", "5 last", "not yet", "not yet"]),
        # A deploy of a commit nobody has is not known.
        ([(5, 1), (1, "f" * 40)], ["5 last", "5 last", "not yet", "not yet"]),
    ],
)
def test_a_commit_is_live_while_what_runs_holds_it(line, told, expected):
    """Deploys by commit, rollbacks, repeats, the future."""
    history, shas = line
    events = [ago(hours, sha=shas[which] if isinstance(which, int) else which) for hours, which in told]

    assert said(deploys([history], events)) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([ago(5, name="build 7"), ago(2)], ["5", "5", "2 last", "not yet"]),
        ([ago(5), ago(2), ago(1.5, name="rollback of build 8")], ["5", "5", "gone", "not yet"]),
        ([ago(2, name="rollback")], ["?"] * 4),
        ([ago(5), ago(2, name="staging deploy")], ["5 last", "5 last", "not yet", "not yet"]),
        ([ago(5), ago(2, name="canary 5 %")], ["5", "5", "2 last", "not yet"]),
        ([ago(5, sha="v1.2.0"), ago(2, name="v1.2.0")], ["5 last", "5 last", "not yet", "not yet"]),
        ([ago(5, name="Deployed 1.2.0 to production")], ["5 last", "5 last", "not yet", "not yet"]),
    ],
)
def test_a_deploy_without_a_commit_is_known_by_its_words(line, events, expected):
    """It brings all there was; tags, rollbacks, canaries and other places are told by its name."""
    assert said(deploys([line[0]], events)) == expected


def applied(hours: float, sha: str, name: str | None = None, service: str | None = None) -> ChangeEvent:
    """A push of configuration that tells its commit."""
    return ChangeEvent(kind="config", at=NOON - timedelta(hours=hours), sha=sha, name=name, service=service)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # All that is new in the tree came with it, and nothing that is not in it.
        ([(5, 1, None), (2, 2, None)], ["5", "5", "2 last", "not yet"]),
        ([(5, 1, "terraform apply prod"), (2, 2, "argocd sync web")], ["5", "5", "2 last", "not yet"]),
        (
            [(5, 1, "terraform apply prod"), (2, 2, "terraform apply staging")],
            ["5 last", "5 last", "not yet", "not yet"],
        ),
        # One file or one key says nothing of the rest.
        ([(5, 1, "edge/limits.yaml"), (2, 2, "pool.size")], ["?"] * 4),
    ],
)
def test_an_applied_tree_brings_what_is_new_in_it(line, told, expected):
    """As a deploy does: Terraform's, a cluster's or a device's configuration at a commit."""
    history, shas = line

    assert said(deploys([history], [applied(hours, shas[which], name) for hours, which, name in told])) == expected


def test_where_a_service_s_deploys_are_told_they_alone_tell_what_runs(line):
    """Its configuration may be applied at a commit whose program is not there yet."""
    history, shas = line
    events = [ago(5, "shop", shas[1]), applied(2, shas[2], "argocd sync shop", "shop")]
    found = deploys([history], events, "shop")

    assert said(found) == ["5 last", "5 last", "not yet", "not yet"]
    assert found[1].applied == {}


def test_a_short_id_is_enough(line):
    """As CI prints it, in capitals too."""
    history, shas = line

    assert said(deploys([history], [ago(5, sha=shas[1][:8].upper())])) == ["5 last", "5 last", "not yet", "not yet"]


def test_an_aborted_canary_is_no_longer_live(line):
    """The next full deploy is of the older build."""
    history, shas = line
    events = [ago(8, sha=shas[0]), ago(2.5, sha=shas[2], name="canary"), ago(2, sha=shas[0])]

    assert said(deploys([history], events)) == ["8 last", "gone", "gone", "not yet"]


def test_the_first_deploy_told_may_only_repeat_what_ran_before(line):
    """How sure it is that a commit went live then falls with the days between."""
    history, shas = line
    commits, found = deploys([history], [ago(0.5, sha=shas[3])])
    sure = [found.standing(commit).sure for commit in commits]

    assert [round(value, 2) for value in sure] == [0.74, 0.81, 0.91, 0.98]


SERVICES = """
checkout: {paths: [checkout/], depends_on: [payments]}
payments: {paths: [payments/]}
search: {paths: [search/]}
"""


@pytest.fixture
def mono(make_repo, home):
    """One repository of three services and a shared folder."""
    path, shas = make_repo(
        "mono",
        [
            Change(hours=20, message="Map", files={"services.yaml": SERVICES}),
            *(
                Change(hours=hours, message=name, files={f"{name}/a": "1"})
                for hours, name in ((9, "checkout"), (8, "payments"), (7, "search"), (6, "lib"))
            ),
        ],
    )
    history = open_history(path, home=home)
    history.refresh()
    return history, shas


@pytest.mark.parametrize("with_sha", [False, True])
def test_a_deploy_of_another_service_brings_none_of_ours(mono, with_sha):
    """In a repository of many services each goes live with its own deploys; what is everybody's, with each."""
    history, shas = mono
    sha = shas[-1] if with_sha else None
    events = [ago(3, "Payments", sha), ago(2, "search", sha)]

    assert said(deploys([history], events, "checkout")) == ["3 last", "?", "3 last", "?", "3 last"]
    events.append(ago(1, "checkout", sha))
    assert said(deploys([history], events, "checkout")) == ["1 last", "1 last", "3 last", "?", "1 last"]


def test_a_deploy_of_what_it_depends_on_is_worth_half(mono):
    """The runtime graph counts for deploys as for paths."""
    history, _ = mono
    commits, found = deploys([history], [ago(48), ago(1, "payments"), ago(1, "checkout")], "checkout")
    features = {commit.subject: found.standing(commit).features(NOON) for commit in commits[1:3]}

    assert features == {
        "checkout": {"went_live": 1 / 2, "in_last_deploy": 1.0},
        "payments": {"went_live": 1 / 4, "in_last_deploy": 0.5},
    }


def test_without_a_map_names_tell_whose_a_deploy_is(make_repo, home):
    """Folders and repositories named like the services of the events."""
    path, _ = make_repo(
        "apps",
        [
            Change(hours=hours, message=name, files={f"services/{name}/a": "1"})
            for hours, name in ((9, "checkout"), (8.5, "payments"))
        ],
    )
    other, _ = make_repo("payments-web", [Change(hours=8, message="web", files={"a": "1"})])
    histories = [open_history(one, home=home) for one in (path, other)]
    for history in histories:
        history.refresh()

    assert said(deploys(histories, [ago(1, "payments")], "checkout")) == ["?", "?", "1 last"]
    both = [ago(1, "checkout"), ago(2, "payments")]
    assert said(deploys(histories, both, "checkout")) == ["1 last", "?", "2 last"]


def test_a_deploy_of_who_knows_what_says_of_no_commit_that_it_was_not_live(line):
    """No map and no name tells whether the other service's deploys bring ours: what they left out may have gone live without them."""
    history, shas = line

    assert said(deploys([history], [ago(2, "ledger")], "checkout")) == ["2 last", "2 last", "2 last", "?"]
    assert said(deploys([history], [ago(7, "ledger"), ago(2, "ledger", name="rollback")], "checkout")) == [
        "7 last",
        "?",
        "?",
        "?",
    ]
    assert said(deploys([history], [ago(2, "ledger", shas[1])], "ledger")) == ["2 last", "2 last", "not yet", "not yet"]
    assert said(deploys([history], [ago(2, "ledger"), ago(4, "checkout")], "checkout"))[2:] == ["2 last", "not yet"]
    assert said(deploys([history], [ago(2, "ledger")])) == ["2 last", "2 last", "2 last", "not yet"]


def test_a_branch_merged_after_a_deploy_was_not_in_it(make_repo, home):
    """The graph of commits decides, not their times."""
    path, shas = make_repo("shop", [Change(hours=9, message="base", files={"a": "1"})])
    side = add(path, [Change(hours=8, message="side", files={"b": "1"})], onto=shas[0])
    main = add(path, [Change(hours=7, message="main", files={"c": "1"})], onto=shas[0])
    tree = git(path, "merge-tree", "--write-tree", main[0], side[0])
    merge = git(path, "commit-tree", tree, "-p", main[0], "-p", side[0], "-m", "Merge side")
    git(path, "update-ref", "refs/heads/main", merge)
    history = open_history(path, home=home)
    history.refresh()

    assert said(deploys([history], [ago(6, sha=main[0])])) == ["6 last", "not yet", "6 last"]


@pytest.mark.parametrize(
    ("standing", "features"),
    [
        ({"live_at": 1}, {"went_live": 0.5}),
        ({"live_at": 1, "in_last": True, "sure": 0.5}, {"went_live": 0.25, "in_last_deploy": 0.5}),
        ({"live_at": 95, "in_last": True}, {"went_live": 1 / 96, "in_last_deploy": 24 / 95}),
        ({"rolled_back_at": 1}, {"rolled_back": 1.0}),
        ({}, {"not_live": 1.0}),
    ],
)
def test_a_standing_becomes_numbers(standing, features):
    """Sooner before the incident is more; what was not live is against it."""
    times = {name: NOON - timedelta(hours=standing[name]) for name in ("live_at", "rolled_back_at") if name in standing}

    assert Standing(**{**standing, **times}).features(NOON) == features


def test_what_the_affected_service_got_and_nobody_here_has_is_told(line):
    history, shas = line
    gone = "f" * 40
    events = [ago(5, "shop", shas[1]), ago(2, "shop", "e" * 40), ago(1, "shop", gone), ago(0.5, "billing", "d" * 40)]
    told = deploys([history], events, "shop")[1].gaps
    assert len(told) == 1
    assert f"the deploy of shop at 11:00 UTC (and 1 before it) names {gone}" in told[0]
    assert "Fetch its repository, or add it" in told[0]
    # Of other services, later ones and known ones nothing is said; nor where no service is known to be affected.
    others = [ago(5, "shop", shas[1]), ago(1, "billing", gone), ago(-1, "shop", gone)]
    assert not deploys([history], others, "shop")[1].gaps
    assert not deploys([history], [ago(1, "shop", gone)])[1].gaps


def test_a_ranking_tells_what_was_deployed_that_it_cannot_see(line):
    history, _ = line
    incident = Incident(id="1", title="shop is slow", created_at=NOON, service="shop")
    gaps = Ranker([history]).rank(incident, events=[ago(1, "shop", "f" * 40)]).gaps
    assert any("is in no repository here" in gap for gap in gaps)


def test_what_is_deployed_before_its_merge_takes_along_what_was_merged_before_it(make_repo, home):
    """A pipeline that builds branches, or tells the newest commit by time: nobody knows which, so both may have gone live."""
    path, (old,) = make_repo("shop", [Change(hours=9, message="old", files={"a": "1"})])
    (topic,) = add(path, [Change(hours=4, message="topic", files={"b": "1"})], old)
    early, later = add(
        path,
        [
            Change(hours=6, message="before it", files={"c": "1"}),
            Change(hours=3, message="after it", files={"d": "1"}),
        ],
        old,
    )
    merge(path, 1, later, topic)
    history = open_history(path, home=home)
    history.refresh()
    found = deploys([history], [ago(8, sha=old), ago(3.5, sha=topic)])
    stood = {commit.sha: words for commit, words in zip(found[0], said(found), strict=True)}
    assert stood == {old: "8", early: "3.5 last", topic: "3.5 last", later: "not yet"}
