"""Words for people: by a model where one is configured and its words hold, else quoted from their sources.

Does: draft without a model first, then ask the model within one time budget (one retry), check what it returns, and put its
sentences where they hold; whatever the model does, the draft stands in time.
Does not: decide what a cause or a timeline is (code words those), show anything unchecked, or post.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from core.errors import ModelUnavailable
from core.llm import Deadline, LanguageModel
from core.model import Confidence, Draft, Evidence, Incident, IncidentEvent, Note, Ranking, Section
from prompts import answering, extractive, postmortems
from prompts.checks import Checked, check
from prompts.render import render
from prompts.sources import Source, sources_of
from prompts.tasks import PARTS, Task

log = logging.getLogger(__name__)

#: Calls to the model for one draft, the second told what was wrong with the first.
_CALLS = 2
#: A second call is not begun with less time than this.
_SHORTEST_CALL_S = 0.5


class Drafter:
    """Writes summaries, next steps, answers and postmortems, every sentence with its source.

    Args:
        model: the configured model, or None: the extractive drafter alone.
        timeout_s: seconds the model may take for one draft, all its calls together.
    """

    def __init__(self, model: LanguageModel | None, *, timeout_s: float = 20.0) -> None:
        self._model, self._timeout_s = model, timeout_s

    def summary(self, incident: Incident, evidence: Sequence[Evidence], ranking: Ranking | None) -> Draft:
        """What is going on, in at most three sentences. Commits are not its matter: the card words those from the ranking."""
        base = extractive.summary(incident, evidence)
        return self._draft("summary", base, sources_of(incident=incident, evidence=evidence))

    def mitigation(self, incident: Incident, evidence: Sequence[Evidence], ranking: Ranking | None) -> Draft:
        """What to do next: steps of reviewed sources, what worked last time, and a revert worth checking."""
        base = extractive.mitigation(incident, evidence, ranking)
        return self._draft("mitigation", base, sources_of(incident=incident, evidence=evidence))

    def answer(
        self, question: str, incident: Incident | None, evidence: Sequence[Evidence], ranking: Ranking | None
    ) -> Draft:
        """An answer; without sections when nothing was found on the question."""
        base = answering.answer(question, incident, evidence, ranking)
        sources = sources_of(incident=incident, evidence=evidence, ranking=ranking)
        return self._draft("answer", base, sources, question=question, ranking=ranking)

    def postmortem(
        self,
        incident: Incident,
        events: Sequence[IncidentEvent],
        evidence: Sequence[Evidence],
        ranking: Ranking | None,
        remarks: Sequence[Note],
    ) -> Draft:
        """A first draft for people to correct; a section without sentences is an open question."""
        base = postmortems.postmortem(incident, events, evidence, ranking, remarks)
        sources = sources_of(incident=incident, evidence=evidence, events=events, remarks=remarks)
        people = postmortems.people_of(incident, events, ranking, remarks)
        return self._draft("postmortem", base, _people_first(sources), people=people)

    def _draft(
        self,
        task: Task,
        base: Draft,
        sources: Mapping[str, Source],
        *,
        question: str = "",
        ranking: Ranking | None = None,
        people: Iterable[str] = (),
    ) -> Draft:
        """The model's sentences over the extractive draft, or that draft with the reasons why not."""
        if self._model is None or not sources:
            return base
        confidence = ranking.confidence if ranking else Confidence.INCONCLUSIVE
        refused: list[str] = []
        prompt = render(task, sources, question=question)
        deadline = Deadline(self._timeout_s)
        for call in range(_CALLS):
            if call and deadline.left_s < _SHORTEST_CALL_S:
                break
            if call:
                prompt = render(task, sources, question=question, problems=refused[-5:])
            try:
                answer = self._model.complete(prompt.system, prompt.user, timeout_s=deadline.left_s)
            except ModelUnavailable as error:
                log.warning("drafting the %s: %s", task, error, extra={"action": "draft_failed"})
                refused.append(f"{error.what}: {error.why}" if error.why else error.what)
                continue
            checked = check(task, answer, prompt.sources, confidence=confidence, people=people)
            refused += checked.rejected
            if checked.sections:
                return _merged(task, base, checked, author=self._model.name, refused=refused)
        return replace(base, rejected=tuple(refused))


def _merged(task: Task, base: Draft, checked: Checked, *, author: str, refused: Sequence[str]) -> Draft:
    """The model's sections where it left any, the extractive ones elsewhere, in the task's order."""
    sections = []
    for part in PARTS[task]:
        if part.heading in checked.sections:
            sections.append(Section(heading=part.heading, sentences=checked.sections[part.heading]))
        else:
            sections += [section for section in base.sections if section.heading == part.heading]
    return Draft(task=task, sections=tuple(sections), author=author, rejected=tuple(refused))


def _people_first(sources: Mapping[str, Source]) -> dict[str, Source]:
    """A postmortem's sources by worth: the incident, what people wrote, the timeline, then documents."""
    worth = {"I": 0, "R": 1, "T": 2}
    return dict(sorted(sources.items(), key=lambda item: worth.get(item[0][0], 3)))
