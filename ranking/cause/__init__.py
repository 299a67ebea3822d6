"""Whether a change would explain what a page tells: a model that reads both together.

Does: hold the model (`reader`), and how it was and can be trained (`training`).
Does not: compare meanings (`ranking.small`): who speaks of a symptom is close to it, and mostly only watches it.
"""

from ranking.cause.reader import CauseMiniLM, CauseReader, Change

__all__ = ["CauseMiniLM", "CauseReader", "Change"]
