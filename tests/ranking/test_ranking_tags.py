"""Tags as git allows them."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta

from ranking_repos import NOON, Change, git

from ranking.history import open_history


def test_odd_tags_are_passed_over_or_read_whole(make_repo, home):
    """A line separator in a name is no new line, a date past the year 9999 no date; both once ended every ranking."""
    path, ids = make_repo("shop", [Change(hours=5, message="One", files={"a": "1"})])
    git(path, "tag", "v1\u2028x", ids[0])
    git(path, "tag", "v1.0", ids[0])
    far = {
        **os.environ,
        "GIT_COMMITTER_DATE": "@999999999999 +0000",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    subprocess.run(["git", "-C", path, "tag", "-a", "-m", "x", "v9", ids[0]], check=True, env=far)
    history = open_history(path, home=home)
    history.refresh()

    found = history.tags(NOON + timedelta(days=1))

    assert sorted((tag.name, tag.sha) for tag in found) == [("v1.0", ids[0]), ("v1\u2028x", ids[0])]
