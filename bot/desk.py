"""What people in Slack may ask of Rundown, and what is done about it.

Does: answer questions, start investigations, draft postmortems, take thumbs and remarks. Every request gets an answer or a plain
reason. Does not: parse Slack's payloads (`slack.py`) or send anything itself (the outbox does).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot import blocks
from bot.investigation import Gathered, Investigator, Ranked, clean
from bot.steps import LiveSteps, opened_by
from core.access import Audience
from core.errors import SlackUnavailable
from core.model import Evidence, Feedback, Incident, IncidentEvent, Note, Ranking, Status, Vote, from_json, to_json
from core.redaction import redact, redact_json
from core.store import MessageState, Store

if TYPE_CHECKING:
    from bot.delivery import Delivery
    from bot.metrics import Metrics
    from core.settings import Settings

log = logging.getLogger(__name__)

#: Passages an answer may draw on beside what the incident's card already holds.
PASSAGES = 6


class Desk:
    """The other side of `bot.slack.Desk`.

    Args:
        store: everything remembered.
        steps: shows cards.
        investigator: searches and drafts.
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
        delivery: Delivery,
        settings: Settings,
        metrics: Metrics,
        health: Callable[[], Mapping[str, str]],
    ) -> None:
        self._store, self._steps, self._investigator, self._delivery = store, steps, investigator, delivery
        self._settings, self._metrics, self._health = settings, metrics, health

    # -- questions -----------------------------------------------------------------------------------------------

    def answer(self, question: str, *, channel: str, thread_ts: str, person: str, key: str) -> None:
        """Answer a question in its thread, from evidence, or say that nothing was found.

        Args:
            key: the request's own id; asking twice under one key answers once.
        """
        question = redact(question)
        incident = self._incident_here(channel, thread_ts)
        evidence, ranking, gaps = self._evidence_for(question, incident, channel)
        draft = self._investigator.drafter.answer(question, clean(incident) if incident else None, evidence, ranking)
        body = blocks.answer_message(
            question, draft, evidence=evidence, ranking=ranking, incident=incident, key=key, gaps=gaps
        )
        self._store.save_finding(
            incident.id if incident else f"channel:{channel}",
            f"answer:{key}",
            {"question": question, "draft": to_json(draft), "evidence": to_json_all(evidence)},
        )
        self._send(
            f"answer:{key}",
            channel=channel,
            body=body,
            incident_id=incident.id if incident else None,
            thread_ts=thread_ts,
        )

    def _incident_here(self, channel: str, thread_ts: str | None) -> Incident | None:
        """The incident of the thread, or else the newest of the channel."""
        message = self._store.message_at(channel, thread_ts) if thread_ts else None
        if message and message.incident_id:
            return self._store.incident(message.incident_id)
        return self._store.incident_in(channel)

    def _evidence_for(
        self, question: str, incident: Incident | None, channel: str
    ) -> tuple[tuple[Evidence, ...], Ranking | None, tuple[str, ...]]:
        """What the card already holds, then what the question itself finds, numbered on."""
        found = self._store.findings(incident.id) if incident else {}
        gathered = from_json(Gathered, found["gather"]) if "gather" in found else Gathered()
        ranking = from_json(Ranked, found["rank"]).ranking if "rank" in found else None
        evidence = list(gathered.evidence)
        words = f"{question}\n{incident.title}" if incident else question
        passages, gap, _ = self._investigator.search(words, incident, limit=PASSAGES, audience=Audience.of((channel,)))
        known = {(item.doc_id, item.section) for item in evidence}
        fresh = [item for item in passages if (item.doc_id, item.section) not in known]
        evidence += [replace(item, id=f"E{place}") for place, item in enumerate(fresh, start=len(evidence) + 1)]
        gaps = [gap] if gap else []
        return tuple(evidence), ranking, tuple(gaps)

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
        found = self._store.findings(incident.id)
        gathered = from_json(Gathered, found["gather"]) if "gather" in found else Gathered()
        ranking = from_json(Ranked, found["rank"]).ranking if "rank" in found else None
        told = self._store.incident_events(incident.id)
        events = [event for event in told if event.kind != "remark"]
        remarks = [
            Note(at=event.occurred_at, author=event.agent or "somebody", text=str(event.changes.get("text", "")))
            for event in told
            if event.kind == "remark"
        ]
        draft = self._investigator.drafter.postmortem(clean(incident), events, gathered.evidence, ranking, remarks)
        self._store.save_finding(incident.id, "postmortem", to_json(draft))
        home = self._store.channel_of(incident.id) or channel
        for place, body in enumerate(
            blocks.postmortem_messages(clean(incident), draft, evidence=gathered.evidence, ranking=ranking)
        ):
            self._send(
                f"postmortem:{incident.id}:{place}",
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
        """Open incidents and the health of each part."""
        open_now = [incident for incident in self._store.incidents(limit=200) if incident.status is not Status.RESOLVED]
        return blocks.status_message(open_now, self._health())

    def help(self) -> dict[str, Any]:
        """What can be asked."""
        return blocks.help_message()

    # -- learning ------------------------------------------------------------------------------------------------

    def judge(self, *, incident_id: str, item: str, vote: Vote, person: str, channel: str, message_ts: str) -> str:
        """Keep a thumb, once per person and item, with the release and evidence it judged."""
        incident = self._store.incident(incident_id)
        if incident is None:
            return "I no longer know this incident, so the vote could not be kept."
        card = self._steps.card(incident_id)
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
                "finding": self._judged(card, item, incident_id),
            }
        )
        first = self._store.record_feedback(word, training_row=judged)
        self._metrics.voted(item=item.split(":", 1)[0], vote=vote.value)
        self._steps.show(incident_id)
        said = {Vote.UP: "👍 kept", Vote.DOWN: "👎 kept", Vote.CULPRIT: "Kept as the culprit"}[vote]
        return f"{said}. Thank you." if first else f"{said}; it replaces what you said before."

    def _judged(self, card: Any, item: str, incident_id: str) -> Any:
        """What was on show under an item: the training row's other half."""
        if item.startswith("answer:"):
            return self._store.findings(incident_id).get(item)
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


def to_json_all(items: tuple[Any, ...]) -> list[Any]:
    """Each noun as plain JSON values."""
    return [to_json(item) for item in items]
