"""`rundown backtest`: what it prints of a real repository, and how it fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

RUNDOWN = str(Path(sys.executable).with_name("rundown"))
MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
DAY = 86_400


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RUNDOWN, "backtest", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )


def commit(repo: Path, message: str, day: float, file: str, text: str) -> str:
    (repo / file).write_text(text)
    when = {
        "GIT_AUTHOR_DATE": f"{MONDAY + int(day * DAY)} +0000",
        "GIT_COMMITTER_DATE": f"{MONDAY + int(day * DAY)} +0000",
    }
    for arguments in (("add", "."), ("commit", "-qm", message), ("rev-parse", "HEAD")):
        done = subprocess.run(
            ["git", "-C", repo, *arguments], capture_output=True, text=True, check=True, env={**os.environ, **when}
        )
    return done.stdout.strip()


@pytest.fixture(name="shop")
def _shop(tmp_path):
    """Twenty days of work; one rewrite is taken back with a reason, one is told to have broken the cart."""
    repo = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    pool = commit(repo, "Rewrite how connections are pooled", 1, "pool.py", "def lease_connection(): return 1\n")
    cart = commit(repo, "Count carts in one query", 2, "cart.py", "def count_carts(): return 2\n")
    for day in range(3, 10):
        commit(repo, f"Paint wall {day}", day, f"wall{day}.py", f"{day}\n")
    why = "Checkout answers 500, lease_connection() raises PoolError under load, and pages time out."
    commit(
        repo,
        f'Revert "Rewrite how connections are pooled"\n\nThis reverts commit {pool}.\n\n{why}',
        10,
        "pool.py",
        "1\n",
    )
    commit(
        repo,
        f"Fix it\n\nThe basket shows a wrong number since count_carts() counts deleted ones too.\n\nFixes: {cart[:12]}",
        11,
        "cart.py",
        "2\n",
    )
    return repo


def test_a_team_sees_its_numbers_before_its_first_incident(shop, tmp_path):
    """Labels by kind, a table of methods, confidence, the probe; and that two are too few."""
    cases, chart = tmp_path / "cases.jsonl", tmp_path / "chart.png"
    ran = run("--repo", shop, "--save-cases", cases, "--chart", chart)
    said = ran.stdout

    assert ran.returncode == 0, ran.stderr
    assert "2 past incidents from 2026-03-12 to 2026-03-13: 1 reverts that say why, 1 `Fixes:` trailers." in said
    assert "Only 2: too few to tell methods apart." in said
    assert [
        word
        for word in ("random", "recency", "BM25 + recency", "Rundown", "How sure", "Leakage probe:")
        if word not in said
    ] == []
    assert [json.loads(line)["kind"] for line in cases.read_text().splitlines()] == ["revert", "fix"]
    assert chart.read_bytes()[:4] == b"\x89PNG"


def test_json_holds_everything_the_report_says(shop):
    """For a script that watches the numbers."""
    found = json.loads(run("--repo", f"web={shop}", "--json", "--window-commits", 20).stdout)

    assert sorted(found) == ["calibration", "gain", "gaps", "labels", "methods", "probe", "seconds", "wrong"]
    assert found["labels"]["kinds"] == {"revert": 1, "fix": 1}
    assert found["methods"]["Rundown"]["top1"][0] == 1.0
    assert found["wrong"] == []


def test_what_it_got_wrong_is_told_in_words(shop):
    """A page of which nothing in the culprit speaks: what stood first, and where the true one stood."""
    sha = commit(shop, "Polish handles", 11.5, "handle.py", "3\n")
    commit(
        shop,
        f"Revert it\n\nThis reverts commit {sha}.\n\nCheckout answers 500 again, lease_connection() raises PoolError as it did.",
        12,
        "handle.py",
        "4\n",
    )
    said = run("--repo", shop).stdout

    assert "Not first in 1 of 3; the newest 1:" in said
    assert re.search(
        rf"named, \d+% sure, shop \w+ .*\n +culprit stood at \d+ of \d+: shop {sha[:10]} Polish handles", said
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--before", "2026-03-05"], 1, "no labels to test on: no commit message says which earlier commit it reverts"),
        (
            ["--window-days", "2"],
            1,
            "2 messages name a culprit, each older than the window of 2 days. widen it: --window-commits 300",
        ),
        (["--since", "soon"], 2, "cannot read the time 'soon'"),
        (["--since", "2026-03-05", "--before", "2026-03-04"], 2, "no time lies between"),
        (["--chart", "chart.gif"], 2, "name it 'chart.png' or 'chart.svg'"),
        (["--limit", "0"], 2, "--limit"),
        (["--repo", "gone/away"], 0, "there is no such path"),
    ],
)
def test_what_cannot_work_says_so(arguments, code, says, shop):
    """1 without labels, 2 for wrong usage; one missing repository is told and the others are tested."""
    ran = run("--repo", shop, *arguments)

    assert (ran.returncode, says in " ".join((ran.stdout + ran.stderr).split())) == (code, True), (
        ran.stdout + ran.stderr
    )


def test_a_repository_is_needed():
    """Without one it is wrong usage, and help shows an example."""
    helped = run("--help")

    assert (run().returncode, helped.returncode, "Example: rundown backtest --repo" in helped.stdout) == (2, 0, True)
