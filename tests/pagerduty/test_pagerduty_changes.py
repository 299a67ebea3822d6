"""Change events become deploys, flags and settings; a PagerDuty that will not tell is a gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.changes import ChangeSources
from bot.pagerduty_changes import change_event, read_changes
from core.model import Incident
from ranking.events import ChangeEvent

AT = datetime(2024, 5, 14, 12, 0, tzinfo=UTC)
NAMES = {"P1": "checkout"}
SHA = "3f9a1c2b7d" * 4


@pytest.mark.parametrize(
    ("summary", "details", "links", "expected"),
    [
        ("Deployed checkout", {"sha": SHA}, [], ("deploy", SHA, "Deployed checkout")),
        ("Deployed checkout", {"Git Commit": SHA[:9], "version": "v1.2.3"}, [], ("deploy", SHA[:9], "v1.2.3")),
        ("Release 42 is live", {}, [f"https://github.com/a/b/commit/{SHA}"], ("deploy", SHA, "Release 42 is live")),
        ("Rollout", {}, [f"https://github.com/a/b/compare/aaaaaaa...{SHA[:8]}"], ("deploy", SHA[:8], "Rollout")),
        (f"Rolled back to {SHA[:7]}", {}, [], ("deploy", SHA[:7], f"Rolled back to {SHA[:7]}")),
        ("Canary of checkout", {"env": {"revision": SHA}}, [], ("deploy", SHA, "Canary of checkout")),
        ("Feature flag `new-cart` turned on", {}, [], ("flag", None, "new-cart")),
        ("dana switched flag new_cart to 50 %", {}, [], ("flag", None, "new_cart")),
        ("Toggle changed", {"flag_key": "new.cart"}, [], ("flag", None, "new.cart")),
        ("Config: maxPoolSize raised", {}, [], ("config", None, "maxPoolSize")),
        ("Terraform applied", {"setting": "pool.size"}, [], ("config", None, "pool.size")),
        ("Config changed", {}, [], None),
        ("Build Success - Increase snapshot create timeout", {"build_state": "passed"}, [], None),
        ("Merged: Raise the pool", {}, [f"https://github.com/a/b/commit/{SHA}"], None),
        ("Deploy of checkout failed", {"sha": SHA}, [], None),
        ("Deploy failed on host 3", {"sha": SHA}, [], None),
        (
            "Deployed checkout: handle failed payments",
            {"sha": SHA},
            [],
            ("deploy", SHA, "Deployed checkout: handle failed payments"),
        ),
        ("Deploy api: fix error page", {"sha": SHA}, [], ("deploy", SHA, "Deploy api: fix error page")),
        ("Deploy of checkout", {"sha": SHA, "status": "cancelled"}, [], None),
    ],
)
def test_a_change_event_is_read_by_its_words(summary, details, links, expected):
    """Deploys by their commit, flags and settings by their name; builds, merges and failed jobs are none."""
    item = {
        "timestamp": "2024-05-14T12:00:00Z",
        "summary": summary,
        "custom_details": details,
        "links": [{"href": link} for link in links],
        "services": [{"id": "P1", "type": "service_reference"}],
    }
    event = change_event(item, NAMES)

    assert (event and (event.kind, event.sha, event.name)) == expected
    assert event is None or (event.at, event.service) == (AT, "checkout")


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"timestamp": "yesterday", "summary": "Deployed"},
        {"timestamp": 5, "summary": ["Deployed"], "custom_details": "x", "links": "y", "services": "z"},
        {"timestamp": "2024-05-14T12:00:00Z", "summary": None, "custom_details": {"a": None}, "links": [1]},
    ],
)
def test_what_is_not_as_documented_tells_nothing(item):
    """Any JSON may come."""
    assert change_event(item, NAMES) is None


def test_changes_of_the_service_and_of_everybody_come_once_and_from_before(pd, clock, client):
    """Its own of two weeks, everybody's of a day; none from the incident's time on."""
    began = clock() - timedelta(hours=1)
    for hours, service, sha in (
        (300, "checkout", "a"),
        (2, "checkout", "b"),
        (3, "ledger", "c"),
        (60, "ledger", "d"),
        (1, "checkout", "e"),
    ):
        pd.change("Deployed", service=service, details={"sha": sha + SHA[1:]}, at=clock() - timedelta(hours=hours))
    incident = pd.trigger("Checkout is down", at=began)["id"]

    found = read_changes(client, f"pd:{incident}", began)

    assert [(event.service, (event.sha or "")[0]) for event in found] == [
        ("checkout", "a"),
        ("ledger", "c"),
        ("checkout", "b"),
    ]


@pytest.mark.parametrize(
    ("status", "whole", "gap"),
    [
        (
            403,
            True,
            "PagerDuty's change events cannot be read: the API key may not do this; give it access or do it in PagerDuty by hand",
        ),
        (404, True, "PagerDuty's change events cannot be read: it is gone, or the API key may not see it"),
        (
            500,
            False,
            "The list of deploys is unavailable: PagerDuty answered 500 to GET /incidents/X/related_change_events",
        ),
    ],
)
def test_a_pagerduty_that_does_not_tell_is_a_gap(pd, client, tmp_path, status, whole, gap):
    """A refusal is told and not asked again; an outage is asked again. What else is known counts."""
    incident = pd.trigger("Checkout is down")
    pd.fail_next(status, on="related_change_events")
    began = datetime.fromisoformat(incident["created_at"])
    told = tmp_path / "events.jsonl"
    told.write_text(f'{{"kind":"deploy","at":{began.timestamp() - 60},"service":"checkout"}}\n')

    changes = ChangeSources(client, told).before(Incident(id=f"pd:{incident['id']}", title="x", created_at=began))

    assert [text.replace(incident["id"], "X") for text in changes.gaps] == [gap]
    assert (changes.whole, [event.service for event in changes.events]) == (whole, ["checkout"])


def test_without_a_source_nothing_is_asked(pd, client):
    """No key, no file; and an incident typed in Slack is not PagerDuty's."""
    typed = Incident(id="slack:1", title="x", created_at=AT)

    assert (ChangeSources(None, None).before(typed).events, ChangeSources(client, None).before(typed).events) == (
        (),
        (),
    )
    assert pd.rest.requests == []


