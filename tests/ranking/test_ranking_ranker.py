"""From an incident and repositories to a ranking with reasons."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add, git, merge

from core.errors import ModelUnavailable, RepositoryError
from core.model import Confidence, Incident
from ranking.events import ChangeEvent
from ranking.history import open_history
from ranking.llama import WordModel
from ranking.meaning import open_readers
from ranking.ranker import Ranker
from ranking.scorer import read_weighing

SHIPPED = read_weighing().release
INCIDENT = Incident(
    id="local:1",
    title="Checkout: connection pool exhausted",
    description='TimeoutError in db/pool.py: "no free connection in the pool", max_connections reached',
    created_at=NOON,
    service="checkout",
)
SHOP = [
    Change(hours=600, message="Add the pool", files={"db/pool.py": "max_connections = 50\n", "app.py": "a\n"}),
    Change(hours=40, message="Speed up the search page", files={"search.py": "x = 1\n"}, author="bob"),
    Change(hours=3, message="Tidy the database settings", files={"db/pool.py": "max_connections = 5\n"}, author="cy"),
    Change(hours=1, message="Reword the welcome page", files={"welcome.html": "hi\n"}, author="bob"),
    Change(hours=0.2, message="Fix a typo in the README", files={"README.md": "read\n"}, author="dee"),
]


@pytest.fixture(name="shop")
def _shop(make_repo):
    return make_repo("shop", SHOP)


@pytest.fixture(name="ranker")
def _ranker(shop, home):
    return Ranker([open_history(shop[0], home=home)])


def shas(ranking):
    return [culprit.commit.sha for culprit in ranking.culprits]


def without_time(ranking):
    return replace(ranking, seconds=0.0)


def test_the_culprit_comes_first_and_says_why(shop, ranker):
    """The file the alert names outranks what is merely newer; the reasons can be checked in the repository."""
    ranking = ranker.rank(INCIDENT)
    first = ranking.culprits[0]

    assert (first.commit.sha, ranking.considered, ranking.repos, ranking.gaps) == (shop[1][2], 4, ("shop",), ())
    texts = [reason.text for reason in first.reasons]
    assert "touches `db/pool.py`, named in the incident" in texts
    assert "committed 3 h before" in texts
    assert ranking.confidence is Confidence.LIKELY
    # What is left to one is the chance that no commit did it.
    assert 0.5 < sum(culprit.confidence for culprit in ranking.culprits) < 1


def test_nothing_from_the_future_changes_anything(shop, ranker, home):
    """Later commits, reverts and owners exist; the answer is the same to the last digit."""
    before = ranker.rank(INCIDENT)
    later = [
        Change(hours=0, message="At the very second", files={"db/pool.py": "max_connections = 6\n"}),
        Change(
            hours=-1,
            message=f'Revert "Tidy the database settings"\n\nThis reverts commit {shop[1][2]}.\nIt broke the pool.',
            files={"db/pool.py": "max_connections = 50\n", "CODEOWNERS": "db/ @acme/checkout\n"},
        ),
        Change(hours=-2, message="More of the pool", files={"db/pool.py": "a\n", "search.py": "b\n"}, author="bob"),
    ]
    add(shop[0], later, onto=shop[1][-1])
    assert len(ranker.refresh()) == 0
    again = ranker.rank(INCIDENT)
    fresh = Ranker([open_history(shop[0], home=home / "other")]).rank(INCIDENT)

    assert without_time(again) == without_time(before)
    assert without_time(fresh) == without_time(before)


def test_several_repositories_are_one_pool(shop, make_repo, home):
    """The culprit is found wherever it lies; `repos` narrows the pool."""
    web, web_shas = make_repo("web", [Change(hours=2, message="Paint it blue", files={"site.css": "blue\n"})])
    ranker = Ranker([open_history(web, home=home), open_history(shop[0], home=home)])

    assert (shas(ranker.rank(INCIDENT))[0], ranker.rank(INCIDENT).considered) == (shop[1][2], 5)
    assert shas(ranker.rank(INCIDENT, repos=["web"])) == web_shas


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"window_days": 1.0}, 3),
        ({"window_days": 30.0}, 5),
        ({"window_commits": 2}, 2),
        ({"window_commits": 99}, 5),
        ({"limit": 1}, 4),
    ],
)
def test_the_window_decides_what_is_considered(window, expected, ranker):
    """Days, or a number of commits; `limit` cuts only what is returned."""
    ranking = ranker.rank(INCIDENT, **window)

    assert (ranking.considered, len(ranking.culprits)) == (expected, min(expected, window.get("limit", 99)))


def test_given_candidates_are_the_only_ones(shop, ranker):
    """By whole id or prefix, in any letter case; the unknown and the future are told as a gap."""
    (future,) = add(shop[0], [Change(hours=-1, message="Later")], onto=shop[1][-1])
    ranking = ranker.rank(INCIDENT, candidates=[shop[1][1], shop[1][2][:9].upper(), "e" * 40, future])

    assert shas(ranking) == [shop[1][2], shop[1][1]]
    assert ranking.gaps == ("2 of 4 given candidates are in no repository, or later than the incident",)


def test_no_candidate_is_an_answer_too(ranker):
    """A quiet fortnight: nothing considered, nothing named."""
    ranking = ranker.rank(replace(INCIDENT, created_at=NOON - timedelta(days=400)))

    assert (ranking.culprits, ranking.considered, ranking.abstained) == ((), 0, True)


@pytest.mark.parametrize(("merged", "confidence"), [(1, Confidence.LIKELY), (-5, Confidence.INCONCLUSIVE)])
def test_what_was_not_merged_is_not_named(make_repo, home, merged, confidence):
    """Alone in the window and with the incident's own words, but still under review: it can have broken nothing."""
    path, (first,) = make_repo("shop", [Change(hours=900, message="Add the pool", files={"db/pool.py": "SIZE = 50\n"})])
    (change,) = add(
        path,
        [Change(hours=30, message="Checkout: a smaller connection pool", files={"db/pool.py": "SIZE = 5\n"})],
        onto=first,
    )
    merge(path, merged, first, change)
    ranking = Ranker([open_history(path, home=home)]).rank(INCIDENT)

    assert [culprit.commit.sha for culprit in ranking.culprits] == [change]
    assert ranking.confidence is confidence


