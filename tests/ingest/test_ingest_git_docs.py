"""Documents in a git repository."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import RepositoryError
from core.model import Document
from ingest.git_docs import GitSource, is_repository
from ingest.sources import Held, Skipped


def git(repo: Path, *args: str, at: str = "2024-01-01T00:00:00Z") -> str:
    env = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    done = subprocess.run(
        ["git", "-C", str(repo), *args], env=os.environ | env, check=True, capture_output=True, text=True
    )
    return done.stdout


def commit(repo: Path, at: str, **files: str) -> None:
    for name, text in files.items():
        path = repo / name.replace("__", "/").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "change", at=at)


@pytest.fixture(name="repo")
def _repo(tmp_path: Path) -> Path:
    path = tmp_path / "handbook"
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    commit(path, "2024-01-01T00:00:00Z", runbooks__disk_md="# Disk\n\nfirst", wiki__a_md="# A\n\nx")
    commit(path, "2024-02-01T00:00:00Z", runbooks__disk_md="# Disk\n\nsecond")
    return path


def documents(source: GitSource) -> list[Document]:
    return [item for item in source.documents() if isinstance(item, Document)]


@pytest.mark.parametrize("bare", [False, True], ids=["work tree", "bare"])
def test_the_last_commit_is_read_with_its_times(repo: Path, tmp_path: Path, bare: bool):
    """Each document as committed, and when it last changed; uncommitted files are not seen."""
    if bare:
        subprocess.run(["git", "clone", "-q", "--bare", str(repo), str(tmp_path / "bare.git")], check=True)
        repo = tmp_path / "bare.git"
    else:
        (repo / "draft.md").write_text("# Draft")
        (repo / "wiki/a.md").write_text("# Changed")

    assert [(item.id, item.text, item.source, item.updated_at) for item in documents(GitSource(repo))] == [
        ("runbooks/disk.md", "# Disk\n\nsecond", f"git:{repo}", datetime(2024, 2, 1, tzinfo=UTC)),
        ("wiki/a.md", "# A\n\nx", f"git:{repo}", datetime(2024, 1, 1, tzinfo=UTC)),
    ]


def test_a_branch_changes_a_document_when_it_is_merged(repo: Path):
    """What was written earlier on a branch could not be read on the main line before."""
    git(repo, "checkout", "-q", "-b", "topic")
    commit(repo, "2024-03-01T00:00:00Z", wiki__new_md="# New")
    git(repo, "checkout", "-q", "-")
    commit(repo, "2024-04-01T00:00:00Z", wiki__a_md="# A\n\ny")
    git(repo, "merge", "-q", "--no-ff", "topic", "-m", "merge", at="2024-05-01T00:00:00Z")

    assert {item.id: item.updated_at.month for item in documents(GitSource(repo)) if item.updated_at} == {
        "runbooks/disk.md": 2, "wiki/a.md": 4, "wiki/new.md": 5,
    }  # fmt: skip


def test_names_of_every_kind_are_read(repo: Path):
    """Blanks, quotes, umlauts, and capitals in the ending."""
    names = ["a b.md", "ü ß.md", 'quo"te.md', "UPPER.MD", "tab\tname.md"]
    for name in names:
        (repo / name).write_text("# T")
    commit(repo, "2024-03-01T00:00:00Z")

    found = {item.id: item.updated_at for item in documents(GitSource(repo))}

    assert [found.get(name) for name in names] == [datetime(2024, 3, 1, tzinfo=UTC)] * len(names)


def test_what_is_no_document_is_named_or_passed_over(repo: Path):
    """Links, large-file pointers and oversized files are named; code and hidden folders passed over."""
    (repo / "link.md").symlink_to("/etc/passwd")
    (repo / "large.md").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    (repo / "huge.md").write_text("x" * 2_000_001)
    (repo / "binary.md").write_bytes(b"\x00")
    (repo / "main.py").write_text("pass")
    (repo / ".github").mkdir()
    (repo / ".github/x.md").write_text("# X")
    commit(repo, "2024-03-01T00:00:00Z")

    found = {item.doc_id: item.reason for item in GitSource(repo).documents() if isinstance(item, Skipped)}

    assert found == {
        "link.md": "a symbolic link",
        "large.md": "a Git LFS pointer; its content is not in the repository",
        "huge.md": "2.0 MB, more than 2",
        "binary.md": "not text",
    }


@pytest.mark.parametrize(
    ("remote", "docs_url", "url"),
    [
        (None, None, None),
        (None, "https://wiki/h", "https://wiki/h/wiki/a.md"),
        ("git@github.com:acme/handbook.git", None, "https://github.com/acme/handbook/blob/main/wiki/a.md"),
        ("https://token@github.com/acme/handbook", None, "https://github.com/acme/handbook/blob/main/wiki/a.md"),
        ("ssh://git@gitlab.acme.org:2222/ops/h.git", None, "https://gitlab.acme.org/ops/h/-/blob/main/wiki/a.md"),
        ("https://github.com/acme/h.git", "https://wiki/h", "https://wiki/h/wiki/a.md"),
        ("/srv/mirrors/github.git", None, None),
        ("https://notgithub.com.evil.org/a/b", None, None),
    ],
)
def test_addresses_come_from_the_setting_or_a_known_forge(
    repo: Path, remote: str | None, docs_url: str | None, url: str | None
):
    """A token in a remote's address goes nowhere."""
    if remote:
        git(repo, "remote", "add", "origin", remote)

    assert [item.url for item in documents(GitSource(repo, docs_url=docs_url)) if item.id == "wiki/a.md"] == [url]


