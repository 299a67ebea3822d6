"""The incident card and its thread detail as Block Kit.

Does: lay out DESIGN.md's card: what is going on, what likely caused it, what to do next; every claim linked to what it rests
on; whatever the input, within what Slack takes. Hands on the bot's other messages, laid out in `bot/replies.py`.
Does not: decide wording or verdicts (`bot/card.py`), post anything, or let text choose its own markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot import card as words
from bot.card import Card, Step
from bot.kit import (
    LINKED_ROOM,
    Block,
    Message,
    actions,
    button,
    context,
    divider,
    few,
    fit,
    header,
    section,
    sections,
    thumbs,
)
from bot.mrkdwn import bold, code, date, link, phrase, plain, prose
from bot.replies import (
    answer_message,
    failure_message,
    help_message,
    offer_message,
    postmortem_messages,
    status_message,
)
from bot.sources import Sources, commit_link, evidence_name
from core.model import Culprit, Evidence, Incident, Link, Ranking, Reason, Section, Status
from prompts.tasks import PARTS

__all__ = [
    "answer_message",
    "card_message",
    "detail_message",
    "failure_message",
    "help_message",
    "more_message",
    "offer_message",
    "postmortem_messages",
    "status_message",
]

#: The button that shows whoever presses it, and nobody else, what they may read beside the card; its value is the incident's id.
MORE_ACTION = "private.more"
#: What fits the card; the thread holds the rest.
SENTENCES, STEPS, CULPRITS, REASONS = 4, 9, 3, 3
CANDIDATES_IN_DETAIL, SOURCES_IN_DETAIL = 10, 12

#: The plan's own steps are numbered under "What to do next"; its other parts keep their headings.
STEPS_HEADING = PARTS["mitigation"][0].heading
_ABOUT = {"summary": "what is going on", "cause": "the likely cause", "next": "what to do next"}
_STEP_WORDS = {
    "gather": ("Search runbooks and past incidents", "Searching runbooks and past incidents", "Evidence gathered"),
    "rank": ("rank commits", "Ranking commits", "Commits ranked"),
    "draft": ("draft the card", "Drafting", "Drafted"),
}
_STEP_SIGNS = {"waiting": "○", "running": "◐", "done": "✓", "degraded": "△"}


def card_message(card: Card) -> Message:
    """The card of one incident: {"text", "blocks"}.

    Safe for any input; the same card gives the same message.
    """
    lay_out = _resolved if card.incident.status is Status.RESOLVED else _open
    return fit(_fallback(card), lambda room: lay_out(card, room))


def detail_message(card: Card) -> Message:
    """The first reply in the card's thread: all evidence, up to ten candidates, what was ruled out, what is missing."""
    found = len(card.evidence)
    text = f"Evidence behind the card: {found} {'source' if found == 1 else 'sources'}, {len(words.ranked(card.ranking))} candidate commits"
    return fit(text, lambda room: _detail(card, room))


def more_message(evidence: Sequence[Evidence], incident: Incident) -> Message:
    """Told to whoever pressed the button, and to nobody else: documents that they may read and not everyone in the channel."""
    text = "For you alone: not everyone here may read this."

    def build(room: float) -> list[Block]:
        shown = few(SOURCES_IN_DETAIL, room)
        left = len(evidence) - shown
        # Without ids: the card's own "E1" is another document.
        found = (block for item in evidence[:shown] for block in sections([_found(item, incident, room, marked=False)]))
        return [section(text), *found, *context([f"{left} more sources" if left > 0 else ""])]

    return fit(text, build)


# -- the open card -----------------------------------------------------------------------------------------------


def _open(card: Card, room: float) -> list[Block]:
    sources = Sources(card.evidence, card.ranking, card.incident, linked=room >= LINKED_ROOM)
    return [
        header(f"{words.dot(card.incident)} {words.headline(card.incident)}"),
        *_status(card.incident),
        *_displaced(card),
        *_verdict_line(card, room),
        *_going_on(card, sources, room),
        *_cause(card, room),
        *_next(card, sources, room),
        *_progress(card),
        *_gaps(card, room),
        *_footer(card),
    ]


