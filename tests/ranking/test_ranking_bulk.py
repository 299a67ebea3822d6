"""Many incidents from a file, and what a bad file says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ranking_repos import NOON, Change

from core.errors import CaseError, RepositoryError, UsageError
from ranking.bulk import rank_cases
from ranking.llama import WordModel

AT = NOON.timestamp()


@pytest.fixture(name="shop")
def _shop(make_repo):
    return make_repo(
        "shop",
        [
            Change(hours=3, message="Tidy the pool", files={"db/pool.py": "max = 5\n"}),
            Change(hours=2, message="Reword the welcome page", files={"welcome.html": "hi\n"}),
        ],
    )


def write(path: Path, *cases: object) -> Path:
    path.write_text("".join(f"{case if isinstance(case, str) else json.dumps(case)}\n" for case in cases))
    return path


def case(**more):
    return {"id": "c1", "title": "the pool is exhausted in db/pool.py", "created_at": AT, **more}


def test_each_case_gives_a_line_with_all_candidates(shop, home, tmp_path):
    """The contract's keys; unknown keys, labels among them, are ignored; empty lines passed over."""
    cases = write(tmp_path / "cases.jsonl", case(culprits=["x"], kind="revert"), "", case(id="c2", window_days=0.1))
    out = tmp_path / "deep" / "ranked.jsonl"
    told: list[tuple[str, int, int | None]] = []

    count = rank_cases([shop[0]], cases, out, home=home, progress=lambda *said: told.append(said))

    first, second = map(json.loads, out.read_text().splitlines())
    assert (count, sorted(first)) == (2, ["abstained", "id", "ranking", "seconds"])
    assert [row["sha"] for row in first["ranking"]] == shop[1]
    assert sorted(first["ranking"][0]) == ["confidence", "reasons", "score", "sha"]
    assert "touches `db/pool.py`, named in the incident" in first["ranking"][0]["reasons"]
    assert (second["id"], [row["sha"] for row in second["ranking"]]) == ("c2", [shop[1][1]])
    assert told[-1] == ("ranking", 2, 2)


def test_a_model_is_loaded_before_the_first_case(shop, home, tmp_path):
    """Else it would be ranked without a vote, and the others with one."""
    model = WordModel()
    cases = write(tmp_path / "cases.jsonl", case(), case(id="c2"))
    rank_cases([shop[0]], cases, tmp_path / "out.jsonl", home=home, model=model)
    waiting, *asked = model.asked

    assert waiting == ("", ("a", "b"))
    assert [incident.partition("\n")[0] for incident, _ in asked] == [case()["title"]] * 2


def test_candidates_keep_the_names_they_were_given(shop, home, tmp_path):
    """Prefixes come back as prefixes, so that labels by prefix still match."""
    cases = write(tmp_path / "cases.jsonl", case(candidates=[shop[1][1][:10], shop[1][0]]))
    rank_cases([shop[0]], cases, tmp_path / "out.jsonl", home=home)

    rows = json.loads((tmp_path / "out.jsonl").read_text())["ranking"]

    assert [row["sha"] for row in rows] == [shop[1][0], shop[1][1][:10]]


def test_a_case_chooses_among_the_repositories_given(shop, make_repo, home, tmp_path):
    """By name; a name given with NAME=PATH counts; one that is absent is told."""
    web, web_shas = make_repo("folder", [Change(hours=1, message="Paint", files={"a.css": "x\n"})])
    cases = write(tmp_path / "cases.jsonl", case(repos=["web", "gone"]), case(id="c2"))
    rank_cases([shop[0], f"web={web}"], cases, tmp_path / "out.jsonl", home=home)

    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())

    assert [row["sha"] for row in first["ranking"]] == web_shas
    assert first["gaps"] == ["repository 'gone' was not given"]
    assert len(second["ranking"]) == 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("not json", "Invalid JSON"),
        ("[1]", "should be an object"),
        ('{"title": "x", "created_at": 1}', "id: Field required"),
        ('{"id": "a", "title": "x"}', "created_at: Field required"),
        ('{"id": "a", "title": "x", "created_at": "soon"}', "created_at: Input should be a valid number"),
        ('{"id": "a", "title": "x", "created_at": -5}', "created_at: Input should be greater than 0"),
        ('{"id": "a", "title": "x", "created_at": 1e300}', "created_at: Input should be less than"),
        ('{"id": "a", "title": "x", "created_at": NaN}', "created_at"),
        ('{"id": "a", "title": "x", "created_at": 1, "window_commits": 0}', "window_commits: Input should be greater"),
        ('{"id": "a", "title": "x", "created_at": 1, "window_days": 1e7}', "window_days: Input should be less than"),
        ('{"id": "a", "title": "x", "created_at": 1, "window_days": Infinity}', "window_days"),
        (
            '{"id": "a", "title": "x", "created_at": 1, "window_commits": 99999999999}',
            "window_commits: Input should be",
        ),
        (
            json.dumps(
                {"id": "a", "title": "x", "created_at": 1, "events": [{"kind": "flag", "at": 1, "name": "n" * 999}]}
            ),
            "events.0.name",
        ),
        ('{"id": "a", "title": "x", "created_at": 1, "events": [{"kind": "war", "at": 1}]}', "events.0.kind"),
        ('{"id": "a", "title": "x", "created_at": 1, "repos": ["web"]}', "(web) none is among those given (shop)"),
        (json.dumps(case()), "its id 'c1' is that of line 1"),
    ],
)
def test_a_bad_line_is_named_before_anything_is_ranked(line, says, shop, home, tmp_path):
    """File, line and reason; nothing is written."""
    cases = write(tmp_path / "cases.jsonl", case(), line)

    with pytest.raises(CaseError) as refused:
        rank_cases([shop[0]], cases, tmp_path / "out.jsonl", home=home)
    assert f"{cases}:2" in str(refused.value)
    assert says in str(refused.value)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_an_unreadable_file_of_cases_says_so(content, shop, home, tmp_path):
    """Missing, or no text."""
    if content is not None:
        (tmp_path / "cases.jsonl").write_bytes(content)

    with pytest.raises(CaseError, match="cannot read the cases"):
        rank_cases([shop[0]], tmp_path / "cases.jsonl", tmp_path / "out.jsonl", home=home)


