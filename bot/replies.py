"""What the bot says beside the card: answers, postmortem drafts, help, status, and why something failed.

Does: lay each out as Block Kit within what Slack takes; say plainly when nothing was found or something broke.
Does not: search, draft or post.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot import card as words
from bot.kit import Block, Message, actions, button, context, few, fit, header, section, sections, spread, thumbs
from bot.mrkdwn import bold, code, date, link, plain, prose
from bot.sources import Sources
from core.duration import duration
from core.model import Draft, Evidence, Incident, Ranking, Section

#: The button that asks for the private answer; its value names the question.
PRIVATE_ACTION = "private.answer"
#: Under a heading for which the record holds nothing.
_OPEN = "The record holds nothing on this: yours to write."


def answer_message(
    question: str,
    draft: Draft | None,
    *,
    evidence: Sequence[Evidence],
    ranking: Ranking | None,
    incident: Incident | None,
    key: str,
    searched: int | None = None,
    gaps: Sequence[str] = (),
    votes: tuple[int, int] = (0, 0),
) -> Message:
    """An answer with its sources, or plainly that nothing was found.

    Args:
        question: as asked.
        draft: the answer; None or without a sentence that rests on evidence: nothing was found.
        evidence: what was retrieved, cited or not.
        ranking: the incident's, for citations of commits.
        incident: the incident asked about, under which a thumb is recorded; without it no thumbs are offered.
        key: names this answer in the item "answer:<key>".
        searched: how many documents were searched, if known.
        gaps: what could not be searched.
        votes: thumbs up and down so far.
    """
    sources = Sources(evidence, ranking, incident, legend=True)
    told = words.cited(draft, evidence, ranking)
    asked = context([f"Re: {plain(question, 200)}"] if question.strip() else [])
    missing = context([f"△ *Not searched:* {plain(gap, 240)}" for gap in gaps[:4]])
    if not told:
        lines = _nothing(evidence, searched, searchable=not gaps)
        return fit(lines[0], lambda room: [*asked, *sections(lines), *missing])
    rated = thumbs(votes, item=f"answer:{key}", incident_id=incident.id if incident else "", about="this answer")
    first = plain(told[0].sentences[0].text, 300)

    def build(room: float) -> list[Block]:
        return [
            *asked,
            *sections(_told(told, sources, room=room, most=few(12, room))),
            *sources.legend(told),
            *missing,
            *rated,
        ]

    return fit(first, build)


def offer_message(count: int, key: str) -> Message:
    """Told to the person who asked, and to nobody else: there is more that they may read and not everyone there may.

    Args:
        count: how many documents.
        key: names the question that the button asks again, privately.
    """
    documents = "1 more document" if count == 1 else f"{count:,} more documents"
    text = f"{documents} that you can read, but not everyone here."
    ask = button(
        "Answer me privately", action_id=PRIVATE_ACTION, value=key, hint="Send me the answer as a direct message"
    )
    return {"text": text, "blocks": [section(text), *actions([ask])]}


def _nothing(evidence: Sequence[Evidence], searched: int | None, *, searchable: bool) -> list[str]:
    if not searchable and not evidence:
        return ["I could not search for this, so I have no answer. Ask again in a minute."]
    where = (
        f" in {searched:,} {'document' if searched == 1 else 'documents'}"
        if searched is not None
        else " in the documents I can search"
    )
    near = [
        f"• {link(item.url, words.source_kind(item.kind) + ': ' + item.title, 120, schemes=('https',))}"
        for item in evidence[:3]
    ]
    return [f"I found nothing on this{where}.", *(["Nearest pages, none of which answers it:", *near] if near else [])]


def _told(told: Sequence[Section], sources: Sources, *, room: float = 1.0, most: int | None = None) -> list[str]:
    """Sentences with their marks, under headings where there are several sections."""
    lines: list[str] = []
    for part in told:
        sentences = part.sentences if most is None else part.sentences[: max(0, most)]
        most = None if most is None else most - len(sentences)
        if sentences and len(told) > 1 and part.heading.strip():
            lines.append(bold(part.heading, 120))
        lines += [
            sources.sentence(prose(item.text, int(700 * room)), item.evidence[: few(4, room)]) for item in sentences
        ]
    return lines


def postmortem_messages(
    incident: Incident, draft: Draft, *, evidence: Sequence[Evidence], ranking: Ranking | None
) -> list[Message]:
    """A postmortem draft over as many messages as it needs; the first carries the title."""
    sources = Sources(evidence, ranking, incident, legend=True)
    told = words.cited(draft, evidence, ranking, keep_empty=True)
    lasted = (
        f"lasted {duration(incident.resolved_at - incident.created_at)}" if incident.resolved_at else "not resolved yet"
    )
    blocks: list[Block] = [
        header(f"Postmortem draft: {incident.title.strip() or 'incident without a title'}"),
        *context(
            [
                bold(incident.service or "", 100),
                f"started {date(incident.created_at)}",
                lasted,
                link(incident.url, "PagerDuty") if incident.url else "",
            ]
        ),
        section("A draft for you to correct: every sentence names its source, and nothing has been published."),
    ]
    for part in told:
        blocks += sections([bold(part.heading, 150) or "*Notes*", *(_told([part], sources) or [_OPEN])])
    if not told:
        blocks.append(
            section("There is nothing to draft from yet: no events, notes or evidence were kept of this incident.")
        )
    blocks += sources.legend(told)
    blocks += context([plain(words.written_by(draft), 120)])
    title = plain(f"Postmortem draft: {incident.title}", 300)
    pages = spread(blocks)
    return [
        {"text": title if len(pages) == 1 else f"{title} ({place} of {len(pages)})", "blocks": page}
        for place, page in enumerate(pages, 1)
    ]


def help_message() -> Message:
    """What the bot can be asked for."""
    commands = [
        ("/rundown investigate", "looks into what you describe: `/rundown investigate checkout answers 500`"),
        ("/rundown postmortem", "drafts the postmortem of this channel's incident"),
        ("/rundown status", "shows open incidents and whether every part of me works"),
        ("/rundown help", "shows this"),
    ]
    lines = [
        "When PagerDuty pages, I post one card: what is going on, what likely caused it, what to do next. I edit it in place.",
        "*Ask me* by mentioning me in the incident's thread. I answer from your runbooks, wiki and past incidents, with links.",
        '*Read on* with "What else may I read?" on a card: I show you alone what not everyone in the channel may read.',
        '*Judge me* with 👍 and 👎, and with "This is the culprit" on a commit. I learn from each.',
        *(f"{code(command)} {what}" for command, what in commands),
    ]
    return {"text": "What Rundown does and how to ask it", "blocks": sections(lines)}


def status_message(incidents: Sequence[Incident], health: Mapping[str, str]) -> Message:
    """Which incidents are open, and whether every part of the bot works.

    Args:
        incidents: the open ones, newest first.
        health: part to its state in words, beginning with "ok" when there is nothing to do.
    """
    wrong = [name for name, state in health.items() if not _works(state)]
    count = (
        f"{len(incidents)} open {'incident' if len(incidents) == 1 else 'incidents'}"
        if incidents
        else "No open incidents"
    )
    text = f"{count}. " + (f"Needs attention: {plain(words.listed(wrong), 300)}." if wrong else "Everything works.")

    def build(room: float) -> list[Block]:
        shown = [_open_incident(incident, room) for incident in incidents[:15]]
        left = [f"{len(incidents) - 15} more"] if len(incidents) > 15 else []
        parts = [
            f"{'🟢' if _works(state) else '🟡'} {plain(name, 60)}: {plain(state, int(200 * room))}"
            for name, state in list(health.items())[:20]
        ]
        return [*sections([f"*{count}*", *shown, *left]), *sections(["*How I am*", *parts] if parts else [])]

    return fit(text, build)


def _works(state: str) -> bool:
    return state.lower().startswith("ok")


def _open_incident(incident: Incident, room: float) -> str:
    facts = [plain(incident.service or "", 60), plain(words.status_words(incident), 120), date(incident.created_at)]
    title = link(incident.url, words.headline(incident), int(200 * room))
    return " · ".join([f"{words.dot(incident)} {title}", *(fact for fact in facts if fact)])


def _as_sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def failure_message(what: str, why: str, way_out: str) -> Message:
    """Why something asked for could not be done, and what to do.

    Args:
        what: what failed, for example "I could not draft the postmortem".
        why: the reason, as found.
        way_out: what the reader can do about it.
    """
    said = plain(what, 300).rstrip(".") or "That did not work"
    reason, remedy = _as_sentence(plain(why, 600)), prose(way_out, 600)
    lines = [f"*{said}.*", reason, remedy]
    return {"text": f"{said}. {reason}".strip(), "blocks": sections([line for line in lines if line])}
