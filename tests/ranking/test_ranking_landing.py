"""When a commit came to its branch: at once, or with a merge days later."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add, git, merge

from core.model import Incident, from_unix
from ranking.events import ChangeEvent
from ranking.flags import find_flagged, find_switches
from ranking.history import open_history
from ranking.labels.mine import mine
from ranking.landing import landings
from ranking.ranker import Ranker
from ranking.repository import Repository
from ranking.services import ServiceMap, map_service
from ranking.topology import Topology

POOL = {"db/pool.py": "SIZE = 5\n"}


def hours(before: float) -> timedelta:
    return timedelta(hours=before)


@pytest.fixture(name="shop")
def _shop(make_repo):
    """A commit of three days ago that was merged half an hour ago, beside one of yesterday that never waited."""
    path, (first,) = make_repo("shop", [Change(hours=400, message="Add the shop", files=POOL)])
    (waited,) = add(
        path,
        [Change(hours=72, message="Lower the timeout of the pool", files={"db/pool.py": "SIZE = 1\n"})],
        onto=first,
    )
    (direct,) = add(path, [Change(hours=30, message="Add a banner", files={"web/banner.py": "x\n"})], onto=first)
    merged = merge(path, 0.5, direct, waited)
    return path, {"first": first, "waited": waited, "direct": direct, "merged": merged}


def seen(history, moment):
    """Each candidate of two weeks: its id -> (came how long before the moment, by a merge, was there at all)."""
    return {
        commit.sha: (moment - commit.landed_at, commit.merged_at is not None, commit.landed)
        for commit in history.suspects_between(moment - timedelta(days=14), moment)
    }


def test_a_commit_comes_with_its_merge(shop, home):
    """The merge's time is told beside its own; before it, the commit was not there, and nothing tells when it will be."""
    path, ids = shop
    history = open_history(path, home=home)
    history.refresh()

    assert seen(history, NOON) == {
        ids["waited"]: (hours(0.5), True, True),
        ids["direct"]: (hours(30), False, True),
    }
    assert seen(history, NOON - hours(1)) == {
        ids["waited"]: (hours(71), False, False),
        ids["direct"]: (hours(29), False, True),
    }


def test_what_comes_later_is_found_as_if_all_had_come_at_once(shop, home, tmp_path):
    """An index that is kept up says the same as one filled anew."""
    path, ids = shop
    git(path, "update-ref", "refs/heads/main", ids["direct"])
    kept = open_history(path, home=home)
    kept.refresh()
    before = seen(kept, NOON)
    git(path, "update-ref", "refs/heads/main", ids["merged"])
    new = kept.refresh()
    anew = open_history(path, home=tmp_path / "anew")
    anew.refresh()

    assert (list(before), new) == ([ids["direct"]], 1)
    assert seen(kept, NOON) == seen(anew, NOON)


def test_what_was_known_is_told_anew_when_another_branch_brings_it(shop, home, tmp_path):
    """Read on the branch under review first, and on main once that was merged: it came to main with the merge."""
    path, ids = shop
    kept = open_history(path, home=home)
    told = []
    for tip in (ids["waited"], ids["merged"], merge(path, 0.2, ids["direct"], ids["waited"])):
        git(path, "update-ref", "refs/heads/main", tip)
        kept.refresh()
        told.append(seen(kept, NOON)[ids["waited"]])
    anew = open_history(path, home=tmp_path / "anew")
    anew.refresh()

    assert told == [(hours(72), False, True), (hours(0.5), True, True), (hours(0.2), True, True)]
    assert seen(kept, NOON) == seen(anew, NOON)


def test_a_change_is_a_candidate_when_it_is_merged_however_long_it_waited(make_repo, home):
    """Up to three months: behind that lies another project's history, merged whole."""
    path, (first,) = make_repo("shop", [Change(hours=24 * 200, message="Add the shop", files=POOL)])
    made = {}
    for days in (20, 120):
        change = Change(hours=24 * days, message=f"Wait {days}", files={f"{days}.py": "x\n"})
        (made[days],) = add(path, [change], onto=first)
    merge(path, 5, first, made[20], made[120])
    history = open_history(path, home=home)
    history.refresh()

    assert list(seen(history, NOON)) == [made[20]]


def brute(path, tip):
    """By definition: the time of the oldest first-parent commit from which a commit can be reached."""
    found = {}
    for sha in git(path, "rev-list", "--first-parent", "--reverse", tip).split():
        reached = dict(line.split() for line in git(path, "log", "--format=%H %ct", sha).splitlines())
        for commit, made in reached.items():
            found.setdefault(commit, max(int(made), int(reached[sha])))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_any_history_is_told_by_what_can_be_reached(make_repo, seed):
    """Merges of merges, of several branches, of an older main into a younger branch; clocks that go wrong."""
    rng = random.Random(seed)
    path, shas = make_repo("web", [Change(hours=1000, message="Begin", files={"a": "x\n"})])
    for number in range(40):
        at = 900 - number * 20 + rng.choice((0, 0, 0, 300, -5))
        if rng.random() < 0.5:
            shas += add(
                path, [Change(hours=at, message=f"{number}", files={"a": f"{number}\n"})], onto=rng.choice(shas[-6:])
            )
        else:
            shas.append(merge(path, at, *dict.fromkeys(rng.choices(shas[-8:], k=3))))
    repository = Repository(path)
    told, branch = landings(repository, shas[-1])

    assert told == brute(path, shas[-1])
    assert len(set(told.values())) > 3
    assert list(branch) == git(path, "rev-list", "--first-parent", "--reverse", shas[-1]).split()


