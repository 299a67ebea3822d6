"""Where incidents go: configured channels first, then one of their own, made once."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels import Channels, channel_name
from bot.slack_web import open_client
from bot.standin.slack import Fault
from core.errors import SlackUnavailable
from core.model import Incident, IncidentEvent
from core.settings import read_settings

AT = datetime(2026, 8, 1, 3, 0, tzinfo=UTC)
INCIDENT = Incident(
    id="pd:Q1",
    title="Checkout: 500s on /pay!",
    created_at=AT,
    service="Checkout",
    number=42,
    url="https://pd.example/Q1",
)
NAME = "inc-2026-08-01-checkout-500s-on-pay-42"


@pytest.fixture
def channels(client, store):
    def make(**settings):
        return Channels(client, read_settings(**settings), store)

    return make


def name_of(slack, channel_id):
    return slack.workspace.channel(channel_id).name


@pytest.mark.parametrize(
    ("settings", "service", "expected"),
    [
        (
            {"service_channels": {"Checkout": "#checkout-oncall"}, "default_channel": "general"},
            "Checkout",
            "checkout-oncall",
        ),
        ({"service_channels": {"checkout": "checkout-oncall"}}, "CHECKOUT", "checkout-oncall"),
        ({"service_channels": {"Checkout": "checkout-oncall"}, "default_channel": "general"}, "Search", "general"),
        ({"service_channels": {"Checkout": "checkout-oncall"}, "default_channel": "#general"}, None, "general"),
        ({"service_channels": {"Checkout": "gone"}, "default_channel": "general"}, "Checkout", "general"),
        ({"service_channels": {"Checkout": "archived"}, "default_channel": "general"}, "Checkout", "general"),
        ({"service_channels": {"Checkout": "secret"}, "default_channel": "general"}, "Checkout", "general"),
        ({"default_channel": "invited"}, None, "invited"),
        ({"default_channel": "gone"}, "Checkout", NAME),
        ({}, "Checkout", NAME),
    ],
)
def test_an_incident_finds_its_channel(slack, channels, settings, service, expected):
    """Its service's, else the default one, else its own; one that cannot be used is passed over."""
    slack.add_channel("checkout-oncall")
    slack.add_channel("archived", archived=True)
    slack.add_channel("secret", private=True)
    slack.add_channel("invited", private=True, members=[slack.bot])
    channel = channels(**settings).channel_for(replace(INCIDENT, service=service))

    assert (name_of(slack, channel), True) == (expected, slack.bot in slack.workspace.channel(channel).members)


def test_a_channel_may_be_given_by_id(slack, channels):
    """Ids survive renaming."""
    channel = slack.add_channel("checkout-oncall")

    assert channels(default_channel=channel).channel_for(INCIDENT) == channel


def test_channels_are_found_among_many(slack, channels):
    """The list comes in pages, and is read once for many incidents."""
    for number in range(450):
        slack.add_channel(f"team-{number}")
    ours = channels(default_channel="team-444")
    for number in range(5):
        ours.channel_for(replace(INCIDENT, id=f"pd:{number}"))

    assert (len(slack.called("conversations.list")), len(slack.called("conversations.join"))) == (3, 1)


def test_its_own_channel_is_made_once(slack, channels):
    """A step that runs again, in this process or the next, finds it; so does one that knows the incident under a newer title."""
    first = channels().channel_for(INCIDENT)
    ours = channels()
    again = [ours.channel_for(INCIDENT), ours.channel_for(INCIDENT)]
    renamed = channels().channel_for(replace(INCIDENT, title="Checkout is down"))

    assert ({first}, [NAME]) == (
        {*again, renamed},
        [channel.name for channel in slack.workspace.channels.values() if channel.name.startswith("inc-")],
    )
    assert slack.workspace.channel(first).topic == "PagerDuty incident 42: https://pd.example/Q1"


@pytest.mark.parametrize("committed", [True, False])
def test_a_lost_answer_to_making_it_makes_no_second_one(slack, channels, committed):
    """The step fails, runs again, and finds whatever the first run made."""
    slack.fault("conversations.create", Fault(how="drop", committed=committed))
    ours = channels()
    with pytest.raises(SlackUnavailable):
        ours.channel_for(INCIDENT)
    channel = ours.channel_for(INCIDENT)

    assert (name_of(slack, channel), len(slack.workspace.channels)) == (NAME, 2)


def test_a_name_that_another_incident_has_is_passed_over(slack, channels, store):
    """Two PagerDuty accounts may both have an incident 42."""
    other = slack.add_channel(NAME)
    store.record_events(
        [IncidentEvent(incident_id="pd:OTHER", event_id="e1", kind="triggered", occurred_at=AT, changes={"title": "x"})]
    )
    store.set_channel("pd:OTHER", other)
    channel = channels().channel_for(INCIDENT)

    assert (name_of(slack, channel), other != channel) == (f"{NAME}-2", True)


