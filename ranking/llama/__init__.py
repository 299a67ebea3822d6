"""A Llama that votes on culprits: voting, elections of any length, and training any Llama to do it.

Does: name what others use. `prompt` is what it reads, `voter` how it votes, `election` how many meet; `examples`, `recipe`,
`stage` and `train` make a better one, `finetune` is their command line.
Does not: load a model, or torch, until a vote or a training asks for it.
"""

from ranking.llama.election import (
    ARRANGEMENTS,
    ELECTION_SIZE,
    CulpritModel,
    WordModel,
    arrangements,
    elect,
    log_softmax,
)
from ranking.llama.prompt import Layout, Prompt, describe
from ranking.llama.voter import LlamaVoter, Poll

__all__ = [
    "ARRANGEMENTS",
    "ELECTION_SIZE",
    "CulpritModel",
    "Layout",
    "LlamaVoter",
    "Poll",
    "Prompt",
    "WordModel",
    "arrangements",
    "describe",
    "elect",
    "log_softmax",
]
