"""A repository's history as it stood before a moment."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from ranking_repos import NOON, Change, add, commit_with_times, git

from core.errors import RepositoryError
from core.model import from_unix
from ranking.history import open_histories, open_history

SHOP = [
    Change(hours=400, message="Add the shop", files={"shop.py": "print()\n", "db/pool.py": "SIZE = 5\n"}),
    Change(hours=30, message="Raise the pool\n\nMore load.", files={"db/pool.py": "SIZE = 50\n"}, author="bob"),
    Change(hours=5, message='Revert "Raise the pool"\n\nThis reverts commit {1}.', files={"db/pool.py": "SIZE = 5\n"}),
    Change(hours=1, message="Größe: naïve ☃ path", files={"docs/größe.md": "x\n", "shop.py": None}),
]


@pytest.fixture(name="shop")
def _shop(make_repo):
    path, shas = make_repo("shop", SHOP[:2])
    revert = Change(hours=5, message=SHOP[2].message.replace("{1}", shas[1]), files=SHOP[2].files)
    return path, [*shas, *add(path, [revert, SHOP[3]], onto=shas[1])]


def test_a_commit_is_told_as_git_tells_it(shop, home):
    """Author, times, message and paths, in any script."""
    path, shas = shop
    history = open_history(path, home=home)
    history.refresh()
    (commit,) = history.last_commits_before(NOON, 1)

    assert {
        "sha": commit.sha,
        "repo": commit.repo,
        "author": (commit.author, commit.author_email),
        "at": NOON - commit.committed_at,
        "message": (commit.subject, commit.body),
        "files": [(change.path, change.status) for change in commit.files],
        "url": commit.url,
    } == {
        "sha": shas[3],
        "repo": "shop",
        "author": ("ada", "ada@example.org"),
        "at": timedelta(hours=1),
        "message": ("Größe: naïve ☃ path", ""),
        "files": [("docs/größe.md", "A"), ("shop.py", "D")],
        "url": None,
    }


def test_a_refresh_takes_only_what_is_new(shop, home):
    """The second run reads nothing, the third only the commit that came."""
    path, shas = shop
    history = open_history(path, home=home)
    first, second = history.refresh(), history.refresh()
    (new,) = add(path, [Change(hours=0.5, message="New")], onto=shas[3])
    third = open_history(path, home=home).refresh()

    assert (first, second, third) == (4, 0, 1)
    assert new in [commit.sha for commit in history.last_commits_before(NOON, 9)]


def test_a_forced_push_takes_its_commits_away(shop, home):
    """What a rewrite removed is no candidate any more; what it kept is read once."""
    path, shas = shop
    history = open_history(path, home=home)
    history.refresh()
    (amended,) = add(path, [Change(hours=0.9, message="Amended")], onto=shas[2])

    assert history.refresh() == 1
    assert [c.sha for c in history.last_commits_before(NOON, 9)] == [amended, *reversed(shas[:3])]


def test_a_rewrite_that_also_pruned_the_old_tip_reads_everything_again(make_repo, home):
    """A history replaced outright is simply indexed anew."""
    path, _ = make_repo("shop", [Change(hours=9, message="Old")])
    history = open_history(path, home=home)
    history.refresh()
    new = add(path, [Change(hours=8, message="Other root")])
    git(path, "reflog", "expire", "--expire=now", "--all")
    git(path, "gc", "-q", "--prune=now")

    assert (history.refresh(), [c.sha for c in history.last_commits_before(NOON, 9)]) == (1, new)


@pytest.mark.parametrize("layout", ["work tree", "bare", "git folder", "inside", "without config", "linked work tree"])
def test_every_layout_of_a_repository_is_read(layout, shop, home, tmp_path):
    """Work trees, bare repositories, git folders, folders inside, copies without a config file."""
    path, shas = shop
    at = {"work tree": path, "git folder": path / ".git", "inside": path / "db"}.get(layout, tmp_path / "copy" / "repo")
    if layout == "inside":
        at.mkdir()
    elif layout == "bare":
        git(tmp_path, "clone", "-q", "--bare", str(path), str(at))
    elif layout == "linked work tree":
        git(path, "worktree", "add", "-q", "--detach", str(at), "HEAD")
    elif layout == "without config":
        git(tmp_path, "clone", "-q", "--bare", str(path), str(at))
        (at / "config").unlink()
    history = open_history(at, home=home)
    history.refresh()

    assert [commit.sha for commit in history.commits_between(NOON - timedelta(days=99), NOON)] == shas[::-1]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("shop", "shop"),
        ("shop.git", "shop"),
        ("shop/.git", "shop"),
        ("acme+shop/repo", "shop"),
        ("shop/repo", "shop"),
        ("acme+shop", "shop"),
    ],
)
def test_a_repository_is_called_by_its_folder(given, name, make_repo, home, tmp_path):
    """Without ".git", and without a mirror's owner."""
    path, _ = make_repo("origin", [Change(hours=1, message="One")])
    target = tmp_path / "named" / given
    git(tmp_path, "clone", "-q", "--bare", str(path), str(target))

    assert open_history(target, home=home).name == name