def test_an_archived_namesake_is_passed_over(slack, channels):
    """It cannot be posted to."""
    slack.add_channel(NAME, archived=True)

    assert name_of(slack, channels().channel_for(INCIDENT)) == f"{NAME}-2"


def test_no_right_to_make_channels_says_what_to_do(slack, channels):
    """Some workspaces do not let apps."""
    slack.fault("conversations.create", Fault(how="refuse", error="restricted_action"))
    with pytest.raises(SlackUnavailable, match="RUNDOWN_DEFAULT_CHANNEL"):
        channels().channel_for(INCIDENT)


def test_a_topic_that_cannot_be_set_is_no_reason_to_fail(slack, channels):
    """The card matters."""
    slack.fault("conversations.setTopic", Fault(how="status"))

    assert name_of(slack, channels().channel_for(INCIDENT)) == NAME


def test_a_slack_that_is_down_is_no_reason_for_another_channel(slack, channels):
    """An answer that is missing is not a channel that is missing."""
    slack.add_channel("checkout-oncall")
    slack.fault("conversations.join", Fault(how="status"))
    ours = channels(default_channel="checkout-oncall")
    with pytest.raises(SlackUnavailable):
        ours.channel_for(INCIDENT)

    assert slack.called("conversations.create") == []
    assert name_of(slack, ours.channel_for(INCIDENT)) == "checkout-oncall"


def test_an_unreachable_slack_is_raised(store, closed_port):
    """The workflow tries again later."""
    client = open_client("xoxb-1", f"http://127.0.0.1:{closed_port}/api/")
    with pytest.raises(SlackUnavailable, match="RUNDOWN_SLACK_API_URL"):
        Channels(client, read_settings(default_channel="general"), store).channel_for(INCIDENT)


def test_every_listed_and_prefixed_channel_is_joined(slack, channels):
    """At start, and again every few minutes: only what is new costs a call."""
    for name in ("inc-1", "inc-2", "checkout-oncall", "sre", "random", "incidental"):
        slack.add_channel(name)
    slack.add_channel("inc-old", archived=True)
    slack.add_channel("inc-secret", private=True)
    ours = channels(service_channels={"Checkout": "checkout-oncall"}, listen_channels="sre,#general")
    joined = {name_of(slack, channel) for channel in ours.join_listed()}
    calls = len(slack.called("conversations.join"))
    ours.join_listed()

    assert (joined, calls) == ({"inc-1", "inc-2", "checkout-oncall", "sre", "general"}, 4)
    assert len(slack.called("conversations.join")) == 4


def test_a_channel_that_cannot_be_joined_is_named_after_the_others_are_joined(slack, channels):
    """A misspelled name is seen by `rundown doctor` and on /readyz."""
    channel = slack.add_channel("inc-1")
    with pytest.raises(SlackUnavailable, match="checkuot"):
        channels(listen_channels="checkuot").join_listed()

    assert slack.bot in slack.workspace.channel(channel).members


def test_without_the_scope_for_private_channels_public_ones_still_work(slack, channels):
    """A team may strike groups:read."""
    slack.api.scopes = tuple(scope for scope in slack.api.scopes if scope != "groups:read")

    assert name_of(slack, channels(default_channel="general").channel_for(INCIDENT)) == "general"


@pytest.mark.parametrize(("name", "joins"), [("inc-7", True), ("general-2", False), ("incident", False)])
def test_a_new_channel_is_joined_by_its_prefix(slack, channels, name, joins):
    """As soon as Slack tells of it."""
    channel = slack.add_channel(name)

    assert channels().join_new(channel, name) is joins
    assert (slack.bot in slack.workspace.channel(channel).members) is joins


@pytest.mark.parametrize(
    ("title", "number", "expected"),
    [
        ("Checkout: 500s on /pay!", 42, NAME),
        ("", 42, "inc-2026-08-01-incident-42"),
        ("数据库 故障", 42, "inc-2026-08-01-incident-42"),
        ("Größe überschritten", 42, "inc-2026-08-01-groe-uberschritten-42"),
        ("x" * 200, 42, f"inc-2026-08-01-{'x' * 40}-42"),
        ("same", None, "inc-2026-08-01-same-adc4b0c7"),
    ],
)
def test_a_channel_name(title, number, expected):
    """Date, subject and number, in what Slack allows."""
    assert channel_name("inc-", replace(INCIDENT, title=title, number=number)) == expected


@given(
    prefix=st.text(max_size=60),
    title=st.text(max_size=200),
    number=st.none() | st.integers(min_value=0, max_value=10**9),
)
def test_any_incident_makes_a_name_that_slack_takes(prefix, title, number):
    """Whatever PagerDuty and the settings say."""
    assert re.fullmatch(r"[a-z0-9_-]{1,80}", channel_name(prefix, replace(INCIDENT, title=title, number=number)))
