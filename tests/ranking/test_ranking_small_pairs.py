"""What the small Llama learns from, read from real repositories."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change

from core.errors import UsageError
from ranking.history import open_history
from ranking.labels.cases import Labelled
from ranking.small.__main__ import main
from ranking.small.pairs import gather

WHY = "The image service answers 502 for every upload since the deploy, the workers crash on an empty header and never come back."
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"


@pytest.fixture(name="history")
def _history(make_repo, tmp_path):
    """Opens a repository in which one commit broke something and two later ones say so, the second too late."""

    def make(name: str):
        path, (first,) = make_repo(
            name,
            [Change(hours=90, message=f"Start the {name} service\n\n{'Words about it. ' * 8}", files={"a.py": "1"})],
        )
        from ranking_repos import add

        (culprit,) = add(
            path,
            [
                Change(
                    hours=80,
                    message=f"Read headers lazily in {name}\n\nToken {SECRET} was used. {'It is faster that way. ' * 4}",
                    files={"b.py": "1"},
                )
            ],
            onto=first,
        )
        (revert,) = add(
            path,
            [
                Change(
                    hours=70,
                    message=f'Revert "Read headers lazily in {name}"\n\nThis reverts commit {culprit}.\n\n{WHY}',
                    files={"b.py": "0"},
                )
            ],
            onto=culprit,
        )
        (later,) = add(
            path, [Change(hours=-5, message="Tune the cache of thumbnails", files={"c.py": "1"})], onto=revert
        )
        add(
            path,
            [
                Change(
                    hours=-9,
                    message=f"Repair thumbnails\n\nThe cache crashes with an error on every third picture that people open.\n\nFixes: {later[:12]}",
                    files={"c.py": "2"},
                )
            ],
            onto=later,
        )
        history = open_history(path, name=name, home=tmp_path / "home")
        history.refresh()
        return history, culprit

    return make


def test_a_history_gives_pairs_and_commits_of_its_past(history):
    """The revert's reason belongs to what it reverts; what came after the moment is not there."""
    shop, culprit = history("shop")

    (texts,) = gather([shop], before=NOON).learned

    (pair,) = texts.pairs
    assert (pair.culprit.sha, WHY[:40] in pair.incident) == (culprit, True)
    assert [text.head.split(" . ")[0] for text in texts.commits] == [
        "Start the shop service",
        "Read headers lazily in shop",
    ]
    assert "thumbnails" not in repr(texts)


def test_later_the_same_history_gives_more(history):
    """So it is the moment that keeps the future out, above."""
    shop, _ = history("shop")

    (texts,) = gather([shop], before=NOON + timedelta(days=2)).learned

    assert (len(texts.pairs), "thumbnails" in repr(texts)) == (2, True)


def test_a_held_out_repository_is_not_learned_from(history):
    """None of its commits or incidents is among what is learned."""
    histories = [history("shop")[0], history("api")[0]]

    found = gather(histories, before=NOON, hold_out=["api"])

    shas = {text.sha for part in found.learned for text in (*part.commits, *(pair.culprit for pair in part.pairs))}
    held = {text.sha for part in found.held_out for text in part.commits}
    assert ([part.name for part in found.learned], [part.name for part in found.held_out]) == (["shop"], ["api"])
    assert (len(held), shas & held, " api " in repr(found.learned)) == (2, set(), False)


def test_what_a_fork_shares_with_a_held_out_repository_is_not_learned(history, tmp_path):
    """The same commits under another name are held out too."""
    shop, _ = history("shop")
    other, _ = history("api")
    fork = open_history(shop.repository.path, name="fork", home=tmp_path / "home")
    fork.refresh()

    found = gather([shop, fork, other], before=NOON, hold_out=["shop"])

    assert [(part.name, len(part.commits), len(part.pairs)) for part in found.learned] == [
        ("fork", 0, 0),
        ("api", 2, 1),
    ]


