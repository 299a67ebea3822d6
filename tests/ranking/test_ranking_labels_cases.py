"""Labelled cases on disk, and parts of a set of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ranking_repos import NOON, Change

from core.errors import CaseError, UsageError
from ranking.history import open_history
from ranking.labels.cases import Labelled, read_labelled, with_whole_ids, write_cases
from ranking.labels.slices import slice_test

SHA = "0123abc4567890def0123abc4567890def012345"


def case(**more):
    return Labelled.model_validate(
        {"id": "c1", "title": "no pool", "created_at": 1_700_000_000, "culprits": (SHA,), **more}
    )


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_what_is_written_is_read_again(tmp_path):
    """All of it but the raw text, which names its culprit."""
    told = case(repos=("shop",), window_days=14, kind="revert", lag_hours=2.5, same_author=False, hindsight=False)
    unknown = case(id="c2", culprits=())
    path = tmp_path / "deep" / "cases.jsonl"

    write_cases(path, [told.model_copy(update={"raw": f"This reverts commit {SHA}"}), unknown])

    assert read_labelled(path, ["shop"]) == [told, unknown]
    assert "reverts" not in path.read_text()


def test_a_culprit_may_be_told_by_the_beginning_of_its_id(make_repo, home):
    """As git prints it; what no repository knows, or came later than the incident, stays as it was told."""
    shop, (old, later) = make_repo(
        "shop",
        [Change(hours=9, message="Old", files={"a": "1\n"}), Change(hours=-9, message="Later", files={"a": "2\n"})],
    )
    history = open_history(shop, home=home)
    history.refresh()
    told = [
        case(created_at=NOON.timestamp(), culprits=(sha,)) for sha in (old, f" {old[:7].upper()}", later[:9], "fffffff")
    ]

    assert [found.culprits for found in with_whole_ids(told, [history])] == [(old,), (old,), (later[:9],), ("fffffff",)]


def test_lines_of_the_public_files_are_read(tmp_path):
    """Unknown keys, null and empty lines are no trouble."""
    path = written(tmp_path / "c", "", {**json.loads(case().model_dump_json()), "service": None, "grade": 3})

    assert [found.culprits for found in read_labelled(path, ["shop"])] == [(SHA,)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"id": "c2", "title": "x", "created_at": 1}, "cannot read the label at {path}:2: it has no 'culprits'"),
        (
            {"id": "c2", "title": "x", "created_at": 1, "culprits": SHA},
            "{path}:2: culprits: Input should be a valid array",
        ),
        (
            {"id": "c2", "title": "x", "created_at": 1, "culprits": [], "kind": "guess"},
            "{path}:2: kind: Input should be",
        ),
        ({"id": "c2", "created_at": 1, "culprits": []}, "cannot read the case at {path}:2: title: Field required"),
        ({"id": "c1", "title": "x", "created_at": 1, "culprits": []}, "is that of line 1"),
        ("{", "{path}:2: Invalid JSON"),
    ],
)
def test_a_bad_label_is_named_by_file_line_and_reason(line, says, tmp_path):
    """And what a label looks like."""
    path = written(tmp_path / "cases.jsonl", json.loads(case().model_dump_json()), line)

    with pytest.raises(CaseError) as refused:
        read_labelled(path, ["shop"])
    assert says.format(path=path) in str(refused.value)


def test_cases_that_cannot_be_written_say_so(tmp_path):
    """A folder in their place."""
    with pytest.raises(CaseError, match="cannot write the cases"):
        write_cases(tmp_path, [case()])


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("lag>1", ["b"]),
        ("lag<=1", ["a"]),
        ("lag_hours >= 0.5", ["a", "b"]),
        ("kind=revert", ["a"]),
        ("kind!=revert", ["b"]),
        ("same_author=false", ["b"]),
        ("hindsight=true", ["b"]),
        ("repo=web", ["a", "b"]),
        ("repo!=shop", ["b"]),
    ],
)
def test_a_slice_takes_cases_by_what_is_known_of_them(expression, ids):
    """A case that does not say is in no slice."""
    cases = [
        case(id="a", kind="revert", lag_hours=0.5, same_author=True, hindsight=False, repos=("shop", "web")),
        case(id="b", kind="prose", lag_hours=9, same_author=False, hindsight=True, repos=("web",)),
        case(id="silent"),
    ]

    assert [one.id for one in filter(slice_test(expression), cases)] == ids


@pytest.mark.parametrize("expression", ["", "lag", "lag>soon", "kind>1", "title=x", "culprits=a", "lag==1x>"])
def test_a_slice_that_cannot_be_read_says_what_one_is(expression):
    """Nothing is quietly taken for all cases."""
    with pytest.raises(UsageError, match=r"cannot read --slice .* write for example lag>1"):
        slice_test(expression)


def test_a_mark_at_the_start_is_no_text(tmp_path):
    """A byte order mark, as some editors write; and null for what is not known."""
    path = tmp_path / "cases.jsonl"
    path.write_text(
        '\ufeff{"id": "a", "title": "x", "created_at": 1, "culprits": ["abc1234"], "kind": null, "service": null}\n'
    )

    assert [case.culprits for case in read_labelled(path, ["shop"])] == [("abc1234",)]
