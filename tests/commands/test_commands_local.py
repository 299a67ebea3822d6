"""`rundown` without a server: what it prints, how it fails, and the exit code of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.demo_world import World, build_world
from bot.local import parse_time

NOW = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
RUNDOWN = str(Path(sys.executable).with_name("rundown"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), now=NOW)


def run(*arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command; the embedder is the fake, so that no weights are loaded."""
    setting = {"RUNDOWN_EMBEDDING_MODEL": "hash", "COLUMNS": "200", **environment}
    return subprocess.run(
        [RUNDOWN, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **setting}, check=False
    )


def investigate(world: World, *more: Any) -> dict[str, Any]:
    about = ["--title", world.title, "--description", world.description, "--service", world.service]
    ran = run("investigate", "--repo", world.repo, "--docs", world.docs, *about, "--json", *more)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_investigate_finds_commit_and_runbook(world):
    """The same as the server would, printed as JSON."""
    found = investigate(world, "--at", NOW.isoformat())

    assert found["ranking"]["culprits"][0]["commit"]["sha"] == world.culprit_sha
    assert world.runbook_doc_id in [item["doc_id"] for item in found["evidence"]]
    assert found["card"]["blocks"][0]["type"] == "header"


def test_investigate_reads_nothing_later_than_the_incident(world):
    """Asked about the day before the culprit landed, it does not know it."""
    found = investigate(world, "--at", (NOW - timedelta(days=1)).timestamp())
    latest = max(item["commit"]["committed_at"] for item in found["ranking"]["culprits"])

    assert world.culprit_sha not in [item["commit"]["sha"] for item in found["ranking"]["culprits"]]
    assert datetime.fromisoformat(latest) < NOW - timedelta(days=1)


def test_investigate_prints_the_card(world):
    """As text, without being asked for JSON."""
    ran = run("investigate", "--repo", world.repo, "--title", world.title, "--at", NOW.timestamp())

    assert ran.returncode == 0
    assert "What likely caused it" in ran.stdout
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["investigate", "--title", "x"], 2, "neither --repo nor --docs"),
        (["investigate", "--repo", "nowhere", "--title", "x"], 2, "nowhere"),
        (["investigate", "--repo", ".", "--title", "x"], 2, "no git repository"),
        (["investigate", "--repo", ".", "--title", " "], 2, "--title is empty"),
        (["investigate", "--repo", ".", "--title", "x", "--at", "yesterday"], 2, "'yesterday'"),
        (["investigate", "--docs", "nowhere", "--title", "x"], 2, "nowhere"),
        (["investigate"], 2, "--title"),
        (["ingest", "nowhere"], 2, "nowhere"),
        (["ingest", "pagerduty:"], 2, "RUNDOWN_PAGERDUTY_API_TOKEN"),
        (["ingest", "jira:X"], 2, "'jira' is an unknown kind of source"),
        (["ingest", "jira:X"], 2, "confluence:, folder:PATH, git:PATH, mediawiki:ADDRESS, pagerduty:"),
        (["index", "rebuild", "--model", "/nope"], 2, "give --model a folder"),
        (["search"], 2, "QUERY"),
        (["search", " "], 2, "the query is empty"),
        (["search", "--queries", "nowhere.jsonl", "--out", "out.jsonl"], 2, "nowhere.jsonl"),
        (["rank", "--repo", "nowhere", "--cases", "nowhere.jsonl", "--out", "out.jsonl"], 2, "nowhere"),
        (["serve"], 2, "RUNDOWN_SLACK_BOT_TOKEN"),
    ],
)
def test_what_cannot_work_is_said_with_its_way_out(arguments, code, said):
    """Exit code 2, the input named, and never a traceback."""
    ran = run(*arguments)

    assert (ran.returncode, "Traceback" in ran.stderr) == (code, False), ran.stderr
    assert said in " ".join(ran.stderr.split())


def test_a_wrong_setting_is_named_without_its_value():
    """Settings hold secrets: an error tells which, never what."""
    ran = run("serve", RUNDOWN_HTTP_PORT="hunter2")

    assert ran.returncode == 2
    assert "RUNDOWN_HTTP_PORT" in ran.stderr
    assert "hunter2" not in ran.stderr


def test_an_empty_and_a_shallow_repository(tmp_path, world):
    """Empty is an error with its way out; shallow works, and says what it cannot see."""
    subprocess.run(["git", "init", "-q", "empty"], cwd=tmp_path, check=True)
    subprocess.run(["git", "clone", "-q", "--depth", "20", world.repo.as_uri(), "shallow"], cwd=tmp_path, check=True)

    empty = run("investigate", "--repo", tmp_path / "empty", "--title", "x")
    shallow = run("investigate", "--repo", tmp_path / "shallow", "--title", "x", "--at", NOW.timestamp(), "--json")

    assert (empty.returncode, shallow.returncode) == (2, 0)
    assert "it is empty" in empty.stderr.replace("\n", " ")
    assert any("shallow" in gap for gap in json.loads(shallow.stdout)["gaps"])


def test_ingest_then_search_then_ingest_again(world):
    """What was indexed is found; the second run has nothing to do."""
    first = json.loads(run("ingest", world.docs, "--json").stdout)
    found = json.loads(run("search", "no free database connections", "--json", "--limit", "3").stdout)
    second = json.loads(run("ingest", world.docs, "--json").stdout)

    assert world.runbook_doc_id in [item["doc_id"] for item in found]
    assert (first[0]["added"], second[0]["added"], second[0]["unchanged"]) == (first[0]["seen"], 0, first[0]["seen"])