def test_secrets_are_not_learned(history):
    """What looks like a secret is taken out before anything is read."""
    shop, _ = history("shop")

    found = repr(gather([shop], before=NOON))

    assert (SECRET in found, "[redacted:" in found) == (False, True)


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, 1),
        ({"repos": ("api",)}, 0),
        ({"created_at": NOON.timestamp()}, 0),
        ({"created_at": (NOON - timedelta(hours=85)).timestamp()}, 0),
        ({"culprits": ()}, 0),
        ({"culprits": ("f" * 40,)}, 0),
    ],
)
def test_given_cases_replace_mined_ones(history, change, count):
    """A case counts when its culprit is known, of this repository, and earlier than it; and it is before the moment."""
    shop, culprit = history("shop")
    given = {
        "id": "1",
        "repos": ("shop",),
        "title": "uploads fail",
        "description": "with 502",
        "created_at": (NOON - timedelta(hours=60)).timestamp(),
        "culprits": (culprit,),
    }

    (texts,) = gather([shop], before=NOON, cases=[Labelled(**{**given, **change})]).learned

    assert [pair.incident for pair in texts.pairs] == ["uploads fail with 502"] * count


def test_a_large_repository_is_sampled(history):
    """Culprits are kept, and of the others as many as asked for; the same each time."""
    shop, culprit = history("shop")

    found = [gather([shop], before=NOON, commits=1, seed=seed) for seed in (1, 1)]

    assert (found[0].digest() == found[1].digest(), culprit in {text.sha for text in found[0].learned[0].commits}) == (
        True,
        True,
    )
    assert len(found[0].learned[0].commits) <= 2


@pytest.mark.parametrize(
    ("hold_out", "before", "told"),
    [
        (["apo"], NOON, "name one of shop"),
        (["shop"], NOON, "nothing to learn from"),
        ([], NOON - timedelta(days=9), "nothing to learn from"),
    ],
)
def test_nothing_to_learn_from_is_refused(history, hold_out, before, told):
    """The message names the way out."""
    shop, _ = history("shop")

    with pytest.raises(UsageError, match=told):
        gather([shop], before=before, hold_out=hold_out)


def test_the_command_trains_and_tells(history, tmp_path, capsys):
    """From repositories to a folder, with numbers; a second call does nothing more."""
    from small_world import make_small

    paths = [f"{name}={history(name)[0].repository.path}" for name in ("shop", "api")]
    arguments = [
        *(part for path in paths for part in ("--repo", path)),
        "--before",
        NOON.isoformat(),
        "--hold-out",
        "api",
    ]
    arguments += [
        "--steps",
        "2",
        "--start",
        str(make_small(tmp_path / "start")),
        "--out",
        str(tmp_path / "out"),
        "--home",
        str(tmp_path / "home"),
    ]

    codes = [main(arguments), main(arguments)]

    told = capsys.readouterr().out
    assert (codes, told.count("learning culprits: 2 updates"), told.count("held-out incidents")) == ([0, 0], 2, 2)


def test_the_command_names_what_it_cannot_use(history, tmp_path, capsys):
    """A name that no repository has ends with 2 and says which there are."""
    shop, _ = history("shop")
    given = ["--repo", f"shop={shop.repository.path}", "--before", "2024-05-14", "--hold-out", "apo", "--steps", "1"]

    code = main([*given, "--out", str(tmp_path / "out"), "--home", str(tmp_path / "home")])

    assert (code, "cannot hold out 'apo'" in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--before", "soon"], "'soon' is no date"),
        (["--steps", "0"], "'0' is not a number of 1 or more"),
        (["--steps", "1", "--minutes", "1"], "not allowed with"),
    ],
)
def test_wrong_usage_is_told(tmp_path, capsys, given, told):
    """What cannot be read off the command line ends with 2 and says what was meant."""
    whole = ["--repo", str(tmp_path), "--before", "2024-05-14", "--steps", "1", "--out", str(tmp_path / "out"), *given]

    with pytest.raises(SystemExit) as ended:
        main(whole)

    assert (ended.value.code, told in capsys.readouterr().err) == (2, True)
