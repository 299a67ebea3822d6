"""What the ranker would have said of a team's own past."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ranking_repos import NOON, Change, add

from core.model import from_unix
from ranking.backtest import OURS, Probe, find_labels, run_backtest
from ranking.baselines import BM25_RECENCY
from ranking.history import open_history
from ranking.labels.cases import write_cases
from ranking.ranker import Ranker

ROOT = Path(__file__).parents[2]
PARTS = ("pool", "cart", "mail", "search", "login", "export")


def work(part: str, hours: float) -> Change:
    text = f"{part}: rewrite the {part} worker"
    return Change(hours=hours, message=text, files={f"src/{part}.py": f"def {part}_worker():\n    return {hours}\n"})


def undone(part: str, hours: float, sha: str) -> Change:
    message = f"Revert it\n\nThis reverts commit {sha}.\n\nThe {part} page breaks, as {part}_worker should not have been called in the {part} hook."
    return Change(hours=hours, message=message, files={f"src/{part}.py": "old = 1\n"}, author="bob")


@pytest.fixture(name="team")
def _team(make_repo, home):
    """A repository of six parts, rewritten one after another, each taken back; and one of quiet commits."""
    path, shas = make_repo("shop", [work(part, 60 - place) for place, part in enumerate(PARTS)])
    add(
        path,
        [undone(part, 20 - place, sha) for place, (part, sha) in enumerate(zip(PARTS, shas, strict=True))],
        shas[-1],
    )
    other, _ = make_repo("docs", [Change(hours=40, message="Describe the shop", files={"a.py": "x\n"})])
    histories = [open_history(where, home=home) for where in (path, other)]
    for history in histories:
        history.refresh()
    return histories, shas


def labels_of(histories, **more):
    asked = {"since": from_unix(0), "before": NOON, "window_days": 14.0, **more}
    return find_labels(histories, **asked)


def test_each_past_incident_is_ranked_as_of_its_time_among_all_repositories(team):
    """By ours and by plain methods; all that the report needs."""
    histories, shas = team
    told: list[tuple[str, int, int | None]] = []
    labels = labels_of(histories, progress=lambda *said: told.append(said))
    done = run_backtest(Ranker(histories), labels, progress=lambda *said: told.append(said))

    assert [case.culprits[0] for case in labels.cases] == shas
    assert {case.repos for case in labels.cases} == {("shop", "docs")}
    assert list(done.methods) == ["random", "recency", "BM25", BM25_RECENCY, OURS]
    assert (done.ours.value("top1"), done.ours.n, done.misses) == (1.0, 6, ())
    assert (("looking for labels in shop", 12, None) in told, told[-1]) == (True, ("ranking", 6, 6))


def test_nothing_from_the_future_changes_a_backtest(team):
    """Commits later than the incident, even those that blame its culprit, are not seen."""
    histories, _ = team
    ranker, labels = Ranker(histories), labels_of(histories)
    before = run_backtest(ranker, labels)
    path = histories[0].repository.path
    tip = histories[0].repository.tip()
    add(path, [work(part, -1 - place) for place, part in enumerate(PARTS)], tip)
    ranker.refresh()
    after = run_backtest(ranker, labels_of(histories))

    assert [dataclasses.replace(o, seconds=0) for o in after.ours.outcomes] == [
        dataclasses.replace(o, seconds=0) for o in before.ours.outcomes
    ]
    assert after.probe == before.probe


def test_a_limit_keeps_the_newest_and_alone_keeps_repositories_apart(team):
    """And how many there were is not forgotten."""
    histories, shas = team
    labels = labels_of(histories, limit=2, pooled=False)

    assert ([case.culprits[0] for case in labels.cases], labels.found) == (shas[-2:], 6)
    assert {case.repos for case in labels.cases} == {("shop",)}


def test_a_window_of_commits_is_one_repositorys(team):
    """Among many repositories a busy one would fill it, and a quiet one's culprit be no candidate."""
    histories, _ = team
    labels = labels_of(histories, window_commits=30)

    assert {(case.repos, case.window_commits) for case in labels.cases} == {(("shop",), 30)}


def test_a_culprit_that_was_not_first_is_told(team):
    """What stood first, and where the true one stood, or that it was no candidate."""
    histories, shas = team
    case = labels_of(histories, limit=1).cases[0]
    wrong = [case.model_copy(update={"culprits": (sha,)}) for sha in (shas[0], "f" * 40)]
    done = run_backtest(Ranker(histories), dataclasses.replace(labels_of(histories), cases=tuple(wrong)))
    first, second = done.misses

    assert (first.id, first.first, first.culprit) == (
        case.id,
        f"shop {shas[-1][:10]} export: rewrite the export worker",
        f"shop {shas[0][:10]} pool: rewrite the pool worker",
    )
    assert (2 <= first.place <= first.considered, second.place, second.culprit) == (True, None, "f" * 10)


@pytest.mark.parametrize(
    ("raw", "scrubbed", "leaky"),
    [(0.8, 0.35, False), (0.8, 0.62, False), (0.9, 0.7, True), (0.6, 0.58, True), (0.4, 0.4, False)],
)
def test_the_probe_tells_texts_that_still_name_their_culprits(raw, scrubbed, leaky):
    """Too often found by plain words, or hardly less than before."""
    assert Probe(raw=raw, scrubbed=scrubbed).leaky is leaky


def test_the_probe_sees_what_scrubbing_took_away(team):
    """Raw messages hold the subject: a word search finds what it does not find afterwards."""
    histories, _ = team
    told = [
        case.model_copy(
            update={"title": "it is down", "description": "", "raw": f"Revert\n\n{part}: rewrite the {part} worker"}
        )
        for case, part in zip(labels_of(histories).cases, PARTS, strict=True)
    ]
    done = run_backtest(Ranker(histories), dataclasses.replace(labels_of(histories), cases=tuple(told)))

    assert done.probe == Probe(raw=1.0, scrubbed=0.0)


def test_the_benchmark_compares_on_the_saved_labels(team, tmp_path):
    """What a backtest saves, `benchmarks.ranking` reads; slices and a chart come with it."""
    histories, _ = team
    cases, chart = tmp_path / "cases.jsonl", tmp_path / "chart.svg"
    write_cases(cases, labels_of(histories, pooled=False).cases)
    repo, home = histories[0].repository.path, tmp_path / "bench"
    command = [
        "--cases",
        cases,
        "--repo",
        repo,
        "--home",
        home,
        "--no-minilm",
        "--slice",
        "kind=revert",
        "--chart",
        chart,
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.ranking", *map(str, command)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert [line.split()[0] for line in ran.stdout.splitlines() if "[" in line][:5] == [
        "random",
        "recency",
        "BM25",
        "BM25",
        "Rundown",
    ]
    assert "kind=revert: 6 cases" in ran.stdout
    assert [path.exists() for path in (chart, tmp_path / "chart-confidence.svg")] == [True, True]


def test_the_benchmark_refuses_a_file_without_labels(team, tmp_path):
    """A file of plain cases is named, with its line."""
    histories, _ = team
    cases = tmp_path / "cases.jsonl"
    cases.write_text(json.dumps({"id": "a", "title": "x", "created_at": 1}) + "\n")
    command = ["--cases", cases, "--repo", histories[0].repository.path, "--home", tmp_path / "bench"]
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.ranking", *map(str, command)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, f"{cases}:1: it has no 'culprits'" in ran.stderr) == (1, True)