def test_what_was_merged_last_is_suspected_before_what_was_written_last(shop, home):
    """And its reason says both times; of what was not merged yet, that."""
    path, ids = shop
    ranker = Ranker([open_history(path, home=home)])
    ranker.refresh()

    def told(moment):
        incident = Incident(id="1", title="Checkout is down", created_at=moment)
        return {
            culprit.commit.sha: next(reason.text for reason in culprit.reasons if reason.feature == "time")
            for culprit in ranker.rank(incident).culprits
        }

    assert list(told(NOON).items()) == [
        (ids["waited"], "merged 30 min before, committed 3 days before"),
        (ids["direct"], "committed 1 day before"),
    ]
    assert list(told(NOON - hours(1)).items()) == [
        (ids["direct"], "committed 1 day before"),
        (ids["waited"], "had not been merged yet"),
    ]


def test_the_branch_of_a_moment_is_not_the_last_commit_by_time(shop, home):
    """Until a merge brings it, another branch's commit is nobody's files; a forced push takes away what stood there."""
    path, ids = shop
    history = open_history(path, home=home)
    history.refresh()
    before = [history.branch_at(NOON - hours(ago)) for ago in (401, 31, 1, 0)]
    (amended,) = add(path, [Change(hours=0.2, message="Another banner", files={"b": "x\n"})], onto=ids["direct"])
    history.refresh()

    assert before == [None, ids["first"], ids["direct"], ids["merged"]]
    assert [history.branch_at(NOON - hours(ago)) for ago in (1, 0.3, 0)] == [ids["direct"], ids["direct"], amended]


def test_maps_and_flags_are_read_on_the_branch(make_repo, home):
    """A branch that waits for its merge has the newest commit, and neither the map nor the flag of its time."""
    path, (first,) = make_repo(
        "shop", [Change(hours=400, message="Begin", files={"services.yaml": "checkout: [old/]\n"})]
    )
    moved, brought = add(
        path,
        [
            Change(hours=90, message="Move", files={"services.yaml": "checkout: [new/]\n"}),
            Change(hours=80, message="Bring it", files={"new/cart.py": "if on('new_cart'):\n    go()\n"}),
        ],
        onto=first,
    )
    (waiting,) = add(path, [Change(hours=3, message="Try", files={"old/a.py": "x\n"})], onto=first)
    merge(path, -5, brought, waiting)
    history = open_history(path, home=home)
    history.refresh()
    switches = find_switches(
        [ChangeEvent(kind="flag", at=NOON - hours(1), name="new-cart")], ServiceMap(Topology({}, {}, {}), ""), NOON
    )
    services = map_service("checkout", [history], {}, NOON)
    strengths = {c.sha: services.match(c).strength for c in history.suspects_between(NOON - hours(100), NOON)}

    assert strengths == {moved: 0.0, brought: 1.0, waiting: 0.0}
    assert list(find_flagged([history], switches, NOON, stop_after_s=30)[0]) == [brought]


def test_a_deploy_that_names_no_commit_brought_what_was_merged_by_then(shop, home):
    """Not what was only written by then."""
    path, ids = shop
    ranker = Ranker([open_history(path, home=home)], service_repos={"shop": ["shop"]})
    ranker.refresh()
    incident = Incident(id="1", title="Checkout is down", created_at=NOON, service="shop")

    def live(deployed):
        events = [ChangeEvent(kind="deploy", at=NOON - hours(deployed), service="shop", name="d1")]
        survey = ranker.survey(incident, events=events)
        not_live = survey.table.column("not_live")
        return {commit.sha: not_live[place] for place, commit in enumerate(survey.commits)}

    assert live(0.2) == {ids["waited"]: 0.0, ids["direct"]: 0.0}
    assert live(10) == {ids["waited"]: 1.0, ids["direct"]: 0.0}


@pytest.mark.parametrize(("days", "found"), [(14, 1), (2, 0)])
def test_a_culprit_that_waited_for_its_merge_makes_a_case(make_repo, home, days, found):
    """Committed three weeks ago, merged five days before somebody reverts it: within two weeks of the merge, not within two days."""
    path, (first,) = make_repo("shop", [Change(hours=24 * 60, message="Add the shop", files=POOL)])
    change = Change(hours=24 * 21, message="pool: keep idle connections", files={"db/pool.py": "KEEP = 1\n"})
    (culprit,) = add(path, [change], onto=first)
    merged = merge(path, 24 * 5, first, culprit)
    why = "Checkout answers 500 for every second customer, and the workers crash when sockets pile up."
    add(
        path,
        [
            Change(
                hours=2, message=f'Revert "pool"\n\nThis reverts commit {culprit}.\n\n{why}', files=POOL, author="bob"
            )
        ],
        onto=merged,
    )
    history = open_history(path, home=home)
    history.refresh()
    mined = mine(history, since=from_unix(0), before=NOON, window_days=days)

    assert [case.culprits for case in mined.cases] == [(culprit,)] * found
    assert mined.too_old == 1 - found
