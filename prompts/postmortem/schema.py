"""What a model may return for a postmortem. Timeline and root cause are not among it: code writes those.

Does: name its fields. Does not: check them (`prompts.checks`).
"""

from __future__ import annotations

from prompts.schema import Cited, Fields


class Output(Fields):
    """The sections a model may word."""

    summary: tuple[Cited, ...]
    impact: tuple[Cited, ...] = ()
    what_helped: tuple[Cited, ...] = ()
    follow_ups: tuple[Cited, ...] = ()
