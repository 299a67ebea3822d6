"""The four tasks: what each is called, which sections it has, and how much it may say.

Does: hold the table that templates, checks and both drafters share.
Does not: draft or check.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from prompts.schema import Fields

Task = Literal["summary", "answer", "mitigation", "postmortem"]

#: Characters of a sentence, and of the command under it.
LONGEST_SENTENCE, LONGEST_COMMAND = 320, 300


@dataclass(frozen=True, kw_only=True)
class Part:
    """One section of a task."""

    #: The schema's field a model fills, or "" for a section only code writes.
    field: str
    heading: str
    #: Sentences it may hold.
    most: int


PARTS: dict[Task, tuple[Part, ...]] = {
    "summary": (Part(field="sentences", heading="What's going on", most=3),),
    "answer": (Part(field="sentences", heading="", most=5),),
    "mitigation": (
        Part(field="steps", heading="Steps to take", most=5),
        Part(field="last_time", heading="What worked last time", most=2),
        Part(field="", heading="What did not help last time", most=1),
        Part(field="", heading="Worth checking", most=1),
    ),
    "postmortem": (
        Part(field="summary", heading="Summary", most=5),
        Part(field="impact", heading="Impact", most=5),
        Part(field="", heading="Timeline", most=60),
        Part(field="", heading="Root cause", most=4),
        Part(field="what_helped", heading="What helped", most=5),
        Part(field="follow_ups", heading="Follow-ups", most=8),
    ),
}


def schema_of(task: Task) -> type[Fields]:
    """The pydantic model of what a model may return for a task."""
    found: type[Fields] = import_module(f"prompts.{task}.schema").Output
    return found
