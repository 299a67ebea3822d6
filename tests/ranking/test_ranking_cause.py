"""Whether a change would explain a page: the reader's part in a ranking, its training, and the one that ships."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from ranking_repos import NOON
from ranking_repos import Change as Made

from core.errors import ModelUnavailable, UsageError
from core.model import Incident
from ranking.cause import CauseMiniLM, Change
from ranking.cause.__main__ import main
from ranking.cause.pages import Page, gather, read_pages
from ranking.cause.reader import FOLDER, WEIGHTS, WordCauses, read_weights, tell_change, tell_page
from ranking.cause.training import Recipe, Told, read_told, train
from ranking.history import open_history
from ranking.meaning import Readers
from ranking.ranker import Ranker
from ranking.scorer import Weighing

PAGE = Incident(id="local:3", title="guests cannot pay", created_at=NOON, service="shop")
CHANGES = [
    Made(hours=3, message="Other words", files={"b.py": "pay later\n"}),
    Made(hours=2, message="Guests cannot pay: alert", files={"a.py": "1\n"}),
    Made(hours=1, message="Nothing shared", files={"c.py": "2\n"}),
]
CHANGE = [Change(subject="x", path="y")]
#: The cause reader alone.
CAUSE = Weighing(release="cause", weights={}, by_hand={"cause": 1.0})
TOLD = [
    {
        "id": f"shop-{number}",
        "title": f"Checkout slow {number}",
        "culprit": {"subject": "pool", "path": "pool.py", "lines": "-max=50\n+max=5"} if number % 2 else None,
        "others": [
            {"subject": "docs", "path": "a.md", "lines": "+words"},
            {"subject": "alert", "path": "b.yaml", "lines": "+for: 5m"},
        ],
    }
    for number in range(4)
]


@pytest.fixture(name="histories")
def _histories(make_repo, home):
    return [open_history(make_repo("shop", CHANGES)[0], home=home)]


def test_what_would_explain_a_page_comes_first_and_says_so(histories):
    """The one that only speaks of it does not."""
    ranking = Ranker(histories, readers=Readers(cause=WordCauses()), weighing=CAUSE).rank(PAGE)
    first, *_, last = ranking.culprits

    assert (first.commit.subject, ranking.release) == ("Other words", "cause+word-causes")
    assert "what it changes would best explain the incident, of 3 changes read beside it" in [
        reason.text for reason in first.reasons
    ]
    assert not any("explain" in reason.text for reason in last.reasons)


def test_what_is_likelier_than_others_but_not_likely_is_not_said_to_explain_it(histories):
    """The nearest of many that would not is told as no more than that."""

    class Modest(WordCauses):
        def odds(self, page, changes):
            return [value - 4.0 for value in super().odds(page, changes)]

    first, second, _ = Ranker(histories, readers=Readers(cause=Modest()), weighing=CAUSE).rank(PAGE).culprits

    assert "of 3 changes read beside the incident, what it changes comes nearest to explaining it" in [
        reason.text for reason in first.reasons
    ]
    assert not any("explain" in reason.text for reason in second.reasons)


def test_only_pages_are_read_with_their_changes(histories):
    """Who asks about a project's last commits tells a repair's words: what was learned from pages says nothing there."""
    asked = []

    class Spy(WordCauses):
        def odds(self, page, changes):
            asked.append((page.split("\n")[0], sorted(change.subject for change in changes)))
            return super().odds(page, changes)

    ranker = Ranker(histories, readers=Readers(cause=Spy()))
    window = replace(PAGE, service=None)
    ranker.survey(window, window_commits=300)
    before = list(asked)
    ranker.survey(PAGE)

    assert (before, asked) == (
        [],
        [("guests cannot pay", ["Guests cannot pay: alert", "Nothing shared", "Other words"])],
    )


@pytest.mark.parametrize(
    ("title", "order"),
    [("guests cannot pay", "z.py a.py tests/test_pay.py"), ("tests cannot pay", "tests/test_pay.py z.py a.py")],
)
def test_the_changed_place_that_speaks_most_of_the_page_is_read_first(title, order, make_repo, home):
    """A large commit is cut, and what matters is in what is left: no tests, unless it is them that fail."""
    files = {"a.py": "one = 1\n", "z.py": "pay = later\n", "tests/test_pay.py": "tests_cannot = pay, cannot, guests\n"}
    asked = []

    class Spy(WordCauses):
        def odds(self, page, changes):
            asked.extend(changes)
            return super().odds(page, changes)

    repo, (sha,) = make_repo("shop", [Made(hours=1, message="Change\n\nTwo things.", files=files)])
    Ranker([open_history(repo, home=home)], readers=Readers(cause=Spy())).survey(replace(PAGE, title=title))

    paths = order.split()
    lines = "\n".join("+" + files[path].strip() for path in paths)
    assert asked == [Change(subject="Change", path=paths[0], body="Two things.", lines=lines, sha=sha)]


def test_a_cause_reader_that_fails_is_a_gap(histories):
    """The ranking is the one without it, and says what is missing."""
    failure = ModelUnavailable("no weights", why="the disk is full", way_out="make room")
    ranking = Ranker(histories, readers=Readers(cause=WordCauses(failure))).rank(PAGE)
    alone = Ranker(histories).rank(PAGE)

    assert [c.score for c in ranking.culprits] == [c.score for c in alone.culprits]
    assert any("ranked without word-causes" in gap and "the disk is full" in gap for gap in ranking.gaps)


def test_what_is_read_of_a_page_and_a_change():
    """One line each: what names things but means nothing is left out of messages."""
    change = Change(
        subject="Pool", path="a/pool.py", body="Smaller.\n\nChange-Id: I1234567", lines="-max = 50\n+  max = 5"
    )

    assert tell_page("Checkout slow\n503s  since noon") == "Checkout slow . 503s since noon"
    assert tell_change(change) == "Pool . a/pool.py . Smaller. . -max = 50 +  max = 5"


@pytest.mark.model
def test_a_trained_reader_is_read_again(tmp_path):
    """What comes out is what was trained, whatever else is read beside; the card tells of whom it learned."""
    told = [Told.model_validate(one) for one in [*TOLD, {**TOLD[1], "id": "bank-1"}]]
    numbers = train(told, tmp_path / "out", hold_out=["bank"], recipe=Recipe(epochs=2, warmup=1), release="tiny")
    reader = CauseMiniLM(tmp_path / "out")
    changes = [told[1].culprit, *told[1].others]
    odds = reader.odds(told[1].page, changes)

    assert (reader.name, numbers.incidents) == ("tiny", 1)
    assert numbers.first == float(odds[0] == max(odds))
    assert reader.odds(told[1].page, changes[::-1])[::-1] == pytest.approx(odds, abs=0.1)
    assert reader.odds(told[1].page, changes[:1]) == pytest.approx(odds[:1], abs=0.1)
    assert "| shop | learned | 4 | 2 |" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.model
def test_a_training_goes_on_from_a_reader(tmp_path):
    """Where nothing is learned it is that reader again; its card says from whom it comes."""
    told = [Told.model_validate(one) for one in TOLD]
    train(told, tmp_path / "first", recipe=Recipe(epochs=1), release="tiny-1")
    nothing = Recipe(epochs=1, rate=0.0, odds_rate=0.0)
    train(told, tmp_path / "again", start=tmp_path / "first", recipe=nothing, release="tiny-2")
    first, again = (CauseMiniLM(tmp_path / name) for name in ("first", "again"))

    assert again.name == "tiny-2"
    assert again.odds("slow", CHANGE) == first.odds("slow", CHANGE)
    assert "From tiny-1 on." in (tmp_path / "again" / "README.md").read_text()


@pytest.mark.model
def test_a_share_of_what_was_learned_is_taken(tmp_path):
    """Half of it lies halfway between what it started from and all of it."""
    told = [Told.model_validate(one) for one in TOLD]
    train(told, tmp_path / "first", recipe=Recipe(epochs=1))
    for name, share in (("half", 0.5), ("whole", 1.0)):
        # One update, which moves what it moves by about the rate: far more than rounding does.
        recipe = Recipe(epochs=1, rate=1.0, odds_rate=1.0, warmup=1, share=share)
        train(told, tmp_path / name, start=tmp_path / "first", recipe=recipe)
    first, half, whole = (read_weights(tmp_path / name) for name in ("first", "half", "whole"))

    moved = {name for name in first if not first[name].equal(whole[name])}
    assert len(moved) > len(first) / 2
    for name in moved:
        between = (first[name].double() + whole[name].double()) / 2
        # All were rounded to eight bits before they were read here.
        assert half[name].double().allclose(between, atol=0.02, rtol=0.01)


@pytest.mark.model
def test_the_same_seed_gives_the_same_weights(tmp_path):
    """And another one others."""
    told = [Told.model_validate(one) for one in TOLD]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(told, tmp_path / name, recipe=Recipe(epochs=1, seed=seed))
    first, again, other = (CauseMiniLM(tmp_path / name).odds("slow", CHANGE) for name in "abc")

    assert (first == again, first == other) == (True, False)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"id": "shop-1"}', "title"),
        ("no json", "Invalid JSON"),
        ('{"id": "s-1", "title": "a", "culprit": {}}', "subject"),
    ],
)
def test_a_line_that_is_no_incident_is_told_by_its_number(line, why, tmp_path):
    """With what is wrong in it, and how one looks."""
    file = tmp_path / "told.jsonl"
    file.write_text(json.dumps(TOLD[0]) + "\n" + line + "\n")

    with pytest.raises(UsageError, match="line 2 of") as refused:
        read_told(file)
    assert why in str(refused.value)
    assert '"culprit"' in str(refused.value)


@pytest.fixture(name="gathered")
def _gathered(make_repo, home, tmp_path):
    """The commits of a repository, and incidents made of pages in a file for it."""
    repo, shas = make_repo("shop", CHANGES)
    history = open_history(repo, home=home)
    history.refresh()

    def gathered(*pages):
        file = tmp_path / "pages.jsonl"
        file.write_text("\n".join(json.dumps({"repo": "acme/shop", **page}) for page in pages))
        return gather(read_pages(file), [history])

    return shas, gathered


@pytest.mark.model
def test_pages_of_real_commits_are_learned_beside_what_is_read_with_them(gathered):
    """Commits of that time, and nothing later; some pages also as if their commit had not been made."""
    shas, of_pages = gathered
    told, absent = of_pages({"id": "shop-1", "sha": shas[1], "title": "Guests wait"})

    assert (told.page, told.culprit.sha, told.culprit.lines) == ("Guests wait\n", shas[1], "+1")
    assert (absent.culprit, absent.others) == (None, told.others)
    assert {change.sha for change in told.others} <= set(shas) - {shas[1]}
    assert shas[0] in {change.sha for change in told.others}


@pytest.mark.model
def test_a_page_may_tell_the_commits_beside_its_own(gathered):
    """These and no others, with the lines that the page lets be read; one that none of them did stays one."""
    shas, of_pages = gathered
    # The second's words are a repair's and nobody knows its service: it is a page all the same.
    words = "The sidebar refuses to close when the dropdown is missing in the template"
    told, none = of_pages(
        {"id": "shop-1", "sha": shas[1], "others": [shas[2]], "title": "Guests wait"},
        {"id": "shop-2", "service": "z", "sha": None, "others": [shas[2], shas[0]], "title": words},
    )

    assert (told.culprit.sha, told.culprit.lines, [change.sha for change in told.others]) == (shas[1], "+1", [shas[2]])
    assert (none.culprit, {change.sha for change in none.others}) == (None, {shas[0], shas[2]})


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ({"sha": None}, "names no commit"),
        ({}, "sha\n  Field required"),
        ({"Sha": "a" * 40, "others": ["b" * 40]}, "Extra inputs are not permitted"),
        ({"sha": "a" * 40, "others": ["b" * 40, "a" * 40]}, "names a commit twice"),
        ({"sha": "a" * 40, "others": ["b" * 12]}, "others.0\n  String should match pattern"),
        ({"sha": "A" * 40}, "sha\n  String should match pattern"),
        ({"sha": "a" * 40, "others": [f"{number:040x}" for number in range(16)]}, "at most 15 items"),
    ],
)
def test_a_page_whose_commits_are_not_plain_is_refused_by_its_line(page, why, tmp_path):
    """With what is wrong, and how a line looks: what is read wrongly would be learned as a page that no commit caused."""
    file = tmp_path / "pages.jsonl"
    file.write_text(json.dumps({"id": "shop-1", "repo": "shop", "title": "Guests wait", **page}))

    with pytest.raises(UsageError) as refused:
        read_pages(file)

    assert f"line 1 of '{file}'" in str(refused.value)
    assert why in str(refused.value)
    assert '"sha": null and "others"' in str(refused.value)


@pytest.mark.parametrize(
    ("repo", "why"), [("shop", "has no commit ffffffffffff, of page 'p-1'"), ("bank", "no page is of")]
)
def test_a_page_of_no_commit_is_told(repo, why, histories):
    """With its id, or that none is of a given repository."""
    histories[0].refresh()

    with pytest.raises(UsageError, match=why):
        gather([Page(id="p-1", repo=repo, sha="f" * 40, title="Slow")], histories)


@pytest.mark.parametrize(("hold_out", "why"), [(["bank"], "bank"), (["shop"], "no incident to learn from")])
def test_a_training_that_cannot_be_is_refused_before_it_begins(hold_out, why, tmp_path, capsys):
    """Nothing is written."""
    file = tmp_path / "told.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in TOLD))
    arguments = [text for world in hold_out for text in ("--hold-out", world)]

    assert main(["--incidents", str(file), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.model
@pytest.mark.parametrize("damage", ["no config", "other weights", "cut weights"])
def test_weights_that_cannot_be_used_are_told(damage, tmp_path):
    """With the folder, the reason and the way out."""
    folder = shutil.copytree(FOLDER, tmp_path / "weights")
    if damage == "no config":
        (folder / "config.json").unlink()
    else:
        whole = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(whole[:1000] if damage == "cut weights" else whole + b"x")

    with pytest.raises(ModelUnavailable, match="cannot load the cause reader in") as refused:
        CauseMiniLM(folder).odds("slow", [Change(subject="x", path="y")])
    assert "install Rundown again" in str(refused.value)


#: A page, the change that brings it about, and one that only speaks of it; none of them was learned from.
_SEEN = [
    (
        "Checkout p99 above 4 s\nThreads wait for a database connection since 14:10.",
        ("Tidy datasource settings", "config/db.yaml", "-  maximum-pool-size: 40\n+  maximum-pool-size: 4"),
        (
            "Alert when checkout p99 is above 4 s",
            "alerts/checkout.yaml",
            "+  - alert: CheckoutSlow\n+    expr: p99 > 4",
        ),
    ),
    (
        "Customers are signed out after a minute",
        ("Shorten session lifetime", "auth/session.py", "-TTL = 86400\n+TTL = 60"),
        ("Document how customers sign out", "docs/sign-out.md", "+Customers sign out in the menu."),
    ),
    (
        "OOMKilled: thumbnails worker restarts every ten minutes",
        ("Set resource limits", "charts/thumbnails/values.yaml", "-    memory: 2Gi\n+    memory: 256Mi"),
        ("thumbnails: log restarts of the worker", "thumbnails/main.go", '+\tlog.Info("worker restarted")'),
    ),
    (
        "Search returns nothing for words with accents",
        (
            "Simplify analyzer",
            "search/mapping.json",
            '-  "filter": ["lowercase", "asciifolding"]\n+  "filter": ["lowercase"]',
        ),
        (
            "Add a test for search with accents",
            "search/test_search.py",
            "+def test_accents():\n+    assert find('café')",
        ),
    ),
    (
        "502 from the API gateway for all uploads over 1 MB",
        ("Clean up nginx config", "nginx/api.conf", "-    client_max_body_size 50m;"),
        (
            "Explain 502 on uploads in the runbook",
            "docs/uploads.md",
            "+If uploads give 502, look at the gateway first.",
        ),
    ),
    (
        "Emails arrive twice",
        ("Retry sending on timeout", "mailer/send.py", "-    smtp.send(mail)\n+    retry(smtp.send, mail, times=3)"),
        ("Dashboard panel: duplicate emails", "grafana/mail.json", '+  "title": "Emails sent twice"'),
    ),
]


#: Held for about as unlikely as its watcher by what ships: known, and in the log.
_LEVEL = "Emails arrive twice"


@pytest.mark.model
@pytest.mark.parametrize(("page", "culprit", "watcher"), _SEEN, ids=[page[:20] for page, _, _ in _SEEN])
def test_what_ships_holds_the_cause_for_likelier_than_what_speaks_of_the_symptom(page, culprit, watcher):
    """By words and by meaning it is the other way round."""
    changes = [Change(subject=subject, path=path, lines=lines) for subject, path, lines in (culprit, watcher)]
    cause, other = CauseMiniLM().odds(page, changes)

    assert cause > other + (-0.2 if page == _LEVEL else 0.5)


@pytest.mark.parametrize("share", ["0", "1.5", "-1", "half", "nan"])
def test_a_share_that_is_none_is_refused(share, tmp_path, capsys):
    """With what it may be."""
    with pytest.raises(SystemExit) as ended:
        main(["--incidents", "x.jsonl", "--out", str(tmp_path / "out"), "--share", share])

    assert ended.value.code == 2
    assert f"'{share}' is no share: give a number above 0 and at most 1" in capsys.readouterr().err
