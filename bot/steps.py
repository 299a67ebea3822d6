"""The steps of the workflow on real parts: store in, store out, and Slack shown what the store says.

Does: each step reads what earlier ones left in the store, does its part, and writes it back; running one twice changes nothing more.
Does not: order them (`workflow.py`) or know what DBOS is.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from bot import blocks, pagerduty
from bot.card import Card, Step, StepName
from bot.gate import Gate, shown
from bot.investigation import Changes, Drafted, Gathered, Investigator, Ranked, attempt, clean
from bot.recheck import NO_STEP, Recheck, card_keys
from bot.slack_web import PASSING, SlackRefused
from bot.told import Retelling
from core.errors import SlackUnavailable
from core.model import Incident, Status, Vote, from_json, to_json
from core.redaction import redact, redact_json
from core.store import InboxRow, Message, MessageState, Store

if TYPE_CHECKING:
    from bot.channels import Channels
    from bot.delivery import Delivery
    from bot.metrics import Metrics
    from bot.slack import SlackApp

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The steps a card tells the progress of, and what each is called there.
INVESTIGATION: tuple[StepName, ...] = ("gather", "rank", "draft")
#: Slack's words for a channel that takes no post of ours however often we try, in ours.
CLOSED = {
    "is_archived": "it is archived",
    "channel_not_found": "it is gone, or private without me",
    "not_in_channel": "I am not in it. Invite me",
    "restricted_action": "only some people may post there",
    "restricted_action_read_only_channel": "only some people may post there",
    "restricted_action_thread_only_channel": "only some people may post there",
    "restricted_action_non_threadable_channel": "nobody may reply there",
}
#: The finding that holds channels that refused the card, by their ids; and how many may before we give up.
REFUSED, MOVES = "refused", 3
#: The finding that holds the channel into which those who were called have been invited.
INVITED = "invited"
#: Seconds after which those who could not be invited are invited again.
INVITE_AGAIN_S = 60.0
#: Rounds after which a card that keeps changing under us is left to the next step.
ROUNDS = 5


class LiveSteps:
    """The workflow's steps, wired to the store, the investigator and Slack.

    Args:
        store: everything remembered.
        investigator: gather, rank and draft.
        channels: where an incident's card goes.
        delivery: the outbox.
        gate: what may be shown in a channel, asked anew whenever something is.
        metrics: told of first posts and complete cards.
        enrich: asks PagerDuty for an incident's details; None without a REST key.
        changes: asks what was deployed and switched before an incident; None without any source of it.
        invite: brings those whom the pager called to an incident into a channel; None without a REST key.
        recheck_days: how far back past incidents and answers are looked at again.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        store: Store,
        investigator: Investigator,
        channels: Channels,
        delivery: Delivery,
        gate: Gate,
        metrics: Metrics,
        enrich: Callable[[str], Any] | None = None,
        changes: Callable[[Incident], Changes] | None = None,
        invite: Callable[[str, str], None] | None = None,
        recheck_days: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._investigator, self._channels, self._delivery = store, investigator, channels, delivery
        self._gate, self._metrics, self._enrich, self._changes = gate, metrics, enrich, changes
        self._invite, self._clock = invite, clock
        #: Incidents and channels whose responders may be invited again only from then on.
        self._invite_after: dict[tuple[str, str], float] = {}
        #: Makes the messages that are no cards.
        self.retelling = Retelling(store, gate)
        #: Runs what somebody in Slack asked. Set once both are built: it asks the desk, and the desk shows cards through us.
        self.slack: SlackApp | None = None
        self._completed: set[str] = set()
        #: Looks again at what stands in Slack.
        self.rechecking = Recheck(
            store=store,
            gate=gate,
            retelling=self.retelling,
            delivery=delivery,
            steps=self,
            days=recheck_days,
            clock=clock,
        )
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    # -- incoming ------------------------------------------------------------------------------------------------

    def fold(self, row: InboxRow) -> list[str]:
        """Turn an accepted PagerDuty request into events; the ids of the incidents it concerns."""
        normalise = pagerduty.normalise_polled if row.source == "pagerduty-poll" else pagerduty.normalise
        return [incident.id for incident in self._store.record_events(normalise(row.raw))]

    def answer_slack(self, row: InboxRow) -> list[str]:
        """Do what somebody in Slack asked; the ids of incidents they opened by it."""
        assert self.slack is not None, "bot/serve.py sets it before the workflow is launched"
        opened = opened_by(row.event_id)
        try:
            self.slack.handle(row)
        except SlackUnavailable as error:
            # What they opened stays open, although they could not be told so.
            if self._store.incident(opened) is None:
                raise
            log.warning("could not answer whoever opened %s: %s", opened, error)
        return [opened] if self._store.incident(opened) else []

    def apologise(self, row: InboxRow, reason: str) -> None:
        """Tell whoever asked that it could not be done."""
        assert self.slack is not None, "bot/serve.py sets it before the workflow is launched"
        attempt("telling a person so", lambda: self.slack.apologise(row, redact(reason)) if self.slack else None)

    # -- investigation -------------------------------------------------------------------------------------------

    def wants_investigation(self, incident_id: str) -> bool:
        """Whether the incident is open. One resolved before we saw it gets its card, and no guesses."""
        return self._incident(incident_id).status is not Status.RESOLVED

    def gather(self, incident_id: str) -> bool:
        """Ask PagerDuty for details, then find documents; whether every part answered. What was whole is not asked again."""
        known = _read(self._store.findings(incident_id), "gather", Gathered)
        if known is not None and known.settled:
            return True
        enrich, gap = self._enrich, None
        if enrich is not None and incident_id.startswith("pd:"):
            event, gap = attempt("PagerDuty's details of the incident", lambda: enrich(incident_id))
            if event is not None:
                self._store.record_events([event])
        present = self._gate.present(self._store.channel_of(incident_id))
        gathered = self._investigator.gather(self._incident(incident_id), audience=present.audience)
        if not present.known:
            gathered = replace(gathered, whole=False, audience_known=False)
        if gap:
            gathered = replace(gathered, gaps=(gap, *gathered.gaps), whole=False)
        if not gathered.whole:
            self._metrics.retrieval_failed()
        worse = known is not None and known.traced and len(gathered.evidence) < len(known.evidence)
        if not worse:  # as a later try may be
            self._store.save_finding(incident_id, "gather", to_json(gathered))
        return gathered.whole

    def rank(self, incident_id: str) -> bool:
        """Rank commits; whether every part answered. What was whole is not ranked again."""
        known = _read(self._store.findings(incident_id), "rank", Ranked)
        if known is not None and known.whole:
            return True
        incident = self._incident(incident_id)
        ranked = self._investigator.rank(incident, self._changes_before(incident))
        if known is None or ranked.ranking is not None:
            self._store.save_finding(incident_id, "rank", to_json(ranked))
        return ranked.whole

    def _changes_before(self, incident: Incident) -> Changes:
        """What was deployed and switched before it. Asked once, so that a step that runs again ranks by the same."""
        known = _read(self._store.findings(incident.id), "changes", Changes)
        if self._changes is None or (known is not None and known.whole):
            return known or Changes()
        asked = self._changes
        found, gap = attempt("looking for deploys", lambda: asked(incident))
        changes = found or replace(known or Changes(), gaps=(gap or "",), whole=False)
        changes = from_json(Changes, redact_json(to_json(changes)))
        self._store.save_finding(incident.id, "changes", to_json(changes))
        return changes

    def draft(self, incident_id: str) -> bool:
        """Compare past incidents by the suspected commit, and write the card's words.

        A model that fails leaves the extractive draft, which is whole.
        """
        found = self._store.findings(incident_id)
        gathered, ranked = _read(found, "gather", Gathered) or Gathered(), _read(found, "rank", Ranked) or Ranked()
        incident, present = self._incident(incident_id), self._gate.present(self._store.channel_of(incident_id))
        compared = (
            self._investigator.compare(incident, gathered, ranked, present.audience) if present.known else gathered
        )
        if compared != gathered:
            self._store.save_finding(incident_id, "gather", to_json(compared))
        gathered = replace(compared, evidence=self._gate.check(compared.evidence, present).evidence)
        drafted = self._investigator.draft(incident, gathered, ranked)
        for draft in (drafted.summary, drafted.mitigation):
            if draft.author == "extractive" and draft.rejected:
                self._metrics.model_failed(draft.task)
        self._store.save_finding(incident_id, "draft", to_json(drafted))
        return True

    # -- Slack ---------------------------------------------------------------------------------------------------

    def show(self, incident_id: str) -> None:
        """Bring the incident's card and its thread to what the store knows now.

        Slack not answering is no failure of the step: what is wanted is in the outbox, and `resend` brings it there.
        """
        self.retelling.forget_pieces(incident_id)
        with self._locks[incident_id]:
            try:
                self._show_somewhere(incident_id)
                self._note_completion(incident_id)
            except SlackUnavailable as error:
                log.warning("cannot show %s yet: %s", incident_id, error)

    def _show_somewhere(self, incident_id: str) -> None:
        """Show it in its channel, or in the first other one that takes it: what is given up, no sweep tries again."""
        for _ in range(MOVES + 1):
            channel = self._home(incident_id)
            try:
                self._show_at_home(incident_id, channel)
            except SlackRefused as error:
                if not self._moved(incident_id, channel, error):
                    raise
            else:
                return

    def _home(self, incident_id: str) -> str:
        """Its channel, which is chosen once."""
        channel = self._store.channel_of(incident_id)
        if channel is None:
            channel = self._channels.channel_for(clean(self._incident(incident_id)))
            self._store.set_channel(incident_id, channel)
        return channel

    def _show_at_home(self, incident_id: str, channel: str) -> None:
        for _ in range(ROUNDS):
            if not self._show_once(incident_id, channel):
                break

    def _moved(self, incident_id: str, tried: str, error: SlackRefused) -> bool:
        """Whether a card that Slack refuses for good where it was tried has another channel now: a page must find its way.

        Not the card that somebody asked for in a channel: they are told that we cannot post there.
        """
        if error.code not in CLOSED or incident_id.startswith("slack:"):
            return False
        key = f"card:{incident_id}"
        # What delivery holds while it posts: on a shared store nobody else sends or moves the card meanwhile. It calls nothing
        # of ours, and we do not call it here, so neither waits for the other in vain.
        with self._store.exclusively(f"deliver:{key}"):
            if self._store.channel_of(incident_id) != tried:
                return True  # moved for this same refusal, by another process
            message = self._store.message(key)
            if message is None or message.ts is not None:
                return False
            refused = {**self._store.findings(incident_id).get(REFUSED, {}), tried: error.code}
            if len(refused) > MOVES:
                return False
            self._store.save_finding(incident_id, REFUSED, refused)
            channel = self._another(message, incident_id, refused)
            # One that is on its way right now stays: the next round waits for what becomes of it.
            if self._store.move_card(key, channel, before=tried):
                log.warning("the card of %s goes to %s, since %s refuses it: %s", incident_id, channel, tried, error)
            return True

    def _another(self, message: Message, incident_id: str, refused: dict[str, str]) -> str:
        """A channel that has not refused the card."""
        try:
            return self._channels.channel_for(clean(self._incident(incident_id)), refused=refused)
        except SlackUnavailable as silent:
            if silent.ambiguous or silent.retry_after_s or getattr(silent, "code", "") in PASSING:
                # What was given up would never be tried again: it waits for a channel as for Slack itself.
                self._store.mark_message(message.key, MessageState.PENDING, error=silent.why)
            raise

    def _show_once(self, incident_id: str, channel: str) -> bool:
        """Send what differs; whether anything did. Repeated until nothing does, because other steps write meanwhile."""
        sent, refused = False, None
        for key, body in self._wanted(incident_id).items():
            parent = None if key.startswith("card:") else f"card:{incident_id}"
            message = self._store.want_message(key, channel=channel, body=body, incident_id=incident_id, parent=parent)
            if message.sent_version < message.version:
                try:
                    self._metrics.message_delivered(self._delivery.deliver(key))
                except SlackUnavailable as error:
                    if message.ts is None:
                        raise
                    refused = error  # an edit: what the others show too much of must not wait for it
                sent = True
        if refused is not None:
            raise refused
        return sent

    def _note_completion(self, incident_id: str) -> None:
        """Tell the metrics, once, how long a card took to be whole."""
        message = self._store.message(f"card:{incident_id}")
        if message and message.sent_at and incident_id not in self._completed and self.finished(incident_id):
            self._completed.add(incident_id)
            self._metrics.card_complete(message.sent_at - message.created_at)

    def _wanted(self, incident_id: str) -> dict[str, dict[str, Any]]:
        """The messages an incident has in Slack, as the store knows it now, by their key."""
        whole = self.card(incident_id)
        card = self.shown(incident_id)
        wanted = {f"card:{incident_id}": redact_json(blocks.card_message(card))}
        # What was told of evidence is told anew when none of it may be shown any more.
        if whole.ranking is not None or whole.evidence:
            wanted[f"detail:{incident_id}"] = redact_json(blocks.detail_message(card))
        return wanted

    def shown(self, incident_id: str) -> Card:
        """The card with what everyone in its channel may read now."""
        card = self.card(incident_id)
        if card.step("gather").state in ("waiting", "running"):
            return card  # nothing was looked for yet: the first post waits for nobody
        drafted = _read(self._store.findings(incident_id), "draft", Drafted)
        allowed = self._gate.check(card.evidence, self._gate.present(self._store.channel_of(incident_id)))
        return shown(card, allowed, drafted.pieces if drafted else {})

    def finished(self, incident_id: str) -> bool:
        """Whether the investigation is over and Slack shows all of it."""
        if self._store.incident(incident_id) is None or self.card(incident_id).working:
            return False
        messages = {key: (self._store.message(key), body) for key, body in self._wanted(incident_id).items()}
        return all(
            message and message.body == body and message.sent_version == message.version
            for message, body in messages.values()
        )

    def resend(self) -> None:
        """Send what Slack does not show yet: it was down, or we were killed in between. Then invite. Called every few seconds."""
        for incident in self._store.incidents_unshown():
            attempt(f"showing {incident}", functools.partial(self.show, incident))
        seen: set[str] = set()
        for key in self._store.unsent_messages():
            message = self._store.message(key)
            if message is None:
                continue
            # One message that does not get through must not hold up those behind it.
            if message.incident_id and key in card_keys(message.incident_id):
                if message.incident_id not in seen:
                    attempt(f"showing {message.incident_id}", functools.partial(self.show, message.incident_id))
                seen.add(message.incident_id)
            else:
                attempt(f"sending {key}", functools.partial(self._send_again, message))
        self._invite_called()

    def _send_again(self, message: Message) -> None:
        """Send what waited, as it may be shown by now."""
        self.retelling.renew(message)
        self._delivery.deliver(message.key)

    def _invite_called(self) -> None:
        """Bring those whom the pager called to open incidents into the channels made for them.

        Not a part of the investigation, which waits for nobody. What fails is no gap, since they have their page, and is tried again.
        """
        now = self._clock()
        self._invite_after = {key: then for key, then in self._invite_after.items() if then > now}
        for incident_id in self._store.incidents_without(NO_STEP) if self._invite else ():
            attempt(f"inviting responders of {incident_id}", functools.partial(self._invite_once, incident_id, now))

    def _invite_once(self, incident_id: str, now: float) -> None:
        incident, channel = self._incident(incident_id), self._store.channel_of(incident_id)
        if (
            self._invite is None
            or channel is None
            or not incident.paged
            or (incident_id, channel) in self._invite_after
        ):
            return
        if self._store.findings(incident_id).get(INVITED) == channel:
            return
        self._invite_after[incident_id, channel] = now + INVITE_AGAIN_S
        if self._channels.made_for(incident, channel):
            self._invite(incident_id, channel)
        self._store.save_finding(incident_id, INVITED, channel)

    # -- who may read it -----------------------------------------------------------------------------------------

    def recheck(self, channel: str | None = None) -> None:
        """Take out of messages what not everyone who sees them may read any more. See `bot.recheck`."""
        self.rechecking.look(channel)

    def card(self, incident_id: str) -> Card:
        """The card as the store knows it now."""
        found = self._store.findings(incident_id)
        gathered, ranked, drafted = (
            _read(found, "gather", Gathered),
            _read(found, "rank", Ranked),
            _read(found, "draft", Drafted),
        )
        votes: dict[str, tuple[int, int]] = {}
        confirmed: list[str] = []
        for row in self._store.feedback(incident_id):
            up, down = votes.get(row["item"], (0, 0))
            votes[row["item"]] = (up + (row["vote"] != Vote.DOWN), down + (row["vote"] == Vote.DOWN))
            if row["vote"] == Vote.CULPRIT:
                confirmed.append(row["item"].removeprefix("commit:"))
        return Card(
            incident=self._incident(incident_id),
            steps=_progress(gathered, ranked, drafted),
            evidence=gathered.evidence if gathered else (),
            ranking=ranked.ranking if ranked else None,
            summary=drafted.summary if drafted else None,
            mitigation=drafted.mitigation if drafted else None,
            gaps=(*(gathered.gaps if gathered else ()), *(ranked.gaps if ranked else ())),
            votes=votes,
            confirmed_culprit=confirmed[-1] if confirmed else None,
            release=ranked.ranking.release if ranked and ranked.ranking else "",
            meant_for=_meant_for(found.get(REFUSED, {}), self._store.channel_of(incident_id)),
        )

    def _incident(self, incident_id: str) -> Incident:
        incident = self._store.incident(incident_id)
        if incident is None:
            raise LookupError(f"no incident {incident_id!r} in the store")
        return incident


def opened_by(key: str) -> str:
    """The id of the incident that a request in Slack opens, by the request's own id: asked twice, opened once."""
    return f"slack:{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _meant_for(refused: dict[str, str], home: str | None) -> tuple[str, str] | None:
    """The first channel that refused the card, and why in words, if it is not where the card is now."""
    channel, code = next(iter(refused.items()), (home, ""))
    return (channel, CLOSED[code]) if channel and channel != home else None


def _read(found: dict[str, Any], step: str, kind: type[T]) -> T | None:
    return from_json(kind, found[step]) if step in found else None


def _progress(gathered: Gathered | None, ranked: Ranked | None, drafted: Drafted | None) -> tuple[Step, ...]:
    """Done, degraded, running or waiting, for each step in its order."""
    steps: list[Step] = []
    running = False
    for name, finding in zip(INVESTIGATION, (gathered, ranked, drafted), strict=True):
        gaps: tuple[str, ...] = getattr(finding, "gaps", ())
        if finding is not None:
            steps.append(Step(name=name, state="degraded" if gaps else "done", note=gaps[0] if gaps else ""))
        else:
            steps.append(Step(name=name, state="waiting" if running else "running"))
            running = True
    return tuple(steps)
