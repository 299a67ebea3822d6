"""What a model may return for a mitigation. Whether a commit should be reverted is not among it: code words that.

Does: name its fields. Does not: check them (`prompts.checks`).
"""

from __future__ import annotations

from prompts.schema import Cited, Fields, Step


class Output(Fields):
    """Steps from runbooks and wiki pages, and what ended a similar incident."""

    steps: tuple[Step, ...]
    last_time: tuple[Cited, ...] = ()
