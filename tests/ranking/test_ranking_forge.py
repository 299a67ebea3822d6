"""Commit pages from a remote's address."""

from __future__ import annotations

import pytest
from ranking_repos import NOON, Change, git

from ranking.history import open_history, split_name
from ranking.repository import commit_page


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("https://github.com/acme/shop.git", "https://github.com/acme/shop/commit/"),
        ("https://ada:s3cret@github.com/acme/shop", "https://github.com/acme/shop/commit/"),
        ("git@github.com:acme/shop.git", "https://github.com/acme/shop/commit/"),
        ("ssh://git@github.acme.io:2222/acme/shop.git", "https://github.acme.io/acme/shop/commit/"),
        ("https://gitlab.acme.io:8443/a/b/shop.git", "https://gitlab.acme.io:8443/a/b/shop/-/commit/"),
        ("git@bitbucket.org:acme/shop.git", "https://bitbucket.org/acme/shop/commits/"),
        ("https://codeberg.org/acme/shop", "https://codeberg.org/acme/shop/commit/"),
        ("ssh://ada@gerrit.acme.org:29418/ops/dns", "https://gerrit.acme.org/r/plugins/gitiles/ops/dns/+/"),
        ("https://gerrit.acme.org/r/a/ops/dns", "https://gerrit.acme.org/r/plugins/gitiles/ops/dns/+/"),
        ("https://go.googlesource.com/tools", "https://go.googlesource.com/tools/+/"),
        ("https://git.acme.io/shop.git", None),
        ("/srv/git/github/shop.git", None),
        ("file:///srv/github/shop.git", None),
        ("https://github.com/acme/../shop", None),
        ("https://github.com/acme/shop|x>", None),
        ("https://github.com:port/acme/shop", None),
        ("", None),
        (None, None),
    ],
)
def test_a_remote_gives_the_page_of_a_commit(remote, page):
    """Known forges by their host's name, credentials dropped; nothing for what could not be opened."""
    assert commit_page(remote) == page


def test_a_commit_carries_its_page(make_repo, home):
    """`origin` wins over other remotes."""
    path, (sha,) = make_repo("shop", [Change(hours=1, message="One")])
    git(path, "remote", "add", "backup", "https://gitlab.com/b/shop.git")
    git(path, "remote", "add", "origin", "https://token@github.com/acme/shop.git")
    history = open_history(path, home=home)
    history.refresh()

    assert history.last_commits_before(NOON, 1)[0].url == f"https://github.com/acme/shop/commit/{sha}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("shop=/srv/x", ("shop", "/srv/x")), ("/srv/a=b", (None, "/srv/a=b")), ("/srv/x", (None, "/srv/x"))],
)
def test_a_repository_may_be_named(spec, expected):
    """ "NAME=PATH"; a path with "=" in it stays a path."""
    name, path = split_name(spec)

    assert (name, str(path)) == expected
