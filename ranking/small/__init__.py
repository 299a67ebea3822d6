"""The project's own small Llama: it reads an incident and candidates, and says how likely each is the culprit.

Does: hold the model (`model`), what it reads (`texts`), and how it was and can be trained (`start`, `training`).
Does not: need a hub or a GPU; the weights lie in `weights/`, with a card.
"""

from ranking.small.model import CommitReader, SmallLlama, WordReader

__all__ = ["CommitReader", "SmallLlama", "WordReader"]