def _status(incident: Incident) -> list[Block]:
    """Who is affected, where it stands, since when; then the runbook and links the alert itself names."""
    number = f" #{incident.number}" if incident.number is not None else ""
    page = "PagerDuty" if incident.id.startswith("pd:") else "Alert"
    facts = [
        bold(incident.service or "", 100),
        plain(words.status_words(incident), 200),
        f"started {date(incident.created_at)}",
        plain(f"{incident.urgency} urgency", 30) if incident.urgency and not incident.priority else "",
        link(incident.url, f"{page}{number}") if incident.url else "",
    ]
    links = (
        [f"Runbook: {link(incident.runbook_url, _address(incident.runbook_url), 80)}"] if incident.runbook_url else []
    )
    links += [_named_link(item) for item in incident.links[:4]]
    return [*context(facts), *context(links)]


def _displaced(card: Card) -> list[Block]:
    """Why the card is here and not where it was meant to be."""
    if card.meant_for is None:
        return []
    channel, why = card.meant_for
    return context([f"△ Meant for <#{plain(channel, 30)}>, where I cannot post: {plain(why, 200)}"])


def _named_link(item: Link) -> str:
    """A link out of an alert: whoever sent it chose the title, so the host stands beside it."""
    host = _address(item.url).partition("/")[0]
    return link(item.url, f"{item.title} ({host})" if item.title.strip() else _address(item.url), 80)


def _address(url: str) -> str:
    return url.partition("://")[2].partition("?")[0] or url


def _verdict_line(card: Card, room: float) -> list[Block]:
    """The answer in one line, before everything else."""
    verdict, best = words.verdict(card), words.leading(card, 1)
    if verdict.kind in ("working", "missing"):
        return []
    if verdict.kind == "inconclusive" or not best:
        return [section(f"*Cause {verdict.word.lower()}*")]
    chance = f", {verdict.chance}" if verdict.chance else ""
    commit = best[0].commit
    subject = link(commit.url, commit.subject.strip() or "(no subject)", int(160 * room))
    return [section(f"*{verdict.word} cause{chance}:* {subject}, {words.relative(commit.landed_at, card.incident)}")]


def _progress(card: Card) -> list[Block]:
    return context(_step(step) for step in card.steps) if card.working else []


def _step(step: Step) -> str:
    waiting, running, done = _STEP_WORDS[step.name]
    text = {"waiting": waiting[0].upper() + waiting[1:], "running": running, "done": done}.get(
        step.state, f"{done}, in part"
    )
    note = f": {plain(step.note, 80)}" if step.note and step.state == "running" else ""
    sign = _STEP_SIGNS[step.state]
    return f"{sign} *{text}*{note}" if step.state == "running" else f"{sign} {text}{note}"


def _going_on(card: Card, sources: Sources, room: float) -> list[Block]:
    told = words.cited(card.summary, card.evidence, card.ranking)
    lines = _sentences(told, sources, limit=SENTENCES, room=room)
    judged = bool(lines)
    if not lines and card.incident.description.strip():
        lines = [sources.sentence(prose(card.incident.description, int(500 * room)), ["I"])]
    similar = _similar(card, room)
    if not lines and not similar and card.working:
        return []
    body = [*(lines or ["The alert says no more than its title."]), *similar]
    votes = _votes(card, "summary") if judged else []
    return [*sections(["*What's going on*", *body]), *votes]


def _sentences(told: Sequence[Section], sources: Sources, *, limit: int, room: float) -> list[str]:
    flat = [sentence for part in told for sentence in part.sentences][:limit]
    return [
        sources.sentence(prose(sentence.text, int(450 * room)), sentence.evidence[: few(4, room)]) for sentence in flat
    ]