def _empty(path: Path) -> None:
    git(path.parent, "init", "-q", str(path))


def _unborn(path: Path) -> None:
    git(path.parent, "init", "-q", "-b", "main", str(path))
    add(path, [Change(hours=1, message="One")])
    git(path, "symbolic-ref", "HEAD", "refs/heads/gone")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no such path"),
        (lambda path: path.write_text("x"), "it is a file"),
        (lambda path: path.mkdir(), "there is no git repository there"),
        (_empty, "it is empty, there is no commit to rank. commit or fetch into it first"),
        (_unborn, "git symbolic-ref HEAD refs/heads/main"),
    ],
)
def test_what_is_no_repository_is_refused_with_a_way_out(make, says, home, tmp_path):
    """The message names the path, the reason and what to do."""
    path = tmp_path / "it"
    make(path)

    with pytest.raises(RepositoryError, match="cannot read repository") as refused:
        open_history(path, home=home)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_repository_of_someone_else_says_how_to_trust_it(shop, home, monkeypatch):
    """git refuses foreign repositories; the message gives the command."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

    with pytest.raises(RepositoryError, match=r"git config --global --add safe\.directory"):
        open_history(shop[0], home=home)


def test_git_dir_in_the_environment_is_refused(shop, home, monkeypatch):
    """Inside a git hook, git would read the hook's repository instead."""
    monkeypatch.setenv("GIT_DIR", str(shop[0] / ".git"))

    with pytest.raises(RepositoryError, match="unset GIT_DIR"):
        open_history(shop[0], home=home)


def test_a_shallow_clone_works_and_says_what_it_lacks(shop, home, tmp_path):
    """The cut commit seems to add every file; it is kept without files, and the gap is told."""
    path, shas = shop
    git(tmp_path, "clone", "-q", "--depth", "2", path.as_uri(), str(tmp_path / "cut"))
    history = open_history(tmp_path / "cut", home=home)
    history.refresh()
    commits = history.last_commits_before(NOON, 9)

    assert [(commit.sha, len(commit.files)) for commit in commits] == [(shas[3], 2), (shas[2], 0)]
    assert "git fetch --unshallow" in history.gaps[0]

    git(tmp_path / "cut", "fetch", "-q", "--unshallow")
    history.refresh()

    assert (len(history.last_commits_before(NOON, 9)), history.gaps) == (4, ())


def test_a_clone_without_trees_says_what_it_lacks(shop, home, tmp_path):
    """Paths are in trees: without them there is nothing to index, and nothing is fetched."""
    git(shop[0], "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=tree:0", shop[0].as_uri(), str(tmp_path / "bare"))

    with pytest.raises(RepositoryError, match=r"partial clone.*--filter=blob:none"):
        open_history(tmp_path / "bare", home=home).refresh()


def test_one_broken_repository_among_several_is_a_gap(shop, home, tmp_path):
    """The others are opened; when none can be, the first refusal is raised."""
    histories, gaps = open_histories([shop[0], f"web={tmp_path / 'missing'}"], home=home)

    assert ([history.name for history in histories], len(gaps)) == (["shop"], 1)
    assert "there is no such path" in gaps[0]
    with pytest.raises(RepositoryError, match="no such path"):
        open_histories([tmp_path / "missing"], home=home)


def test_commits_are_found_by_prefix_off_the_branch_and_merged(shop, home):
    """Given candidates may be abbreviated, on another branch, or merges: those are read against their first parent."""
    path, shas = shop
    env = {"GIT_COMMITTER_DATE": "2024-05-14T10:00:00Z", "GIT_AUTHOR_DATE": "2024-05-14T10:00:00Z"}
    os.environ.update(env)
    try:
        tree = git(path, "rev-parse", f"{shas[1]}^{{tree}}")
        merge = git(path, "commit-tree", tree, "-p", shas[0], "-p", shas[2], "-m", "Merge it")
    finally:
        for name in env:
            del os.environ[name]
    history = open_history(path, home=home)
    history.refresh()
    asked = [shas[1][:8], merge, "f" * 40, "no hex"]

    def paths(found):
        return {sha: [change.path for change in commit.files] for sha, commit in found.items()}

    assert paths(history.find(asked, NOON)) == {shas[1][:8]: ["db/pool.py"]}
    assert paths(history.find_elsewhere(asked[1:], NOON)) == {merge: ["db/pool.py"]}
    assert history.find_elsewhere([merge], NOON - timedelta(hours=2)) == {}