def test_a_place_that_holds_nothing_readable_is_told_as_that(tmp_path):
    """With what would have been read; exit code 1 only where no place held anything."""
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "empty" / "disk.docx").write_text("x")
    (tmp_path / "full" / "disk.md").write_text("# Disk\n\nfull")
    nothing = run("ingest", tmp_path / "empty", f"prometheus:{tmp_path / 'empty'}")
    something = run("ingest", tmp_path / "empty", tmp_path / "full")
    said = " ".join(nothing.stderr.split())

    assert (nothing.returncode, something.returncode) == (1, 0)
    assert "empty: nothing readable was found there. Read are Markdown, AsciiDoc," in said
    assert "Read are files with alerting rules (.yaml, .yml, .rules)" in said
    assert "1 added" in something.stderr


def test_rank_in_bulk_keeps_the_contract(world, tmp_path):
    """A case line in, a ranked line out."""
    cases, out = tmp_path / "cases.jsonl", tmp_path / "ranked.jsonl"
    cases.write_text(
        json.dumps(
            {
                "id": "a",
                "title": world.title,
                "description": world.description,
                "service": world.service,
                "created_at": NOW.timestamp(),
                "unknown": 1,
            }
        )
        + "\n"
    )

    ran = run("rank", "--repo", world.repo, "--cases", cases, "--out", out)
    line = json.loads(out.read_text())

    assert ran.returncode == 0, ran.stderr
    assert set(line) == {"id", "ranking", "abstained", "seconds"}
    assert set(line["ranking"][0]) == {"sha", "score", "confidence", "reasons"}
    assert line["ranking"][0]["sha"] == world.culprit_sha


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("2026-03-04T03:00:00Z", NOW),
        ("2026-03-04T04:00:00+01:00", NOW),
        ("2026-03-04 03:00", NOW),
        (None, None),
    ],
)
def test_times_as_people_write_them(text, expected):
    """Unix seconds or ISO 8601, UTC unless it says otherwise."""
    assert parse_time(text) == expected


def test_a_source_can_be_forgotten_even_when_its_folder_is_gone(tmp_path):
    """And forgetting what was never there says what is."""
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (folder / "pool.md").write_text("# Pool\n\nWhen the pool is exhausted, raise it.\n")
    run("ingest", folder)
    (folder / "pool.md").unlink()
    folder.rmdir()

    gone = run("ingest", "--forget", folder, "--json")
    again = run("ingest", "--forget", folder)

    assert (json.loads(gone.stdout), again.returncode) == ({f"folder:{folder}": 1}, 2)
    assert "the index holds: nothing" in again.stderr.replace("\n", " ")


def test_what_was_ingested_is_used_without_being_named_again(world):
    """Ingest once, investigate often."""
    run("ingest", world.docs)
    ran = run(
        "investigate",
        "--repo",
        world.repo,
        "--title",
        world.title,
        "--description",
        world.description,
        "--at",
        NOW.timestamp(),
        "--json",
    )

    assert world.runbook_doc_id in [item["doc_id"] for item in json.loads(ran.stdout)["evidence"]]


def test_a_search_explains_itself(world):
    """Each hit with what every way of looking said of it, as text and as JSON; what nothing answers says so."""
    assert run("ingest", str(world.docs)).returncode == 0

    told = run("search", "no free database connections", "--explain", "--limit", "1").stdout
    (found,) = json.loads(run("search", "no free database connections", "--explain", "--limit", "1", "--json").stdout)
    nothing = run("search", "when do maple leaves turn red").stdout

    assert {"what it means", "its words"} <= {way["way"] for way in found["why"]["ways"]}
    assert ("what it means:" in told, "folder:" in told, "Nothing clearly answers this" in nothing) == (True,) * 3


def test_names_and_texts_are_printed_as_they_are(tmp_path):
    """Also those that look like the terminal's own marks: a bracket ended the command, and `:key:` became a picture."""
    folder = tmp_path / "[/old] :key:"
    folder.mkdir(parents=True)
    (folder / "a[red]b.md").write_text("")
    (folder / "disk.md").write_text("# Disk\n\nRun `get store:key:7 [bold]`\n")
    home = {"RUNDOWN_HOME": str(tmp_path / "home"), "COLUMNS": "400"}

    ran = [
        run(*command, **home)
        for command in (("ingest", folder), ("index", "status"), ("search", "disk"), ("ingest", "--forget", folder))
    ]

    assert [(one.returncode, "Traceback" in one.stderr) for one in ran] == [(0, False)] * 4, ran
    assert f"folder:{folder}: 1 added" in ran[0].stderr
    assert "skipped a[red]b.md: empty" in ran[0].stderr
    assert f"folder:{folder}" in ran[1].stdout
    assert "Run `get store:key:7 [bold]`" in ran[2].stdout
    assert f"folder:{folder}: 1 documents removed" in ran[3].stderr


def test_a_search_that_finds_nothing_says_for_whom_it_looked(tmp_path):
    """It looks as anybody: who ingested pages for some alone would take them for lost."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/disk.md").write_text("---\nreaders: [group:sre]\n---\n# Disk\n\nDelete old segments.\n")
    home = {"RUNDOWN_HOME": str(tmp_path / "home")}
    assert run("ingest", tmp_path / "docs", **home).returncode == 0

    found, helped = run("search", "disk", **home), run("search", "--help", **home)

    assert "Nothing in the index that everyone may read matches." in found.stdout
    assert "what everyone may read" in " ".join(helped.stdout.split())
