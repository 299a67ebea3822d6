"""Diffs of candidates, within limits and whatever a repository holds."""

from __future__ import annotations

import pytest
from ranking_repos import NOON, Change, git

from core.errors import RepositoryError
from ranking.diffs import COMMIT_LIMIT, Diff, Hunk, read_diffs
from ranking.history import open_history
from ranking.repository import Repository


def test_a_diff_gives_its_hunks_by_path(make_repo):
    """Changed lines with a line around them and git's heading, alone with their signs, and how many were added and removed."""
    lines = [f"line {number}\n" for number in range(30)]
    changed = [*lines[:3], "added\n", *lines[3:20], *lines[21:]]
    path, shas = make_repo(
        "shop",
        [
            Change(hours=2, message="One", files={"a.txt": "".join(lines), "gone.txt": "bye\n"}),
            Change(hours=1, message="Two", files={"a.txt": "".join(changed), "gone.txt": None}),
        ],
    )

    assert read_diffs(Repository(path), [shas[1]]) == {
        shas[1]: Diff(
            hunks=(
                Hunk(path="a.txt", text="line 1\nline 2\nadded\nline 3", changes="+added"),
                Hunk(path="a.txt", text="line 18\nline 19\nline 20\nline 21", changes="-line 20"),
                Hunk(path="gone.txt", text="\nbye", changes="-bye"),
            ),
            added=1,
            removed=2,
        )
    }


@pytest.mark.parametrize(
    ("files", "hunks"),
    [
        ({"größe und mehr.txt": "x\n"}, [("größe und mehr.txt", "\nx")]),
        ({"quo'te.txt": "x\n"}, [("quo'te.txt", "\nx")]),
        ({"binary.bin": "a\0b"}, []),
        ({"empty.txt": ""}, []),
        ({"no-end.txt": "x"}, [("no-end.txt", "\nx\n No newline at end of file")]),
        (
            {"tricky.txt": "-- not a header\n++ nor this\n@@ nor that\n"},
            [("tricky.txt", "\n-- not a header\n++ nor this\n@@ nor that")],
        ),
        ({}, []),
    ],
)
def test_odd_files_do_not_upset_the_reading(files, hunks, make_repo):
    """Any name, binary and empty files, lines that look like headers."""
    path, shas = make_repo("shop", [Change(hours=1, message="One", files=files)])

    assert [(hunk.path, hunk.text) for hunk in read_diffs(Repository(path), shas)[shas[0]].hunks] == hunks


@pytest.mark.parametrize("content", ["word " * 100_000, "word\n" * 100_000])
def test_a_huge_diff_is_cut(content, make_repo):
    """One long line or many short ones: neither fills the memory."""
    path, shas = make_repo(
        "shop",
        [
            Change(hours=2, message="Huge", files={"dump.txt": content}),
            Change(hours=1, message="Small", files={"a.txt": "x\n"}),
        ],
    )
    found = read_diffs(Repository(path), shas)

    assert sum(len(hunk.text) for hunk in found[shas[0]].hunks) <= COMMIT_LIMIT + 500
    assert found[shas[1]].hunks[0].text == "\nx"


def test_a_file_of_megabytes_counts_as_binary(make_repo):
    """git does not even compare it."""
    path, shas = make_repo("shop", [Change(hours=1, message="Dump", files={"dump.sql": "insert\n" * 300_000})])

    assert read_diffs(Repository(path), shas)[shas[0]].hunks == ()


def test_no_time_reads_nothing(make_repo):
    """What was not reached is missing, which the caller tells."""
    path, shas = make_repo("shop", [Change(hours=1, message="One", files={"a.txt": "x\n"})])

    assert read_diffs(Repository(path), shas, stop_after_s=0) == {}


def test_a_partial_clone_is_not_completed_over_the_network(make_repo, tmp_path, home):
    """Blobs that a partial clone left behind stay there; its commits are ranked without their lines."""
    path, shas = make_repo("shop", [Change(hours=1, message="One", files={"a.txt": "x\n"})])
    git(path, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", path.as_uri(), str(tmp_path / "partial"))
    history = open_history(tmp_path / "partial", home=home)
    history.refresh()

    assert [commit.files[0].path for commit in history.last_commits_before(NOON, 9)] == ["a.txt"]
    assert read_diffs(history.repository, shas) == {}
    assert "?" in git(tmp_path / "partial", "rev-list", "--objects", "--missing=print", "HEAD")


def test_a_failure_of_another_kind_is_raised(make_repo):
    """An unknown id is not a missing file."""
    path, _ = make_repo("shop", [Change(hours=1, message="One", files={"a.txt": "x\n"})])

    with pytest.raises(RepositoryError, match="bad object"):
        read_diffs(Repository(path), ["f" * 40])


@pytest.mark.parametrize(
    "setting", ["diff.external=false", "color.ui=always", "diff.noprefix=true", "log.showRoot=false"]
)
def test_the_readers_own_git_settings_change_nothing(setting, make_repo, tmp_path):
    """Whatever a person likes in their terminal, the diff read is the same."""
    path, shas = make_repo("shop", [Change(hours=1, message="One", files={"a.txt": "x\n"})])
    plain = read_diffs(Repository(path), shas)
    git(path, "config", *setting.split("="))

    assert read_diffs(Repository(path), shas) == plain
    assert plain[shas[0]].hunks == (Hunk(path="a.txt", text="\nx", changes="+x"),)