def test_what_waits_for_its_deploy_is_not_named(shop, ranker):
    """The service's last deploy came before all of them."""
    deploys = [ChangeEvent(kind="deploy", at=NOON - timedelta(hours=h), service="checkout") for h in (290, 280)]

    assert ranker.rank(INCIDENT, events=deploys).confidence is Confidence.INCONCLUSIVE


def test_a_lone_candidate_has_reasons_too(make_repo, home):
    """There is no other to compare it with: what it has, it has beside nothing."""
    path, _ = make_repo(
        "shop", [Change(hours=3, message="Tidy the database settings", files={"db/pool.py": "max_connections = 5\n"})]
    )
    ranking = Ranker([open_history(path, home=home)], readers=open_readers()).rank(INCIDENT)
    texts = {reason.text: reason.weight for reason in ranking.culprits[0].reasons}

    assert texts["touches `db/pool.py`, named in the incident"] > 0
    assert texts["committed 3 h before"] == 0
    assert not any("compared" in text for text in texts)


def test_being_recent_alone_names_nobody(ranker):
    """When no commit has to do with the incident, the card is told to say so."""
    ranking = ranker.rank(Incident(id="local:2", title="Mainframe printer out of toner on floor nine", created_at=NOON))

    assert ranking.confidence is Confidence.INCONCLUSIVE
    assert "committed 12 min before" in [r.text for c in ranking.culprits for r in c.reasons]


def test_a_repository_that_vanishes_is_ranked_from_its_index(shop, ranker):
    """Messages and paths are known; that the lines are not is told."""
    ranker.refresh()
    shutil.rmtree(shop[0])
    ranking = ranker.rank(INCIDENT)

    assert shas(ranking)[0] == shop[1][2]
    assert ranking.gaps == ("repository 'shop': the changed lines could not be read (there is no such path)",)
    assert "there is no such path" in ranker.refresh()[0]


def test_a_repository_that_vanishes_takes_no_other_along(shop, make_repo, home):
    """A deploy names a commit that no index holds, so git is asked in every repository: that it is nowhere is a gap, and so is the one that is gone."""
    other, _ = make_repo("web", [Change(hours=2, message="Widen the banner", files={"web.css": "x\n"})])
    ranker = Ranker([open_history(other, home=home), open_history(shop[0], home=home)])
    ranker.refresh()
    shutil.rmtree(other)
    deploy = ChangeEvent(kind="deploy", at=NOON - timedelta(minutes=30), service="checkout", sha="0123456789")
    ranking = ranker.rank(INCIDENT, events=[deploy])

    assert ranking.culprits[0].commit.sha == shop[1][2]
    nowhere, gone = ranking.gaps
    assert "names 0123456789, which is in no repository here" in nowhere
    assert "web" in gone
    assert "could not be read" in gone


def test_a_repository_that_cannot_be_read_is_a_gap(shop, make_repo, home):
    """The others answer; when none is left it is an error."""
    web, _ = make_repo("web", [Change(hours=2, message="Paint it blue", files={"site.css": "blue\n"})])
    ranker = Ranker([open_history(web, home=home), open_history(shop[0], home=home)])
    shutil.rmtree(web)
    ranking = ranker.rank(INCIDENT)

    assert (ranking.repos, len(ranking.gaps), shas(ranking)[0]) == (("shop",), 1, shop[1][2])
    assert f"cannot read repository '{web}'" in ranking.gaps[0]
    with pytest.raises(RepositoryError, match="cannot read repository"):
        ranker.rank(INCIDENT, repos=["web"])


