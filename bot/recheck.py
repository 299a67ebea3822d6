"""What stands in Slack already, looked at again: whether everyone who sees it may still read what it rests on.

Does: go through the messages of open incidents, of those that began lately, and the answers lately given outside of any; have made
anew what shows too much, or less than it may.
Does not: decide who may read what (`gate.py`), or make messages (`steps.py`, `told.py`).

What Slack is asked stays within its limits: who is in an open incident's channel is asked about every 20 s, or less often where there
are many, and in those of past ones less often still. What each person is, and what may be read, is never older than for the open ones;
and of whoever joins or leaves Slack tells at once. While Slack does not say who sees a past message, or the index not what may be
read, it stays as it is: an open incident's loses what it rests on, but a restart must not edit a month of others and back.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Hashable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from bot.audience import FRESH_S, Present, Recent
from bot.investigation import Gathered, attempt
from bot.told import place_of
from core.model import from_json

if TYPE_CHECKING:
    from bot.delivery import Delivery
    from bot.gate import Gate
    from bot.told import Retelling
    from core.store import Message, Store

#: Channels of open incidents that Slack is asked about in a minute, and of past ones: of the hundred it lets us ask about.
ASKED_PER_MIN, PAST_PER_MIN = 75, 20
#: Direct channels asked about in a minute: each costs a list of somebody's channels, of which Slack lets us ask for fifty.
DIRECT_PER_MIN = 10
#: Seconds until a past channel of which Slack would not tell is asked about again: it may be gone.
GONE_S = 300.0
#: The verdict on what was made anew while Slack did not tell for whom: it is once more when Slack does.
BLIND = "blind"
#: Places of which the last known people are remembered.
MOST_PLACES = 5_000
#: A step that no investigation has: all open incidents are without it.
NO_STEP = "none"


class Shows(Protocol):
    """What shows an incident. `bot.steps.LiveSteps` does."""

    def show(self, incident_id: str) -> None:
        """Bring its card and thread to what may be shown now."""
        ...

    def gather(self, incident_id: str) -> bool:
        """Look for its documents again."""
        ...

    def draft(self, incident_id: str) -> bool:
        """Write its card's words again."""
        ...


