"""What a model may return for an answer.

Does: name its fields. Does not: check them (`prompts.checks`).
"""

from __future__ import annotations

from prompts.schema import Cited, Fields


class Output(Fields):
    """The answer; empty when the sources hold none."""

    sentences: tuple[Cited, ...]