def _similar(card: Card, room: float) -> list[str]:
    found = words.past_incidents(card.evidence)
    if not found:
        return []
    first = found[0]
    when = f", {words.age(first, card.incident)}" if first.occurred_at else ""
    more = f" and {len(found) - 1} more in the thread" if len(found) > 1 else ""
    name = link(first.url, first.title or "untitled", int(120 * room), schemes=("https",))
    return [f"*Similar past incident:* {name}{when}{more}"]


# -- the cause ---------------------------------------------------------------------------------------------------


def _cause(card: Card, room: float) -> list[Block]:
    verdict = words.verdict(card)
    if verdict.kind == "working":
        return []
    if verdict.kind == "missing":
        return [section("*What likely caused it*\nCommits could not be looked at.")]
    best = words.leading(card, CULPRITS)
    lines = [f"*What likely caused it* · {verdict.word}{f', {verdict.chance}' if verdict.chance else ''}"]
    if verdict.kind == "confirmed":
        lines = ["*What caused it* · Confirmed by a responder"]
        if not best:
            lines.append(f"Commit {code(str(card.confirmed_culprit)[:10])}, which was not among the candidates.")
    elif verdict.kind == "inconclusive":
        lines += _inconclusive(card.ranking, len(best))
    entries = [_candidate(card, place, culprit, room=room) for place, culprit in enumerate(best, 1)]
    if len(best) == 1:
        entries = [_candidate(card, None, best[0], room=room)]
    return [*sections(lines), *entries, *_votes(card, "cause")]


def _inconclusive(ranking: Ranking | None, nearest: int) -> list[str]:
    """What was looked at and what that rules out, when no commit may be named."""
    if ranking is None or not ranking.considered:
        where = f" in {plain(words.listed(ranking.repos), 200)}" if ranking and ranking.repos else ""
        return [f"No commit landed{where} in the time looked at, so there is none to suspect."]
    said = f"Looked at {plain(words.looked_at(ranking), 300)}. None stands out enough to name."
    if ranking.elsewhere:
        said += " The incident's own words point to a cause other than a commit."
    others = ranking.considered - nearest
    if not nearest or others <= 0:
        return [said]
    return [f"{said} The other {others:,} fit worse than {'this one' if nearest == 1 else 'these'}:"]


def _candidate(card: Card, place: int | None, culprit: Culprit, *, room: float) -> Block:
    """One commit: what, who, when, why, and the button that calls it the culprit. The first is told in full."""
    commit = culprit.commit
    number = f"{place}. " if place else ""
    facts = [
        commit_link(commit),
        plain(commit.author, 60),
        f"*{words.relative(commit.landed_at, card.incident)}*",
        plain(commit.repo, 60),
    ]
    lines = [
        f"{number}{bold(commit.subject, int(200 * room)) or '*(no subject)*'}",
        " · ".join(fact for fact in facts if fact),
        *_reasons(culprit.reasons, limit=few(REASONS if place in (None, 1) else 2, room), room=room),
    ]
    return section("\n".join(lines), button=_culprit_button(card, culprit))


def _culprit_button(card: Card, culprit: Culprit) -> Block | None:
    sha = culprit.commit.sha
    confirmed, marked = sha == card.confirmed_culprit, card.votes.get(f"commit:{sha}", (0, 0))[0]
    text = "✓ The culprit" if confirmed else "This is the culprit"
    return button(
        f"{text} · {marked}" if marked > 0 else text,
        action_id=f"vote.culprit.commit:{sha}",
        value=card.incident.id,
        hint=f"Mark commit {culprit.commit.short} as the culprit",
        primary=confirmed,
    )


def _reasons(reasons: Sequence[Reason], *, limit: int, room: float) -> list[str]:
    """The weightiest reasons, those against it named so and last. One for it is kept, if there is any."""
    speaking = sorted((reason for reason in reasons if reason.text.strip()), key=lambda reason: -abs(reason.weight))
    pro = [reason for reason in speaking if reason.weight >= 0]
    kept = [*pro[:1], *(reason for reason in speaking if reason not in pro[:1])][:limit]
    shown = sorted(kept, key=lambda reason: reason.weight < 0)
    return [f"• {'Against: ' if reason.weight < 0 else ''}{phrase(reason.text, int(220 * room))}" for reason in shown]