def test_an_events_file_may_begin_with_a_byte_order_mark(tmp_path):
    """As some shells write it when they append; the first line is a line like the others."""
    file = tmp_path / "events.jsonl"
    file.write_text(f'\ufeff{{"kind":"deploy","at":{AT.timestamp() - 9}}}\n', encoding="utf8")
    found = ChangeSources(None, file).before(Incident(id="local:1", title="x", created_at=AT))

    assert ([event.kind for event in found.events], found.gaps) == (["deploy"], ())


def test_the_events_file_is_read_again_when_it_has_grown(tmp_path):
    """Bad lines are told, a line that is being written is waited for, later and ancient events are left out."""
    file = tmp_path / "events.jsonl"
    sources = ChangeSources(None, file)
    incident = Incident(id="local:1", title="x", created_at=AT)
    missing = sources.before(incident)
    file.write_text(
        f'{{"kind":"deploy","at":9}}\n{{"kind":"deploy","at":{AT.timestamp() - 9}}}\n{{"kind":"party","at":1}}\n{{"kind":"fl'
    )
    first = sources.before(incident)
    file.write_text(
        f'{{"kind":"deploy","at":{AT.timestamp() - 9}}}\n{{"kind":"flag","at":{AT.timestamp() - 5},"name":"x"}}\n{{"kind":"flag","at":{AT.timestamp()}}}\n'
    )
    second = sources.before(incident)

    deploy = ChangeEvent(kind="deploy", at=AT - timedelta(seconds=9))
    assert missing.gaps == ("the events file 'events.jsonl' cannot be read: No such file or directory",)
    assert (first.events, first.gaps) == (
        (deploy,),
        (
            "1 line of the events file 'events.jsonl' cannot be read (kind: Input should be 'deploy', 'flag' or 'config')",
        ),
    )
    assert (second.events, second.gaps, second.whole) == (
        (deploy, ChangeEvent(kind="flag", at=AT - timedelta(seconds=5), name="x")),
        (),
        True,
    )
