"""How a Llama is trained: every number that may be turned, with the default it was tried with.

Does: hold them.
Does not: hold data, or anything that says which machine trains.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ranking.llama.election import ARRANGEMENTS
from ranking.llama.prompt import Layout


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training, data aside. The same recipe on the same data and kind of machine gives the same weights."""

    #: Of every random choice.
    seed: int = 7
    #: "lora" trains an adapter, "full" every weight; "auto" chooses full below 300 million weights.
    method: Literal["auto", "lora", "full"] = "auto"
    #: LoRA: the width of the adapter, its strength (alpha / rank scales it), dropout, and the layers it changes. These
    #: names are a Llama's; an empty tuple lets peft choose for another architecture.
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    #: How the prompt is shared between the incident and the candidates. Kept beside the weights, and voted with.
    layout: Layout = field(default_factory=Layout)
    #: Highest learning rate; None is 2e-4 for LoRA and 2e-5 for all weights.
    rate: float | None = None
    weight_decay: float = 0.01
    #: How often each pass reads its data; 0 leaves the pass out.
    pretrain_epochs: float = 1.0
    sampled_epochs: float = 2.0
    ranked_epochs: float = 1.0
    #: Arrangements of each ranked list that the second pass reads: those of a vote.
    arrangements: int = ARRANGEMENTS
    #: Tokens of one packed block of continued pre-training, at most what the model reads.
    block: int = 2048
    #: Lists or blocks read at once on one device, and how many such steps make one update.
    batch: int = 1
    accumulation: int = 16
    #: Compute activations again instead of keeping them: slower, in much less memory. None: on a GPU only.
    checkpointing: bool | None = None
    #: "auto" is bf16 on a GPU that has it, fp32 otherwise.
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    #: Of each pass's data, the share kept aside to see when to stop, and how many looks without gain stop it.
    watched: float = 0.1
    patience: int = 3
    #: Looks, and checkpoints, in one pass.
    looks: int = 10
    #: Held-out lists on which the election is measured, at most.
    measured: int = 200