def test_owners_and_reverts_are_those_of_before(shop, home):
    """Who changed a path how often, and what was reverted there."""
    path = shop[0]
    history = open_history(path, home=home)
    history.refresh()
    paths = ["db/pool.py", "docs/größe.md"]

    assert [
        (history.owners(paths, moment), history.reverts_of(paths, moment))
        for moment in (NOON - timedelta(hours=20), NOON)
    ] == [
        ({"db/pool.py": {"ada@example.org": 1, "bob@example.org": 1}}, {}),
        (
            {"db/pool.py": {"ada@example.org": 2, "bob@example.org": 1}, "docs/größe.md": {"ada@example.org": 1}},
            {"db/pool.py": 1},
        ),
    ]


def test_a_file_is_read_as_it_was(make_repo, home):
    """CODEOWNERS counts as of the last commit before the moment."""
    path, _ = make_repo(
        "shop",
        [
            Change(hours=9, message="Old", files={"CODEOWNERS": "old\n"}),
            Change(hours=1, message="New", files={"CODEOWNERS": "new\n"}),
        ],
    )
    history = open_history(path, home=home)
    history.refresh()
    moments = (NOON - timedelta(hours=10), NOON - timedelta(hours=1), NOON)

    assert [history.files_before(["CODEOWNERS", "none"], moment) for moment in moments] == [
        {},
        {"CODEOWNERS": "old\n"},
        {"CODEOWNERS": "new\n"},
    ]


def _refresh(path: Path, home: Path) -> int:
    return open_history(path, home=home).refresh()


def _rename(index: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(index)) as db:
        db.execute(f"ALTER TABLE {table} RENAME TO {name}")


def test_several_processes_may_fill_one_index(shop, home):
    """One writes, the others wait and find nothing left to do."""
    with multiprocessing.get_context("fork").Pool(4) as pool:
        counts = pool.starmap(_refresh, [(shop[0], home)] * 4)

    assert sorted(counts) == [0, 0, 0, 4]


def test_a_reader_sees_what_another_took(shop, home):
    """A history that is kept open, as `rundown serve` keeps it, reads what another process put into the index since."""
    reader = open_history(shop[0], home=home)
    assert reader.last_commits_before(NOON, 9) == []

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        count = pool.apply(_refresh, (shop[0], home))

    assert len(reader.last_commits_before(NOON, 9)) == count > 0


def test_an_index_built_anew_is_read_by_who_had_the_old_one_open(shop, home):
    """The way out of a damaged index is to delete it: a history kept open does not go on with the file that is gone."""
    kept = open_history(shop[0], home=home)
    kept.refresh()
    assert kept.last_commits_before(NOON, 1)
    for file in (home / "git").glob("*.sqlite*"):
        file.unlink()

    assert open_history(shop[0], home=home).refresh() == 4
    add(shop[0], [Change(hours=0.1, message="Later", files={"later.py": "1\n"})], onto=shop[1][-1])
    assert open_history(shop[0], home=home).refresh() == 1
    assert kept.last_commits_before(NOON, 1)[0].subject == "Later"