class Recheck:
    """Looks again. Called every few seconds, from one thread at a time or several.

    Args:
        store: what stands where.
        gate: who may read what.
        retelling: makes answers and postmortems anew.
        delivery: edits them.
        steps: makes cards anew.
        days: how far back past incidents and answers are looked at.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        store: Store,
        gate: Gate,
        retelling: Retelling,
        delivery: Delivery,
        steps: Shows,
        days: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._gate, self._retelling, self._delivery = store, gate, retelling, delivery
        self._steps, self._days, self._clock = steps, days, clock
        #: What decided what messages show, when they were last looked at: by incident, or place of answers.
        self._verdicts: dict[str, Hashable] = {}
        #: Who was last known to be in a past channel, and when it was last asked about.
        self._known: Recent[str, Present] = Recent(MOST_PLACES, clock)
        #: When it was last asked about, and whether Slack told.
        self._asked: Recent[str, bool] = Recent(MOST_PLACES, clock)
        #: Older incidents that somebody turned to, to their channels.
        self._turned_to: dict[str, str] = {}

    def look(self, channel: str | None = None) -> None:
        """Take out of messages what not everyone who sees them may read any more.

        Args:
            channel: only those shown in this one.
        """
        since = datetime.now(UTC) - timedelta(days=self._days)
        now_open = {one: self._store.channel_of(one) for one in self._store.incidents_without(NO_STEP)}
        lately = {**self._turned_to, **self._store.homes_since(since)}
        past = {one: home for one, home in lately.items() if one not in now_open}
        loose = self._store.loose_messages(since)
        within_s = max(FRESH_S, len(set(now_open.values())) * 60.0 / ASKED_PER_MIN)
        for incident_id, home in now_open.items():
            if home is not None and channel in (None, home):
                look = functools.partial(self._open, incident_id, home, within_s)
                attempt(f"checking who may read {incident_id}", look)
        self._look_back(past, loose, channel)
        seen = {*now_open, *past, *(place_of(place) for place in loose)}
        self._verdicts = {subject: verdict for subject, verdict in self._verdicts.items() if subject in seen}

    def incident(self, incident_id: str) -> None:
        """Look at one that somebody turns to, if it is not looked at anyway, since it began too long ago; and from now on."""
        home = self._store.channel_of(incident_id)
        if home is not None and incident_id not in self._verdicts:
            self._turned_to[incident_id] = home
            self._look_back({incident_id: home}, {}, channel=None)

    def _look_back(self, past: Mapping[str, str], loose: Mapping[str, Collection[str]], channel: str | None) -> None:
        """Look at past incidents, by their channels, and at answers outside of any, by theirs; until the index falls silent."""
        places = _Places({*past.values(), *loose})
        looks: list[tuple[str, str, Callable[[], None]]] = [
            (one, home, functools.partial(self._renew_incident, one)) for one, home in past.items()
        ]
        looks += [(place_of(place), place, functools.partial(self._renew_loose, keys)) for place, keys in loose.items()]
        for subject, home, renew in looks:
            if channel in (None, home):
                look = functools.partial(self._past, subject, home, places, renew)
                answered, _ = attempt(f"checking who may read {subject}", look)
                if answered is False:
                    return

    def _open(self, incident_id: str, home: str, within_s: float) -> None:
        present = self._gate.present(home, within_s=within_s)
        verdict = self._retelling.verdict(incident_id, present)
        if self._verdicts.get(incident_id) == verdict:
            return
        found = self._store.findings(incident_id)
        gathered = from_json(Gathered, found["gather"]) if "gather" in found else None
        unfit = gathered is not None and not (gathered.audience_known and gathered.traced)
        if unfit and present.known and self._steps.gather(incident_id):
            self._steps.draft(incident_id)
            verdict = self._retelling.verdict(incident_id, present)
        self._renew_incident(incident_id)
        self._verdicts[incident_id] = verdict

    def _past(self, subject: str, home: str, places: _Places, renew: Callable[[], None]) -> bool:
        """Renew what may be shown no longer, or again; whether the index says what may.

        Of what is looked at for the first time only what shows too much is made anew: nearly all shows what it may.
        """
        present = self._present(home, places)
        before = self._verdicts.get(subject)
        if present is None or (before == BLIND and self._asked.get(home, GONE_S) is False):
            return True
        pieces = self._retelling.pieces(subject)
        readable = self._gate.known_readable(pieces, present.audience)
        if readable is None:
            return False
        verdict = self._verdicts[subject] = (readable, present.gaps)
        if readable != pieces if before is None else before != verdict:
            renew()
            if not self._gate.present(home, within_s=places.members_s).known:
                self._verdicts[subject] = BLIND
        return True

    def _present(self, home: str, places: _Places) -> Present | None:
        """Who sees a past channel. Where Slack does not tell, whom it told of last, if it ever did."""
        known, told = self._known.get(home, float("inf")), self._asked.get(home, GONE_S)
        if told is False or (known is not None and self._asked.get(home, places.interval_s(home))):
            return known
        asked_at = self._clock()
        found = self._gate.present(home, within_s=places.members_s)
        self._asked.put(home, found.known, at=asked_at)
        if found.known:
            self._known.put(home, found, at=asked_at)
        return found if found.known else known

    def forget(self, channel: str) -> None:
        """Somebody came or went: ask about it again."""
        self._asked.drop(channel)

    def _renew_incident(self, incident_id: str) -> None:
        self._steps.show(incident_id)
        cards = card_keys(incident_id)
        self._renew([message for message in self._store.messages(incident_id) if message.key not in cards])

    def _renew_loose(self, keys: Collection[str]) -> None:
        self._renew([message for key in keys if (message := self._store.message(key)) is not None])

    def _renew(self, messages: Collection[Message]) -> None:
        for message in messages:
            if self._retelling.renew(message):
                attempt(f"editing {message.key}", functools.partial(self._delivery.deliver, message.key))


class _Places:
    """How often past channels are asked about, of which there are so many."""

    def __init__(self, channels: Collection[str]) -> None:
        direct = sum(channel.startswith("D") for channel in channels)
        self.members_s = max(FRESH_S, (len(channels) - direct) * 60.0 / PAST_PER_MIN)
        self._direct_s = max(FRESH_S, direct * 60.0 / DIRECT_PER_MIN)

    def interval_s(self, channel: str) -> float:
        """Seconds for which who sees it is taken as known. But for direct ones, `Audiences` knows how to ask little."""
        return self._direct_s if channel.startswith("D") else 0.0


def card_keys(incident_id: str) -> tuple[str, str]:
    """The messages that `LiveSteps.show` makes."""
    return f"card:{incident_id}", f"detail:{incident_id}"