def test_a_repository_that_cannot_be_read_says_why(tmp_path: Path):
    """Not one, without a commit, or damaged: each with its reason."""
    (tmp_path / "plain").mkdir()
    subprocess.run(["git", "init", "-q", str(tmp_path / "unborn")], check=True)
    subprocess.run(["git", "init", "-q", str(tmp_path / "hurt")], check=True)
    commit(tmp_path / "hurt", "2024-01-01T00:00:00Z", a_md="# A")
    for path in (tmp_path / "hurt/.git/objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"x")

    for name, why in (
        ("plain", "not a git repository"),
        ("unborn", "no commit yet"),
        ("none", "does not exist"),
        ("hurt", ""),
    ):
        with pytest.raises(RepositoryError, match=rf"{name}.*{why}"):
            list(GitSource(tmp_path / name).documents())


def test_a_repository_is_told_from_a_folder(repo: Path, tmp_path: Path):
    """A work tree's root and a bare repository are; a folder inside one is a folder."""
    subprocess.run(["git", "clone", "-q", "--bare", str(repo), str(tmp_path / "bare.git")], check=True)

    assert [is_repository(path) for path in (repo, tmp_path / "bare.git", repo / "wiki", tmp_path)] == [
        True,
        True,
        False,
        False,
    ]


def versions(source: GitSource) -> dict[str, str]:
    return {item.id: item.version for item in documents(source) if item.version}


def read_again(source: GitSource, known: dict[str, str]) -> dict[str, int | None]:
    """Id to the month it last changed, of those that are not held."""
    listed = list(source.documents(known))
    assert {item.doc_id if isinstance(item, (Held, Skipped)) else item.id for item in listed} >= known.keys()
    return {item.id: item.updated_at and item.updated_at.month for item in listed if isinstance(item, Document)}


def test_a_document_that_no_commit_touched_is_not_read(repo: Path):
    """Neither at the same commit, nor after one that touched others; a new one has its time."""
    known = versions(GitSource(repo))
    same = read_again(GitSource(repo), known)
    commit(repo, "2024-03-01T00:00:00Z", wiki__a_md="# A\n\ny", wiki__new_md="# New")

    assert (same, read_again(GitSource(repo), known)) == ({}, {"wiki/a.md": 3, "wiki/new.md": 3})


def test_versions_of_several_commits_are_read_as_one(repo: Path):
    """What was stored later is held as of later; what only then changed is read."""
    known = versions(GitSource(repo))
    commit(repo, "2024-03-01T00:00:00Z", wiki__a_md="# A\n\ny")
    known |= {path: version for path, version in versions(GitSource(repo)).items() if path == "wiki/a.md"}
    commit(repo, "2024-04-01T00:00:00Z", runbooks__disk_md="# Disk\n\nthird")

    assert read_again(GitSource(repo), known) == {"runbooks/disk.md": 4}


def test_a_document_changed_and_changed_back_has_a_new_time(repo: Path):
    """The content is as it was, and yet somebody looked at it since."""
    known = versions(GitSource(repo))
    commit(repo, "2024-03-01T00:00:00Z", wiki__a_md="# A\n\ny")
    commit(repo, "2024-04-01T00:00:00Z", wiki__a_md="# A\n\nx")

    assert read_again(GitSource(repo), known) == {"wiki/a.md": 4}


def test_a_rewritten_history_is_read_anew(repo: Path):
    """The commit as of which a version was true is not on the main line any more."""
    known = versions(GitSource(repo))
    git(repo, "commit", "-q", "--amend", "-m", "other words", at="2024-06-01T00:00:00Z")

    assert read_again(GitSource(repo), known) == {"runbooks/disk.md": 6, "wiki/a.md": 1}


@pytest.mark.parametrize("version", ["", "x", "a b c", "reading-1 100644 sha - - head"])
def test_a_version_that_is_not_ours_is_no_reason_to_hold(repo: Path, version: str):
    """From another time or another source under the same name."""
    assert read_again(GitSource(repo), {"wiki/a.md": version}) == {"runbooks/disk.md": 2, "wiki/a.md": 1}


def test_another_address_reads_everything_again(repo: Path):
    """It stands in every document; times are still known without the whole history."""
    known = versions(GitSource(repo))

    assert read_again(GitSource(repo, docs_url="https://wiki/h"), known) == {"runbooks/disk.md": 2, "wiki/a.md": 1}