# -- what to do next, and the rest -------------------------------------------------------------------------------


def _next(card: Card, sources: Sources, room: float) -> list[Block]:
    plan = words.cited(card.mitigation, card.evidence, card.ranking)
    if plan:
        return [
            *sections(["*What to do next*", *_steps(plan, sources, room)]),
            *_votes(card, "next", beside=_more_button(card)),
        ]
    if card.mitigation is None and card.working:
        return []
    fell_short = card.step("gather").state == "degraded"
    none = (
        "No step to offer: not all documents could be searched."
        if fell_short
        else "No runbook or past incident says what to do here."
    )
    return [section(f"*What to do next*\n{none}"), *actions([_more_button(card)])]


def _more_button(card: Card) -> Block | None:
    """On every card in Slack alike: a button that stood only where something is hidden would tell that there is."""
    if card.incident.id.startswith("local:"):
        return None
    return button(
        "What else may I read?",
        action_id=MORE_ACTION,
        value=card.incident.id,
        hint="Show me alone what else I may read about this",
    )


def _steps(plan: Sequence[Section], sources: Sources, room: float, *, skip: int = 0, limit: int = STEPS) -> list[str]:
    """Steps by number, what else is known under its heading; what lies beyond the limit is counted."""
    lines: list[str] = []
    place = 0
    for part in plan:
        headed = part.heading in ("", STEPS_HEADING)
        for number, sentence in enumerate(part.sentences, 1):
            place += 1
            if not skip < place <= skip + limit:
                continue
            if not headed:
                lines.append(f"_{plain(part.heading, 80)}_")
                headed = True
            lead = f"{number}." if part.heading in ("", STEPS_HEADING) else "•"
            step = f"{lead} {prose(sentence.text, int(700 * room))}"
            lines.append(sources.sentence(step, sentence.evidence[: few(3, room)], named=True))
    left = place - skip - limit
    return [*lines, f"{left} more in the thread"] if left > 0 and not skip else lines


def _gaps(card: Card, room: float) -> list[Block]:
    gaps = [plain(gap, int(240 * room)) for gap in words.all_gaps(card)[: few(6, room)]]
    return context([f"△ *Not looked at:* {gaps[0]}", *gaps[1:]]) if gaps else []


def _footer(card: Card) -> list[Block]:
    found = len(card.evidence)
    parts = [
        f"{found} {'source' if found == 1 else 'sources'}" if found else "",
        plain(words.looked_at(card.ranking), 160) if card.ranking and card.ranking.considered else "",
        plain(words.written_by(card.summary, card.mitigation), 120),
        plain(f"release {card.release}", 120) if card.release else "",
        "details in the thread"
        if (card.evidence or card.ranking) and not card.incident.id.startswith("local:")
        else "",
    ]
    return [divider(), *context(parts)] if any(parts) else []


def _votes(card: Card, item: str, *, beside: Block | None = None) -> list[Block]:
    votes, incident_id = card.votes.get(item, (0, 0)), card.incident.id
    return thumbs(votes, item=item, incident_id=incident_id, about=_ABOUT[item], beside=beside)


# -- the resolved card -------------------------------------------------------------------------------------------


def _resolved(card: Card, room: float) -> list[Block]:
    """What happened, what fixed it and what caused it, as short as that; the thread keeps the rest."""
    sources = Sources(card.evidence, card.ranking, card.incident, linked=room >= LINKED_ROOM)
    told = words.cited(card.summary, card.evidence, card.ranking)
    lines = [f"*What happened:* {line}" for line in _sentences(told, sources, limit=1, room=room)]
    note = words.fixing_note(card.incident)
    lines.append(
        f"*Last note:* {phrase(note, int(400 * room))}"
        if note
        else "*What fixed it:* nobody has written it down. A note in PagerDuty helps whoever is on call next."
    )
    verdict, named = words.verdict(card), words.leading(card, 1)
    if verdict.kind == "inconclusive":
        lines.append("*Cause:* inconclusive. If you know the commit, mark it in the thread.")
    elif named:
        lines.append(f"*Cause:* {verdict.word.lower()}{f', {verdict.chance}' if verdict.chance else ''}")
    judged = bool(named) and verdict.kind != "inconclusive"
    return [
        header(f"{words.dot(card.incident)} {words.headline(card.incident)}"),
        *_status(card.incident),
        *_displaced(card),
        *sections(lines),
        *([_candidate(card, None, named[0], room=room), *_votes(card, "cause")] if judged else []),
        *_gaps(card, room),
        *_footer(card),
    ]