def test_an_out_that_cannot_be_written_says_so(shop, home, tmp_path):
    """A folder in its place; before anything is indexed, which takes minutes the first time."""
    (tmp_path / "out.jsonl").mkdir()
    cases = write(tmp_path / "c.jsonl", case())
    told: list[object] = []

    with pytest.raises(CaseError, match="cannot write"):
        rank_cases([shop[0]], cases, tmp_path / "out.jsonl", home=home, progress=lambda *said: told.append(said))
    assert told == []


def test_the_cases_are_not_overwritten(shop, home, tmp_path):
    """By whatever name the file is called; nothing is indexed first."""
    cases = write(tmp_path / "cases.jsonl", case())
    (tmp_path / "same.jsonl").symlink_to(cases)
    told: list[object] = []

    with pytest.raises(CaseError, match="holds the cases"):
        rank_cases([shop[0]], cases, tmp_path / "same.jsonl", home=home, progress=lambda *said: told.append(said))

    assert (json.loads(cases.read_text()), told) == (case(), [])


def test_what_is_null_is_not_known_and_a_mark_at_the_start_is_no_text(shop, home, tmp_path):
    """Many a program writes null or no repositories for what it does not know, and a byte order mark before the first line."""
    nothing = dict.fromkeys(
        ("description", "service", "repos", "window_days", "window_commits", "events", "candidates")
    )
    event = {"kind": "flag", "at": AT - 60, "name": "x", "service": None, "sha": None}
    cases = tmp_path / "cases.jsonl"
    cases.write_text(
        "\ufeff" + json.dumps(case(**nothing)) + "\n" + json.dumps(case(id="c2", events=[event], repos=[])) + "\n"
    )
    rank_cases([shop[0]], cases, tmp_path / "out.jsonl", home=home)

    assert [len(json.loads(line)["ranking"]) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [2, 2]


def test_each_line_is_on_disk_at_once(shop, home, tmp_path):
    """A run that is killed keeps what it had ranked."""
    cases = write(tmp_path / "cases.jsonl", case(), case(id="c2"))
    out = tmp_path / "out.jsonl"

    seen: list[list[str]] = []

    def look(label, done, total):
        if label == "ranking":
            seen.append([json.loads(line)["id"] for line in out.read_text().splitlines()])

    rank_cases([shop[0]], cases, out, home=home, progress=look)

    assert seen == [["c1"], ["c1", "c2"]]


def test_one_broken_repository_is_told_in_every_line(shop, home, tmp_path):
    """The others are ranked; without any, the command fails."""
    cases = write(tmp_path / "cases.jsonl", case())
    rank_cases([shop[0], tmp_path / "gone"], cases, tmp_path / "out.jsonl", home=home)

    assert "there is no such path" in json.loads((tmp_path / "out.jsonl").read_text())["gaps"][0]
    with pytest.raises(RepositoryError):
        rank_cases([tmp_path / "gone"], cases, tmp_path / "out.jsonl", home=home)


def test_two_repositories_of_one_name_are_refused(shop, home, tmp_path):
    """Their commits could not be told apart."""
    with pytest.raises(UsageError, match="two repositories are called 'shop'"):
        rank_cases([shop[0], f"shop={shop[0]}"], write(tmp_path / "c", case()), tmp_path / "o", home=home)
