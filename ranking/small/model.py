"""The small Llama at work: vectors of short texts, and how close each candidate is to an incident.

Does: check the weights' digest; run the model's layers in plain torch (importing `transformers` for them costs 3 s of
every command's start; a test holds the two equal); keep vectors of commits it has read.
Does not: train, generate, or read more than 64 tokens of a commit.

Llama (Touvron et al. 2023: RMS norm, rotary positions, gated feed-forward), with attention to both sides, since it
reads whole texts and writes none (LLM2Vec, BehnamGhader et al. 2024). A candidate's log-probability is that of a softmax
over all candidates' similarities to the incident, so it does not depend on their order.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from core.errors import ModelUnavailable
from core.model import Commit
from ranking.small.texts import INCIDENT_LIMIT, plain, tell

FOLDER = Path(__file__).parent / "weights"
#: A similarity of 1 more is worth so much in a log-probability: what it was trained with.
SCALE = 20.0
COMMIT_TOKENS, INCIDENT_TOKENS = 64, 128
#: Texts that go through the model together, alike in length so that little of it is padding.
_BATCH = 32
#: Vectors kept: 1.5 kB each.
_KEPT = 20_000


class CommitReader(Protocol):
    """Anything that can say how well each of some commits fits an incident by what they mean."""

    @property
    def name(self) -> str:
        """What to call it in a release."""
        ...

    def closeness(self, incident: str, commits: Sequence[Commit]) -> list[float]:
        """How close each commit is to the incident, in their order: -1 to 1, whatever the others are.

        Raises:
            ModelUnavailable: its weights cannot be used.
        """
        ...


class WordReader:
    """The fake: the larger the share of the incident's words a commit tells, the closer. Instant, no weights.

    Args:
        failure: raised instead of an answer.
    """

    name = "words"

    def __init__(self, failure: ModelUnavailable | None = None) -> None:
        self._failure = failure

    def closeness(self, incident: str, commits: Sequence[Commit]) -> list[float]:
        """See `CommitReader.closeness`."""
        if self._failure:
            raise self._failure
        wanted = set(plain(incident).lower().split())
        return [len(wanted & set(tell(commit).lower().split())) / (len(wanted) or 1) for commit in commits]


class KeptVectors:
    """Vectors of commits that were read, the least recently asked forgotten first. Safe to share between threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, commits: Sequence[Commit], read: Callable[[Sequence[Commit]], Sequence[Any]]) -> list[Any]:
        """Their vectors, in their order.

        Args:
            read: makes those that are not kept. What it raises reaches the caller.
        """
        found = {commit.sha: self._kept.get(commit.sha) for commit in commits}
        unread = [commit for commit in commits if found[commit.sha] is None]
        found.update(zip((commit.sha for commit in unread), read(unread) if unread else (), strict=True))
        with self._lock:
            self._kept.update(found)
            for sha in found:
                self._kept.move_to_end(sha)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return [found[commit.sha] for commit in commits]


class SmallLlama:
    """The model in a folder; loaded at the first use. Safe to share between threads.

    Args:
        folder: config.json, model.safetensors and tokenizer.json, as `ranking.small.training` writes them.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._parts: tuple[Any, Any, dict[str, Any]] | None = None
        self._kept = KeptVectors()

    @property
    def name(self) -> str:
        """The name its config carries; its folder's when that cannot be read, which a ranking then tells as a gap."""
        try:
            return str(_config(self._folder)["rundown_release"])
        except (ModelUnavailable, KeyError):
            return self._folder.name

    def closeness(self, incident: str, commits: Sequence[Commit]) -> list[float]:
        """See `CommitReader.closeness`."""
        if not commits:
            return []
        query = self.vectors([plain(incident)[:INCIDENT_LIMIT]], INCIDENT_TOKENS)[0]
        vectors = self._kept.of(commits, lambda unread: self.vectors([tell(c) for c in unread], COMMIT_TOKENS))
        return [float(query @ vector) for vector in vectors]

    def vectors(self, texts: Sequence[str], tokens: int) -> list[Any]:
        """A unit vector for each text.

        Args:
            tokens: how many of each text's are read.

        Raises:
            ModelUnavailable: the weights cannot be used.
        """
        tokenizer, config, weights = self._load()
        whole = [item.ids for item in tokenizer.encode_batch(list(texts))]
        # The last token closes a text, so a cut one keeps it.
        encoded = [ids if len(ids) <= tokens else [*ids[: tokens - 1], ids[-1]] for ids in whole]
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        found: list[Any] = [None] * len(texts)
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            for index, vector in zip(batch, embed(config, weights, [encoded[i] for i in batch]), strict=True):
                found[index] = vector
        return found

    def _load(self) -> tuple[Any, Any, dict[str, Any]]:
        with self._lock:
            if self._parts is None:
                self._parts = _read(self._folder)
            return self._parts


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise _unusable(folder, str(error)) from error
    if not isinstance(found, dict) or not found.get("rundown_sha256"):
        raise _unusable(folder, "config.json is not that of a model that Rundown wrote")
    return found