# -- the thread --------------------------------------------------------------------------------------------------


def _detail(card: Card, room: float) -> list[Block]:
    sources = Sources(card.evidence, card.ranking, card.incident, legend=True)
    told = words.cited(card.summary, card.evidence, card.ranking)
    plan = words.cited(card.mitigation, card.evidence, card.ranking)
    more = _sentences(told, sources, limit=SENTENCES + 12, room=room)[SENTENCES:]
    steps = _steps(plan, sources, room, skip=STEPS, limit=12)
    shown, fell_short = few(SOURCES_IN_DETAIL, room), card.step("gather").state == "degraded"
    none = "Not all documents could be searched." if fell_short else "No document fits this incident."
    return [
        *(sections(["*More on what's going on*", *more]) if more else []),
        *(sections(["*More steps*", *steps]) if steps else []),
        section(f"*Evidence*{'' if card.evidence else chr(10) + none}"),
        *(block for item in card.evidence[:shown] for block in sections([_found(item, card.incident, room)])),
        *context([f"{left} more sources" if (left := len(card.evidence) - shown) > 0 else ""]),
        *_candidates(card, room),
        *_gaps(card, room),
    ]


def _found(item: Evidence, incident: Incident, room: float, *, marked: bool = True) -> str:
    """One source: what it is, how old, and the words that were found in it; `marked` by the id that sentences cite it by."""
    mark = f"{item.id} " if marked else ""
    name = link(item.url, f"{mark}{evidence_name(item, 110)}", 140, schemes=("https",))
    age = words.age(item, incident)
    excerpt = phrase(item.text, int(260 * room))
    return f"{name}{f' · {age}' if age else ''}{f'{chr(10)}>{excerpt}' if excerpt else ''}"


def _candidates(card: Card, room: float) -> list[Block]:
    if not card.ranking:
        return []
    found = words.ranked(card.ranking)[: few(CANDIDATES_IN_DETAIL, room)]
    others = card.ranking.considered - len(found)
    ruled_out = f"Ruled out: the other {others:,}, which fit worse." if others > 0 and found else ""
    return [
        section(f"*Candidate commits* · {plain(words.looked_at(card.ranking), 300)}"),
        *(_candidate(card, place, culprit, room=room) for place, culprit in enumerate(found, 1)),
        *context([ruled_out]),
    ]


def _fallback(card: Card) -> str:
    """The card in two or three sentences, for notifications and screen readers."""
    incident, verdict, best = card.incident, words.verdict(card), words.leading(card, 1)
    service = f" ({plain(incident.service, 80)})" if incident.service else ""
    text = [
        f"{words.dot(incident)} {plain(words.headline(incident), 300)}{service}. {plain(words.status_words(incident), 200)}."
    ]
    if best and verdict.kind in ("confirmed", "likely", "possible"):
        commit = best[0].commit
        text.append(
            f"{verdict.word} cause: {plain(commit.short, 12)} {plain(commit.subject, 200)}, {words.relative(commit.landed_at, incident)}."
        )
    elif verdict.kind == "inconclusive":
        text.append("Cause inconclusive.")
    plan = words.cited(card.mitigation, card.evidence, card.ranking)
    if plan and incident.status is not Status.RESOLVED:
        text.append(f"Next: {plain(plan[0].sentences[0].text, 300)}")
    return " ".join(text)
