"""Deploys and switches as pipelines and flag tools write them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from ranking_repos import NOON

from ranking.bulk import Case
from ranking.event_lines import EventLine, EventsFile
from ranking.events import ChangeEvent

AT = NOON - timedelta(hours=1)
DEPLOY = ChangeEvent(kind="deploy", at=AT, service="pay", sha="abc1234", name="v1.2")


def read(**line: object) -> ChangeEvent:
    return EventLine.model_validate_json(json.dumps(line)).event


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "deploy", "at": AT.timestamp(), "service": "pay", "sha": "abc1234", "name": "v1.2"},
        {"kind": "deploy", "at": "2024-05-14T11:00:00Z", "service": "pay", "sha": "abc1234", "name": "v1.2"},
        {"kind": "Deployment", "at": "2024-05-14T11:00:00", "service": "pay", "sha": "abc1234", "name": "v1.2"},
        {"type": "release", "timestamp": AT.timestamp(), "app": "pay", "commit": "abc1234", "version": "v1.2"},
        {"type": "deploy", "time": "2024-05-14T13:00:00+02:00", "service": "pay", "revision": "abc1234", "tag": "v1.2"},
    ],
)
def test_a_deploy_is_understood_in_the_usual_words(line):
    """Times as seconds or ISO 8601, in UTC where they name no zone; keys and kinds as others call them."""
    assert read(**line) == DEPLOY


@pytest.mark.parametrize("kind", ["feature_flag", "FeatureFlag", "flag", "toggle"])
def test_a_flag_is_understood_in_the_usual_words(kind):
    """Its name may be called after what it is."""
    assert read(kind=kind, at=AT.timestamp(), flag="new-cart") == ChangeEvent(kind="flag", at=AT, name="new-cart")


@pytest.mark.parametrize(
    ("kind", "name", "expected"), [("rollback", "v1.1", "rollback v1.1"), ("canary", None, "canary")]
)
def test_what_its_kind_says_of_a_deploy_is_kept(kind, name, expected):
    """Rollbacks and canaries are deploys of their own sort."""
    assert read(kind=kind, at=AT.timestamp(), name=name) == ChangeEvent(kind="deploy", at=AT, name=expected)


@pytest.mark.parametrize(
    ("kind", "told", "live"),
    [
        ("deploy", {}, True),
        ("deploy", {"environment": "production"}, True),
        ("deploy", {"env": "staging"}, False),
        ("deploy", {"name": "to staging"}, False),
        ("deploy", {"env": "stg"}, False),
        ("deploy", {"name": "release/dev-tools", "environment": "prod-eu"}, True),
        ("flag", {"name": "dev-tools"}, True),
        ("flag", {"name": "new-cart", "stage": "qa"}, False),
    ],
)
def test_what_is_not_production_is_told_apart(kind, told, live):
    """By the environment, or by a deploy's name; a flag's name says nothing of where."""
    assert read(kind=kind, at=AT.timestamp(), **told).in_production is live


@pytest.mark.parametrize(
    "line", [{"at": 5}, {"kind": "party", "at": 5}, {"kind": "deploy"}, {"kind": "deploy", "at": "noon"}]
)
def test_a_line_that_is_no_event_is_told(line, tmp_path):
    """It is counted, and the rest is read."""
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(line) + "\n" + json.dumps({"kind": "deploy", "at": AT.timestamp()}) + "\n")
    events, (gap,) = EventsFile(path).read()

    assert [event.at for event in events] == [AT]
    assert gap.startswith("1 line of the events file")


def test_a_case_may_say_null_for_what_it_does_not_know():
    """And its time in ISO 8601, its id as a number."""
    told = {
        "id": 7,
        "title": "a",
        "created_at": "2024-05-14T12:00:00Z",
        "description": None,
        "events": None,
        "repos": None,
    }
    case = Case.model_validate_json(json.dumps(told))

    assert (case.id, case.created_at, case.description, case.events) == ("7", NOON.timestamp(), "", ())