def test_unread_diffs_are_told(shop, ranker):
    """A partial copy lacks files: the commit is ranked by its message and paths, and the gap is told."""
    blob = git(shop[0], "rev-parse", f"{shop[1][2]}:db/pool.py")
    _explode(shop[0])
    (shop[0] / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    ranking = ranker.rank(INCIDENT)

    assert shas(ranking)[0] == shop[1][2]
    assert ranking.gaps == ("repository 'shop': the changed lines of 1 candidate could not be read",)


def _explode(path):
    """Turn the packs of a repository into loose objects."""
    packs = path / ".git" / "objects" / "pack"
    aside = path / "aside"
    packs.rename(aside)
    for pack in aside.glob("*.pack"):
        git(path, "unpack-objects", "-q", stdin=pack.read_bytes())
    packs.mkdir(exist_ok=True)


@pytest.mark.parametrize("service", ["checkout", "Checkout"])
def test_the_operators_hint_counts(service, shop, make_repo, home):
    """Of two commits alike, the one in the service's repository is first."""
    twin, _ = make_repo("twin", [Change(hours=3, message="Tidy the settings", files={"conf.ini": "a=1\n"})])
    other, _ = make_repo("other", [Change(hours=3, message="Tidy the settings", files={"conf.ini": "a=2\n"})])
    ranker = Ranker(
        [open_history(other, home=home), open_history(twin, home=home)], service_repos={"checkout": ["twin"]}
    )
    ranking = ranker.rank(replace(INCIDENT, service=service, title="Checkout is slow", description=""))

    assert ranking.culprits[0].commit.repo == "twin"
    assert f"in `twin`, a repository of {service}" in [r.text for r in ranking.culprits[0].reasons]


def test_a_deploy_tells_when_a_commit_went_live(shop, ranker):
    """What went live minutes before stands out, and what had not gone live cannot have done it."""
    vague = replace(INCIDENT, title="Pages are slow", description="", service=None)
    at = NOON - timedelta(minutes=10)
    ranking = ranker.rank(vague, events=[ChangeEvent(kind="deploy", at=at, sha=shop[1][1][:12])])
    reasons = {culprit.commit.sha: [r.text for r in culprit.reasons] for culprit in ranking.culprits}

    assert shas(ranking)[0] == shop[1][1]
    assert "went live 10 min before, with the last deploy" in reasons[shop[1][1]]
    assert "had not gone live yet" in reasons[shop[1][4]]


@pytest.mark.parametrize(
    ("service", "says"),
    [
        ("checkout", "went live 30 min before, with the last deploy"),
        ("ledger", "may have gone live 30 min before, with the last deploy of another service"),
    ],
)
def test_a_deploy_of_who_knows_what_is_told_as_that(shop, ranker, service, says):
    """No map says whether the other service's deploys bring this repository's commits."""
    deploys = [ChangeEvent(kind="deploy", at=NOON - timedelta(hours=hours), service=service) for hours in (90, 0.5)]
    first = ranker.rank(INCIDENT, events=deploys).culprits[0]

    assert next(reason.text for reason in first.reasons if reason.feature == "deploy") == says


def test_a_flag_that_was_switched_points_at_the_commit_that_knows_it(make_repo, home):
    """Its name in the changed lines, not in the alert, ties the two."""
    path, ids = make_repo(
        "shop",
        [
            Change(hours=30, message="Prepare for later", files={"cart.py": "if flags.fast_cart_lane:\n    go()\n"}),
            Change(hours=9, message="Reword the page", files={"page.html": "hi\n"}),
            Change(hours=1, message="Paint the page", files={"page.css": "blue\n"}),
        ],
    )
    ranker = Ranker([open_history(path, home=home)])
    vague = replace(INCIDENT, title="Orders fail", description="", service=None)
    switch = ChangeEvent(kind="flag", at=NOON - timedelta(minutes=12), name="fast_cart_lane")
    first = ranker.rank(vague, events=[switch]).culprits[0]

    assert (first.commit.sha, ranker.rank(vague).culprits[0].commit.sha) == (ids[0], ids[2])
    assert "knows `fast_cart_lane`, which was switched 12 min before" in [r.text for r in first.reasons]


def test_an_event_after_the_incident_is_not_looked_at(shop, ranker):
    """Nothing from the future, here either."""
    late = ChangeEvent(kind="deploy", at=NOON, sha=shop[1][1])

    assert without_time(ranker.rank(INCIDENT, events=[late])) == without_time(ranker.rank(INCIDENT))


def test_a_model_votes_on_the_best(shop, home):
    """Its vote moves the order, is named in the release and given as a reason."""
    model = WordModel()
    ranker = Ranker([open_history(shop[0], home=home)], model=model)
    plain = Ranker([open_history(shop[0], home=home)])
    vague = replace(INCIDENT, title="welcome page reword is broken", description="")

    ranking = ranker.rank(vague)

    assert (ranking.release, plain.rank(vague).release) == (f"{SHIPPED}+words", SHIPPED)
    assert shas(ranking)[0] == shop[1][3]
    assert ranking.culprits[0].score > plain.rank(vague).culprits[0].score
    assert "the model words votes for it" in [reason.text for reason in ranking.culprits[0].reasons]


def test_a_model_that_fails_leaves_the_features_ranking(shop, home):
    """The order is that of the features, and the gap says so."""
    model = WordModel(failure=ModelUnavailable("the ranking model words gave no vote"))
    ranking = Ranker([open_history(shop[0], home=home)], model=model).rank(INCIDENT)
    plain = Ranker([open_history(shop[0], home=home)]).rank(INCIDENT)

    assert (ranking.culprits, ranking.gaps) == (
        plain.culprits,
        ("ranked by features alone: the ranking model words gave no vote.",),
    )


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"hours": 2, "files": {"src/z.py": "y = 1\n"}}, {"hours": 20}),
        ({"message": "Rework the ledger export"}, {"message": "Rework the welcome page"}),
        ({"files": {"ledger/export.py": "x = 1\n"}}, {"files": {"welcome/page.py": "x = 1\n"}}),
        ({"files": {"a.py": "ledger_export()\n"}}, {"files": {"b.py": "paint_page()\n"}}),
        ({"files": {"src/a.py": "x = 1\n"}}, {"files": {"docs/a.md": "x = 1\n"}}),
        ({"files": {"src/a.py": "x = 1\n"}}, {"files": {"tests/test_a.py": "x = 1\n"}}),
        ({"message": "Rework the parts"}, {"message": 'Revert "Rework the parts"'}),
    ],
)
def test_all_else_equal_the_likelier_commit_is_first(better, worse, make_repo, home):
    """Every weight points the way a person would expect, even against a commit three seconds newer."""
    incident = replace(INCIDENT, title="ledger_export is broken", description="the ledger export fails", service=None)
    plain = {"hours": 5, "message": "Rework the parts", "files": {"src/x.py": "y = 1\n"}}
    changes = [Change(**{**plain, **better}), Change(**{**plain, "hours": 4.999, **worse})]
    path, shas = make_repo("shop", sorted(changes, key=lambda change: -change.hours))
    likelier = shas[0 if changes[0].hours > changes[1].hours else 1]

    ranking = Ranker([open_history(path, home=home)]).rank(incident)

    assert ranking.culprits[0].commit.sha == likelier


