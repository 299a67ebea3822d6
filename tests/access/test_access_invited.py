"""Those whom PagerDuty called find themselves in the channel that was made for their incident."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from access_world import Clock, World

from bot.channels import Channels
from bot.metrics import Metrics
from bot.responders import Responders
from bot.standin.pagerduty import PagerDutyStandIn
from bot.standin.slack import Fault
from bot.steps import INVITE_AGAIN_S, LiveSteps
from core.model import IncidentEvent
from ingest.pagerduty_client import PagerDutyClient

NOW = datetime(2026, 8, 1, 3, 0, tzinfo=UTC)


@pytest.fixture(name="account", scope="module")
def _account() -> Iterator[PagerDutyStandIn]:
    with PagerDutyStandIn(clock=lambda: NOW) as standin:
        yield standin


@pytest.fixture(name="pd")
def _pd(account: PagerDutyStandIn) -> PagerDutyStandIn:
    account.reset()
    return account


class Team:
    """An incident of PagerDuty's with its channel in Slack, and the sweep that invites."""

    def __init__(self, world: World, pd: PagerDutyStandIn, client: PagerDutyClient) -> None:
        self.world, self.pd, self.clock = world, pd, Clock()
        self.pd_id = pd.trigger("Turbine stalls")["id"]
        self.incident = f"pd:{self.pd_id}"
        changes = {"title": "Turbine stalls", "created_at": NOW.isoformat(), "number": 1}
        event = IncidentEvent(
            incident_id=self.incident, event_id="1", kind="triggered", occurred_at=NOW, changes=changes
        )
        world.store.record_events([event])
        self.channels = Channels(world.client, world.settings, world.store)
        self.channel = self.channels.channel_for(world.store.incident(self.incident))
        world.store.set_channel(self.incident, self.channel)
        unused: Any = None
        self.steps = LiveSteps(
            store=world.store,
            investigator=world.investigator,
            channels=self.channels,
            delivery=unused,
            gate=world.gate,
            metrics=Metrics(),
            invite=Responders(client, world.client).invite,
            clock=self.clock,
        )

    def account(self, name: str, address: str | None) -> str:
        """Somebody in Slack."""
        person = self.world.slack.workspace.add_user(name)
        self.world.slack.workspace.user(person).email = address
        return person

    def sweep(self) -> None:
        """A sweep, late enough to try again what failed in the one before."""
        self.clock.now += INVITE_AGAIN_S
        self.steps.resend()

    @property
    def members(self) -> set[str]:
        """Who is in the channel, but for the bot."""
        return self.world.slack.workspace.channel(self.channel).members - {self.world.slack.bot}


@pytest.fixture(name="team")
def _team(make: Callable[..., World], pd: PagerDutyStandIn) -> Iterator[Callable[..., Team]]:
    with closing(PagerDutyClient(pd.token, url=pd.url)) as client:
        yield lambda **settings: Team(make(**settings), pd, client)


def test_who_is_assigned_and_who_took_it_is_invited_once(team: Callable[..., Team], slack: Any):
    """Found by their address in any case; the next sweep invites nobody anew."""
    here = team()
    called, took = here.account("oncall", "On.Call@example.com"), here.account("bea", "bea.lund@example.com")
    here.account("ana", "ana@example.com")
    here.pd.acknowledge(here.pd_id, user="Bea Lund")
    here.sweep()
    slack.workspace.channel(here.channel).members.discard(took)  # who left again is not called back
    here.sweep()

    assert (here.members, len(slack.called("conversations.invite"))) == ({called}, 2)


def test_who_has_no_account_in_slack_stops_nobody(team: Callable[..., Team]):
    """The others are invited."""
    here = team()
    took = here.account("bea", "bea.lund@example.com")
    here.account("oncall", None)
    here.pd.acknowledge(here.pd_id, user="Bea Lund")
    here.sweep()

    assert here.members == {took}


def test_the_search_for_documents_waits_for_no_invitation(team: Callable[..., Team], slack: Any):
    """Fifteen people are up to 45 calls."""
    here = team()
    here.account("oncall", "on.call@example.com")

    assert (here.steps.gather(here.incident), slack.called("users.lookupByEmail"), here.members) == (True, [], set())


def test_a_card_that_moves_to_a_channel_of_its_own_later_brings_them_there(team: Callable[..., Team]):
    """However long the investigation is over."""
    here = team(default_channel="general")
    called = here.account("oncall", "on.call@example.com")
    here.steps.gather(here.incident)
    here.sweep()
    here.channel = here.channels.channel_for(here.world.store.incident(here.incident), refused=[here.channel])
    here.world.store.set_channel(here.incident, here.channel)
    here.steps.resend()

    assert here.members == {called}


def test_nobody_is_invited_into_a_channel_that_was_there_before(team: Callable[..., Team], slack: Any):
    """People chose who is in it."""
    here = team(default_channel="general")
    here.account("oncall", "on.call@example.com")
    before = set(here.members)
    here.sweep()

    assert (here.members, slack.called("users.lookupByEmail")) == (before, [])


@pytest.mark.parametrize("code", ["missing_scope", "user_is_restricted"])
def test_without_leave_to_invite_nobody_asks_again(team: Callable[..., Team], slack: Any, code: str):
    """They have their page."""
    here = team()
    here.account("oncall", "on.call@example.com")
    slack.fault("conversations.invite", Fault(how="refuse", error=code))
    here.sweep()
    here.sweep()

    assert (len(slack.called("conversations.invite")), here.members) == (1, set())


@pytest.mark.parametrize("silent", ["slack", "pagerduty"])
def test_while_one_of_the_two_is_silent_they_are_invited_later(team: Callable[..., Team], slack: Any, silent: str):
    """Not at once: an incident that PagerDuty knows nothing of is not asked for every few seconds."""
    here = team()
    called = here.account("oncall", "on.call@example.com")
    if silent == "slack":
        slack.fault("users.lookupByEmail", Fault(how="status", status=503))
    else:
        here.pd.fail_next(404, on=here.pd_id)
    here.sweep()
    here.steps.resend()
    none = here.members
    here.sweep()

    assert (none, here.members) == (set(), {called})