def test_what_is_asked_together_is_asked_on_one_connection(shop, home, monkeypatch):
    """A thread's questions inside of a block share its connection, another thread's do not; after it nothing stays open."""
    history = open_history(shop[0], home=home)
    history.refresh()
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def counted(*args, **kwargs):
        opened.append(connect(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", counted)
    with history.connected():
        told = history.owners(["db/pool.py"], NOON), history.reverts_of(["db/pool.py"], NOON)
        other = threading.Thread(target=history.last_commits_before, args=(NOON, 1))
        other.start()
        other.join()
    assert len(opened) == 2
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")
    assert told == (history.owners(["db/pool.py"], NOON), history.reverts_of(["db/pool.py"], NOON))


def test_a_question_that_fails_among_others_fails_as_ever(shop, home):
    """The index's error has a way out wherever it is raised, and the next question has a connection of its own."""
    history = open_history(shop[0], home=home)
    history.refresh()
    (file,) = (home / "git").glob("*.sqlite")
    _rename(file, "mentions", "gone")
    with pytest.raises(RepositoryError, match="delete the file"), history.connected():
        history.reverts_of(["db/pool.py"], NOON)
    _rename(file, "gone", "mentions")

    assert history.reverts_of(["db/pool.py"], NOON) == {"db/pool.py": 1}


def test_a_damaged_index_says_what_to_do(shop, home):
    """It can be deleted: it is built from the repository."""
    open_history(shop[0], home=home).refresh()
    (file,) = (home / "git").glob("*.sqlite")
    for rest in (home / "git").glob("*.sqlite-*"):
        rest.unlink()
    file.write_bytes(b"not a database at all, but long enough to look at" * 100)

    with pytest.raises(RepositoryError, match="delete the file"):
        open_history(shop[0], home=home).refresh()


@pytest.mark.parametrize(
    ("authored", "committed", "seen"),
    [
        pytest.param("999999999999", "{hour_ago}", True, id="written in the year 33658"),
        pytest.param("{hour_ago}", "999999999999", False, id="committed in the year 33658"),
        pytest.param("{hour_ago}", "99999999999999999999", False, id="committed past what 64 bits hold"),
        pytest.param("garbage", "{hour_ago}", True, id="written at no time"),
        pytest.param("{hour_ago}", "-5", False, id="committed before 1970"),
    ],
)
def test_a_clock_out_of_its_mind_takes_no_other_commit_along(shop, home, authored, committed, seen):
    """The others are read as ever, and so is what comes after it; it counts as made when a calendar can say."""
    path, shas = shop
    hour_ago = int(NOON.timestamp()) - 3600
    odd = commit_with_times(path, authored.format(hour_ago=hour_ago), committed.format(hour_ago=hour_ago), "Odd")
    (after,) = add(path, [Change(hours=0.5, message="After it", files={"a.txt": "x\n"})], onto=odd)
    history = open_history(path, home=home)
    history.refresh()
    (later,) = add(path, [Change(hours=0.2, message="Later", files={"a.txt": "y\n"})], onto=after)

    assert history.refresh() == 1
    assert {commit.sha for commit in history.suspects_between(NOON - timedelta(days=30), NOON)} == {
        *shas,
        after,
        later,
        *([odd] if seen else []),
    }


@pytest.mark.parametrize("start", [0, -86_400.0, 99_999_999])
def test_what_a_commit_holds_is_told_from_any_time_on(shop, home, start):
    """git takes few digits for a date of its own kind, and then finds nothing."""
    path, shas = shop
    history = open_history(path, home=home)
    history.refresh()

    assert history.held_by([shas[2]], from_unix(start)) == {shas[2]: frozenset(shas[:3])}


def test_the_branch_goes_on_after_a_commit_of_1970(shop, home):
    """Its clock has nothing to do with when it came."""
    path, _ = shop
    history = open_history(path, home=home)
    history.refresh()
    odd = commit_with_times(path, "5", "5", "Odd")
    history.refresh()

    assert history.branch_at(from_unix(6)) == odd


def test_a_reader_who_is_shown_signatures_gets_the_same_history(shop, home, tmp_path, monkeypatch):
    """`log.showSignature` makes git print gpg's words before the commit's."""
    path, shas = shop
    gpg = tmp_path / "gpg"
    gpg.write_text(
        "#!/bin/sh\ncat > /dev/null\ncase \"$*\" in *--verify*) echo '[GNUPG:] GOODSIG 1 ada'; echo 'gpg: Good signature' >&2;;\n"
        "*) echo '[GNUPG:] SIG_CREATED ' >&2; echo '-----BEGIN PGP SIGNATURE-----'; echo; echo '-----END PGP SIGNATURE-----';; esac\n"
    )
    gpg.chmod(0o755)
    for place, (key, value) in enumerate({"gpg.program": str(gpg), "log.showSignature": "true"}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{place}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{place}", value)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    history = open_history(path, home=home)
    history.refresh()
    tree = git(path, "rev-parse", "HEAD^{tree}")
    who = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    git(
        path,
        "update-ref",
        "refs/heads/main",
        git(path, *who, "commit-tree", "-S", "-m", "Signed", "-p", shas[-1], tree),
    )

    assert history.refresh() == 1


def test_progress_is_told(shop, home):
    """Commits read, and how many there are."""
    told: list[tuple[int, int | None]] = []
    open_history(shop[0], home=home).refresh(lambda done, total: told.append((done, total)))

    assert told == [(4, 4)]


def test_a_repository_that_vanishes_is_not_mistaken_for_another(shop, make_repo, home, monkeypatch):
    """Deleted between two questions, it is refused like any other, and the caller's own repository is not read."""
    history = open_history(shop[0], home=home)
    shutil.rmtree(shop[0])
    monkeypatch.chdir(make_repo("other", [Change(hours=1, message="Other")])[0])

    with pytest.raises(RepositoryError, match="cannot read repository"):
        history.refresh()
