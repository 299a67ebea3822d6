"""What a model may return for a summary.

Does: name its fields. Does not: check them (`prompts.checks`).
"""

from __future__ import annotations

from prompts.schema import Cited, Fields


class Output(Fields):
    """At most three sentences."""

    sentences: tuple[Cited, ...]
