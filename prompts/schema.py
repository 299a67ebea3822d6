"""What a model may return, shared by every task: sentences with the ids they rest on, and nothing else.

Does: refuse unknown fields, so that markup, links, destinations or tool calls have no place to stand in.
Does not: judge a sentence; that is `prompts.checks`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator


class Fields(BaseModel):
    """An object with the fields it names and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Cited(Fields):
    """One sentence."""

    text: str
    #: Ids of the sources given in the prompt.
    evidence: list[str]

    @field_validator("evidence", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        """A lone id is a list of one; brackets around an id are not part of it."""
        ids = [value] if isinstance(value, str) else value
        return [item.strip("[] ") if isinstance(item, str) else item for item in ids] if isinstance(ids, list) else ids


class Step(Cited):
    """One step of a mitigation, with the command that carries it out, if its source gives one."""

    command: str = ""