def test_ranking_twice_gives_the_same(ranker):
    """No clock, no chance, no memory of the first time."""
    assert without_time(ranker.rank(INCIDENT)) == without_time(ranker.rank(INCIDENT))


def test_a_copy_that_nobody_fetched_is_told_from_a_quiet_window(ranker):
    """No candidate because nothing is there to see is not the same as no suspect."""
    later = replace(INCIDENT, created_at=NOON + timedelta(days=90))
    earlier = replace(INCIDENT, created_at=NOON - timedelta(days=900))

    assert [ranker.rank(incident).gaps for incident in (later, earlier)] == [
        (
            "repository 'shop': its newest commit is 90 days older than the incident. If the copy is stale, run `git pull` in it, in a mirror `git fetch`",
        ),
        ("repository 'shop' has no commit before the incident",),
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 6, 99])
def test_the_last_of_several_repositories_are_those_of_one_list(count, make_repo, home):
    """Committed in one second, or in two repositories at once: as if all had been read and put in order."""
    shared = [Change(hours=9, message="Begin", files={"a": "1\n"}), Change(hours=5, message="Both", files={"b": "1\n"})]
    first, ids = make_repo("shop", shared)
    second, _ = make_repo("fork", shared)
    add(first, [Change(hours=4, message=f"Same second {n}", files={f"x{n}": "1\n"}) for n in range(2)], onto=ids[-1])
    add(second, [Change(hours=4, message="Same second, elsewhere", files={"y": "1\n"})], onto=ids[-1])
    histories = [open_history(path, home=home) for path in (first, second)]
    for history in histories:
        history.refresh()
    pool = {commit.sha: commit for history in histories[::-1] for commit in history.last_commits_before(NOON, 99)}
    in_order = sorted(pool.values(), key=lambda commit: (-commit.committed_at.timestamp(), commit.sha))

    survey = Ranker(histories).survey(INCIDENT, window_commits=count)

    assert (len(pool), survey.commits) == (5, tuple(in_order[:count]))
