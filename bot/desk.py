"""What people in Slack may ask of Rundown, and what is done about it.

Does: answer questions, start investigations, draft postmortems, take thumbs and remarks. Every request gets an answer or a plain
reason. What somebody may read and the channel they ask in may not is offered to them alone, and shown to them alone.
Does not: parse Slack's payloads (`slack.py`) or send anything itself (the outbox does).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot import blocks
from bot.audience import Present
from bot.gate import Gate
from bot.investigation import Gathered, Investigator, Ranked, clean
from bot.steps import LiveSteps, opened_by
from bot.told import ANSWER, POSTMORTEM, PRIVATE, Sources, Told, culprits_of
from core.errors import SlackUnavailable
from core.model import Evidence, Feedback, Incident, IncidentEvent, Note, Ranking, Status, Vote, from_json, to_json
from core.redaction import redact, redact_json
from core.store import MessageState, Store

if TYPE_CHECKING:
    from bot.delivery import Delivery
    from bot.metrics import Metrics
    from core.settings import Settings

#: What to tell a person alone: a sentence, or a whole message; "" for nothing.
Reply = str | dict[str, Any]

log = logging.getLogger(__name__)

#: Names the question of a private offer among the findings.
OFFER = "offer:"
#: Passages an answer may draw on beside what the incident's card already holds.
PASSAGES = 6


class Desk:
    """The other side of `bot.slack.Desk`.

    Args:
        store: everything remembered.
        steps: shows cards.
        investigator: searches and drafts.
        gate: who sees what is said, and what they may read.
        delivery: the outbox.
        settings: what Slack's terms let us keep.
        metrics: counts votes and answers.
        health: the state of each part in a word, for `/rundown status`.
    """

    def __init__(
        self,
        *,
        store: Store,
        steps: LiveSteps,
        investigator: Investigator,
        gate: Gate,
        delivery: Delivery,
        settings: Settings,
        metrics: Metrics,
        health: Callable[[], Mapping[str, str]],
    ) -> None:
        self._store, self._steps, self._investigator, self._delivery = store, steps, investigator, delivery
        self._gate, self._settings, self._metrics, self._health = gate, settings, metrics, health

    # -- questions -----------------------------------------------------------------------------------------------

    def answer(self, question: str, *, channel: str, thread_ts: str, person: str, key: str) -> Reply:
        """Answer a question in its thread, from evidence that everyone there may read, or say that nothing was found.

        Args:
            key: the request's own id; asking twice under one key answers once.

        Returns:
            What to tell the person alone: that there is more which not everyone there may read. "" for nothing.
        """
        question = redact(question)
        incident = self._incident_here(channel, thread_ts)
        if incident is not None:
            self._steps.rechecking.incident(incident.id)
        present = self._gate.present(channel)
        evidence, ranking, gaps = self._evidence_for(question, incident, present)
        draft = self._investigator.drafter.answer(question, clean(incident) if incident else None, evidence, ranking)
        told = Told(
            question=question,
            draft=draft,
            evidence=evidence,
            culprits=culprits_of(ranking),
            gaps=gaps,
            channel=channel,
        )
        self._tell(f"{ANSWER}{key}", told, incident, thread_ts=thread_ts)
        return self._offer(question, incident, present, channel=channel, thread_ts=thread_ts, person=person, key=key)

    def _tell(self, step: str, told: Told, incident: Incident | None, *, thread_ts: str | None = None) -> None:
        """Keep an answer, and send it as it may be shown."""
        retelling = self._steps.retelling
        retelling.keep(step, told, incident)
        body = retelling.answer(step, incident=incident, channel=told.channel)
        assert body is not None, f"{step} was kept just now"
        self._send(
            step,
            channel=told.channel,
            body=body,
            incident_id=incident.id if incident else None,
            thread_ts=thread_ts,
        )

    # -- what not everyone may read ------------------------------------------------------------------------------

    def _offer(
        self,
        question: str,
        incident: Incident | None,
        present: Present,
        *,
        channel: str,
        thread_ts: str,
        person: str,
        key: str,
    ) -> Reply:
        """Tell whoever asked how many more documents they may read; "" if there are none. Nothing of them is kept."""
        asker = self._gate.audiences.of_person(_slack_id(person))
        if not asker.known or asker.audience == present.audience:
            return ""
        passages, _, _ = self._search(question, incident, asker)
        shared = self._gate.readable([item.piece for item in passages if item.piece], present.audience)
        more = {item.doc_id or item.id for item in passages if item.piece not in shared}
        if not more:
            return ""
        offer = {"question": question, "person": person, "channel": channel, "thread_ts": thread_ts}
        self._store.save_finding(f"{OFFER}{key}", "offer", offer)
        return blocks.offer_message(len(more), key)

    def answer_privately(self, key: str, *, person: str) -> Reply:
        """Send somebody the answer to their own question from all that they may read themselves; what to tell them.

        They must be who asked, and still be in the channel where they did: the question is about what goes on there.
        """
        offer = self._store.findings(f"{OFFER}{key}").get("offer")
        if offer is None:
            return "I no longer know this question. Ask it again."
        if offer["person"] != person:
            return "This was offered to somebody else. Ask me yourself, and I look for what you may read."
        who = _slack_id(person)
        there = self._gate.audiences.of_channel(offer["channel"], within_s=0.0)
        asker = self._gate.audiences.of_person(who, fresh=True)
        if not (there.known and asker.known):
            return "Slack does not say just now who may read this, so nothing was sent. Try again in a minute."
        if who not in there.people & asker.people:
            return "You are no longer in the channel where you asked, so nothing was sent."
        incident = self._incident_here(offer["channel"], offer["thread_ts"])
        passages, gap, _ = self._search(offer["question"], incident, asker)
        evidence = _numbered(passages)
        draft = self._investigator.drafter.answer(
            offer["question"], clean(incident) if incident else None, evidence, None
        )
        direct = self._gate.audiences.direct_channel(who)
        gaps = (gap,) if gap else ()
        # Kept under the direct channel: nothing of it belongs to the incident, whose findings are for its channel.
        told = Told(question=offer["question"], draft=draft, evidence=evidence, gaps=gaps, channel=direct)
        self._tell(f"{PRIVATE}{key}", told, None)
        return "I have sent you what you may read, in a direct message."

    def more(self, incident_id: str, *, person: str) -> Reply:
        """What somebody may read about an incident and not everyone in its channel may: for them alone. Nothing of it is kept.

        They must be in that channel: the search tells of its incident.
        """
        incident, home = self._store.incident(incident_id), self._store.channel_of(incident_id)
        if incident is None or home is None:
            return "I no longer know this incident."
        who = _slack_id(person)
        there = self._gate.audiences.of_channel(home, within_s=0.0)
        asker = self._gate.audiences.of_person(who, fresh=True)
        if not (there.known and asker.known):
            return "Slack does not say just now who may read what, so nothing is shown. Try again in a minute."
        if who not in there.people & asker.people:
            return "You are not in this incident's channel, so nothing is shown."
        gathered = self._investigator.gather(incident, audience=asker.audience)
        shared = self._gate.readable([item.piece for item in gathered.evidence if item.piece], there.audience)
        more = [item for item in gathered.evidence if item.piece not in shared]
        shown = self._gate.check(more, asker).evidence
        if shown:
            return blocks.more_message(shown, clean(incident))
        if not gathered.whole:
            return "Not all documents could be searched just now, and in the others there is nothing more for you. Try again in a minute."
        return "Nothing that you may read fits this incident, beside what the card shows to everyone here."

    def people_changed(self, channel: str) -> None:
        """Somebody joined a channel or left it: what it shows is looked at again at once."""
        self._gate.audiences.forget(channel)
        self._steps.rechecking.forget(channel)
        self._steps.recheck(channel)

    # -- evidence ------------------------------------------------------------------------------------------------

    def _incident_here(self, channel: str, thread_ts: str | None) -> Incident | None:
        """The incident of the thread, or else the newest of the channel."""
        message = self._store.message_at(channel, thread_ts) if thread_ts else None
        if message and message.incident_id:
            return self._store.incident(message.incident_id)
        return self._store.incident_in(channel)

    def _evidence_for(
        self, question: str, incident: Incident | None, present: Present
    ) -> tuple[tuple[Evidence, ...], Ranking | None, tuple[str, ...]]:
        """What the card already holds, then what the question itself finds, numbered on; all for who is present."""
        found = self._store.findings(incident.id) if incident else {}
        gathered = from_json(Gathered, found["gather"]) if "gather" in found else Gathered()
        ranking = from_json(Ranked, found["rank"]).ranking if "rank" in found else None
        held = self._gate.check(gathered.evidence, present).evidence
        passages, gap, _ = self._search(question, incident, present)
        known = {(item.doc_id, item.section) for item in held}
        fresh = [item for item in passages if (item.doc_id, item.section) not in known]
        # What the card holds keeps the ids it has there.
        return (*held, *_numbered(fresh, after=len(gathered.evidence))), ranking, (gap,) if gap else ()

    def _search(
        self, question: str, incident: Incident | None, present: Present
    ) -> tuple[list[Evidence], str | None, bool]:
        words = f"{question}\n{incident.title}" if incident else question
        return self._investigator.search(words, incident, limit=PASSAGES, audience=present.audience)

    # -- commands ------------------------------------------------------------------------------------------------

    def investigate(self, text: str, *, channel: str, person: str, key: str) -> str:
        """Open an investigation of what somebody typed, with its card in this channel."""
        title = redact(text).strip()
        if not title:
            return "Say what is wrong, for example: `/rundown investigate checkout answers 500 since the last deploy`."
        incident_id = opened_by(key)
        now = datetime.now(UTC)
        self._store.record_events(
            [
                IncidentEvent(
                    incident_id=incident_id,
                    event_id=f"{incident_id}:opened",
                    kind="triggered",
                    occurred_at=now,
                    changes={"title": title[:300], "description": title[300:], "created_at": now.isoformat()},
                )
            ]
        )
        if self._store.channel_of(incident_id) is None:
            self._store.set_channel(incident_id, channel)
        self._steps.show(incident_id)
        card = self._store.message(f"card:{incident_id}")
        if card is not None and card.state is MessageState.FAILED:
            return "I cannot post in this channel. Invite me to it, then ask again."
        return "Looking into it: the card is in this channel."

    def postmortem(self, argument: str, *, channel: str, thread_ts: str | None, person: str, key: str) -> str:
        """Write a first postmortem draft into the incident's thread."""
        incident = self._named(argument) if argument.strip() else self._incident_here(channel, thread_ts)
        if incident is None:
            return (
                f"I know no incident {argument.strip()!r}. Give its PagerDuty number, or ask in the incident's channel."
                if argument.strip()
                else "I know no incident in this channel. Give its PagerDuty number: `/rundown postmortem 123`."
            )
        self._steps.rechecking.incident(incident.id)
        home = self._store.channel_of(incident.id) or channel
        found = self._store.findings(incident.id)
        gathered = from_json(Gathered, found["gather"]) if "gather" in found else Gathered()
        evidence = self._gate.check(gathered.evidence, self._gate.present(home)).evidence
        ranking = from_json(Ranked, found["rank"]).ranking if "rank" in found else None
        told = self._store.incident_events(incident.id)
        events = [event for event in told if event.kind != "remark"]
        remarks = [
            Note(at=event.occurred_at, author=event.agent or "somebody", text=str(event.changes.get("text", "")))
            for event in told
            if event.kind == "remark"
        ]
        draft = self._investigator.drafter.postmortem(clean(incident), events, evidence, ranking, remarks)
        sources = Sources(evidence=evidence, culprits=culprits_of(ranking))
        self._steps.retelling.keep_postmortem(incident.id, draft, sources)
        for place, body in enumerate(self._steps.retelling.postmortem(incident, home)):
            self._send(
                f"{POSTMORTEM}{incident.id}:{place}",
                channel=home,
                body=body,
                incident_id=incident.id,
                parent=f"card:{incident.id}",
            )
        return "A first draft of the postmortem is in the incident's thread. Every sentence names its source; the conclusions are yours to write."

    def _named(self, argument: str) -> Incident | None:
        wanted = argument.strip().lstrip("#")
        for incident in self._store.incidents(limit=500):
            if wanted in (str(incident.number), incident.id, incident.id.removeprefix("pd:")):
                return incident
        return None

    def status(self, *, channel: str) -> dict[str, Any]:
        """Open incidents and the health of each part. What lives in a private channel is for that channel."""
        open_now = [
            incident
            for incident in self._store.incidents(limit=200)
            if incident.status is not Status.RESOLVED and self._is_for(channel, self._store.channel_of(incident.id))
        ]
        return blocks.status_message(open_now, self._health())

    def _is_for(self, channel: str, home: str | None) -> bool:
        """Whether an incident may be named in a channel. One that has no place yet came from the pager, for everyone."""
        return home in (None, channel) or self._gate.audiences.is_public(str(home))

    def help(self) -> dict[str, Any]:
        """What can be asked."""
        return blocks.help_message()

    # -- learning ------------------------------------------------------------------------------------------------

    def judge(self, *, incident_id: str, item: str, vote: Vote, person: str, channel: str, message_ts: str) -> str:
        """Keep a thumb, once per person and item, with the release and evidence it judged."""
        incident = self._store.incident(incident_id)
        if incident is None:
            return "I no longer know this incident, so the vote could not be kept."
        self._steps.rechecking.incident(incident.id)
        card = self._steps.shown(incident_id)
        shown = (
            *(item.id for item in card.evidence),
            *(f"commit:{culprit.commit.sha}" for culprit in (card.ranking.culprits if card.ranking else ())),
        )
        word = Feedback(
            incident_id=incident_id,
            item=item,
            person=person,
            vote=vote,
            at=datetime.now(UTC),
            release=card.release or "extractive-1",
            evidence=shown,
        )
        judged = redact_json(
            {
                "incident": {
                    "title": incident.title,
                    "description": incident.description,
                    "service": incident.service,
                    "created_at": incident.created_at.timestamp(),
                },
                # Who could read it: a row is of use only where its readers may be taught from.
                "channel": channel,
                "finding": self._judged(card, item, incident, channel),
            }
        )
        first = self._store.record_feedback(word, training_row=judged)
        self._metrics.voted(item=item.split(":", 1)[0], vote=vote.value)
        self._steps.show(incident_id)
        said = {Vote.UP: "👍 kept", Vote.DOWN: "👎 kept", Vote.CULPRIT: "Kept as the culprit"}[vote]
        return f"{said}. Thank you." if first else f"{said}; it replaces what you said before."

    def _judged(self, card: Any, item: str, incident: Incident, channel: str) -> Any:
        """What was on show under an item: the training row's other half."""
        if item.startswith(ANSWER):
            told = self._steps.retelling.told(item, incident, channel)
            return to_json(told) if told else None
        if item == "summary":
            return to_json(card.summary) if card.summary else None
        if item == "next":
            return {
                "mitigation": to_json(card.mitigation) if card.mitigation else None,
                "documents": [found.doc_id for found in card.evidence],
            }
        ranking = card.ranking
        return (
            {
                "ranking": [
                    {"sha": culprit.commit.sha, "repo": culprit.commit.repo, "score": culprit.score}
                    for culprit in ranking.culprits
                ]
            }
            if ranking
            else None
        )

    def remark(self, text: str, *, channel: str, thread_ts: str | None, person: str, at: datetime) -> None:
        """Keep what people say about an incident, for its timeline; only where Slack's terms let us."""
        incident = self._incident_here(channel, thread_ts)
        if incident is None or self._settings.slack_distribution != "internal" or not text.strip():
            return
        event = IncidentEvent(
            incident_id=incident.id,
            event_id=f"remark:{channel}:{at.timestamp():.6f}",
            kind="remark",
            occurred_at=at,
            agent=person,
            changes={"text": redact(text)},
        )
        self._store.record_events([event])

    # -- sending -------------------------------------------------------------------------------------------------

    def _send(
        self,
        key: str,
        *,
        channel: str,
        body: dict[str, Any],
        incident_id: str | None,
        parent: str | None = None,
        thread_ts: str | None = None,
    ) -> None:
        self._store.want_message(
            key, channel=channel, body=redact_json(body), incident_id=incident_id, parent=parent, thread_ts=thread_ts
        )
        try:
            self._delivery.deliver(key)
        except SlackUnavailable as error:
            log.warning("%s waits in the outbox: %s", key, error)


def _numbered(items: Iterable[Evidence], *, after: int = 0) -> tuple[Evidence, ...]:
    """Evidence as "E1", "E2"… in its order, after so many others."""
    return tuple(replace(item, id=f"E{place}") for place, item in enumerate(items, start=after + 1))


def _slack_id(person: str) -> str:
    """Slack's id of a person that `bot.slack` names "slack:<team>:<user>"."""
    return person.rpartition(":")[2]