def _read(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Tokenizer, config and weights, after a look at the digest its config carries."""
    config = _config(folder)
    weights = folder / "model.safetensors"
    try:
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != config["rundown_sha256"]:
            raise _unusable(folder, f"{weights} has SHA-256 {digest[:12]}…, not the one in config.json")
        import torch
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        kind = torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32
        read = {name: value.to(kind) for name, value in load_file(weights).items()}
        embed(config, read, [tokenizer.encode("what is missing shows now").ids])
        return tokenizer, config, read
    except ModelUnavailable:
        raise
    except Exception as error:  # a damaged tokenizer raises a bare Exception, damaged weights their library's own
        raise _unusable(folder, str(error)) from error


def _unusable(folder: Path, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"cannot load the small ranking model in {folder}",
        why=why,
        way_out="install Rundown again; until then commits are ranked without it",
    )


def embed(config: dict[str, Any], weights: dict[str, Any], ids: Sequence[Sequence[int]]) -> list[Any]:
    """One unit vector for each list of token ids: the mean of the last layer's states.

    Args:
        config: a `LlamaConfig`, as a dictionary.
        weights: by the names `LlamaModel` gives them.

    Returns:
        float32 vectors of `hidden_size` numbers.
    """
    import torch
    from torch.nn import functional

    longest = max(map(len, ids))
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids])
    mask = torch.tensor([[place < len(row) for place in range(longest)] for row in ids])
    turns = _turns(config, longest)
    with torch.inference_mode():
        states = functional.embedding(tokens, weights["embed_tokens.weight"])
        for number in range(int(config["num_hidden_layers"])):
            states = _layer(config, weights, f"layers.{number}", states, mask, turns)
        states = _norm(config, weights["norm.weight"], states).float() * mask.unsqueeze(-1)
        vectors = functional.normalize(states.sum(1), dim=1)
    return list(vectors)


def _layer(config: dict[str, Any], weights: dict[str, Any], name: str, states: Any, mask: Any, turns: Any) -> Any:
    """One Llama layer: attention to all tokens of the text, then the gated feed-forward part."""
    import torch
    from torch.nn import functional

    batch, length, width = states.shape
    heads = int(config["num_attention_heads"])
    normed = _norm(config, weights[f"{name}.input_layernorm.weight"], states)
    query, key, value = (
        _linear(weights, f"{name}.self_attn.{part}_proj", normed).view(batch, length, heads, -1).transpose(1, 2)
        for part in ("q", "k", "v")
    )
    query, key = (_turned(part, turns) for part in (query, key))
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
    states = states + _linear(weights, f"{name}.self_attn.o_proj", mixed.transpose(1, 2).reshape(batch, length, width))
    normed = _norm(config, weights[f"{name}.post_attention_layernorm.weight"], states)
    act = functional.gelu if config["hidden_act"] == "gelu" else torch.nn.functional.silu
    gate, up = (_linear(weights, f"{name}.mlp.{part}_proj", normed) for part in ("gate", "up"))
    return states + _linear(weights, f"{name}.mlp.down_proj", act(gate) * up)


def _turns(config: dict[str, Any], length: int) -> tuple[Any, Any]:
    """Cosines and sines of the rotary positions (Su et al. 2021): length x head size."""
    import torch

    size = int(config["hidden_size"]) // int(config["num_attention_heads"])
    theta = float(config["rope_parameters"]["rope_theta"])
    speeds = theta ** -(torch.arange(0, size, 2).float() / size)
    angles = torch.outer(torch.arange(length).float(), speeds).repeat(1, 2)
    return angles.cos(), angles.sin()


def _turned(states: Any, turns: tuple[Any, Any]) -> Any:
    import torch

    cosines, sines = (turn.to(states.dtype) for turn in turns)
    first, second = states.chunk(2, dim=-1)
    return states * cosines + torch.cat((-second, first), dim=-1) * sines


def _linear(weights: dict[str, Any], name: str, states: Any) -> Any:
    from torch.nn import functional

    return functional.linear(states, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def _norm(config: dict[str, Any], weight: Any, states: Any) -> Any:
    wide = states.float()
    scaled = wide * (wide.pow(2).mean(-1, keepdim=True) + float(config["rms_norm_eps"])).rsqrt()
    return weight * scaled.to(states.dtype)
