"""A tiny small Llama and a world it can learn: symptoms have causes of another name."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

from ranking.small.pairs import CommitText, Material, Pair, RepositoryTexts

MAY = datetime(2024, 5, 14, 12, 0, tzinfo=UTC)
CAUSES = {
    "pictures": "thumbor",
    "logins": "keystone",
    "searches": "elastic",
    "payments": "ledger",
    "mails": "exim",
    "maps": "tiles",
    "videos": "encoder",
    "charts": "graphite",
}
FILLERS = ("today", "again", "for", "many", "people", "since", "noon", "in", "europe", "slowly")


def made_up(name: str, count: int, *, seed: int = 0) -> RepositoryTexts:
    """One repository: incidents, an hour apart, each with its culprit half an hour before."""
    rng = random.Random(f"{name}:{seed}")
    pairs = []
    for number in range(count):
        symptom, cause = rng.choice(list(CAUSES.items()))
        words = " ".join(rng.choices(FILLERS, k=4))
        at = MAY.timestamp() + 3600 * number
        head = f"change {cause} {rng.choice(FILLERS)} . {cause}/main.py . "
        body = f"{symptom} {' '.join(rng.choices(FILLERS, k=3))}"
        text = CommitText(sha=f"{name}{number}", at=at - 1800, whole=head + body.split()[1], head=head, body=body)
        pairs.append(Pair(incident=f"{symptom} fail {words}", at=at, culprit=text))
    return RepositoryTexts(name=name, commits=tuple(pair.culprit for pair in pairs), pairs=tuple(pairs))


def material(count: int = 96) -> Material:
    """One repository to learn from and one to measure on."""
    return Material(learned=(made_up("shop", count),), held_out=(made_up("api", 40),), before=MAY)


def make_small(
    folder: Path, *, seed: int = 0, layers: int = 2, hidden: int = 64, heads: int = 4, **more: object
) -> Path:
    """A small Llama of random weights, and a tokenizer of whole words, as `save` writes them."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import LlamaConfig, LlamaModel

    from ranking.small.network import save

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *CAUSES,
        *CAUSES.values(),
        *FILLERS,
        "fail",
        "change",
        "main",
        "py",
        ".",
        "/",
    ]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(seed)
    shape = {
        "hidden_act": "gelu",
        "attention_bias": True,
        "mlp_bias": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        **more,
    }
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=256,
        initializer_range=0.1,
        **shape,
    )
    save(LlamaModel(config), tokenizer, folder, "tiny")
    return folder
