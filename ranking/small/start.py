"""Where the small Llama starts: MiniLM's weights, carried over into Llama's layers.

Does: turn the BERT network that the project carries into a `LlamaModel` whose vectors resemble its own.
Does not: train. What the two cannot share (learned positions, means taken off) a short distillation mends
(`ranking.small.training`).

Both are stacks of attention and feed-forward parts f. BERT adds and then normalises, s' = LN(s + f(s)) with
LN(u) = g (u - mean u) / std u + b. Llama normalises and then adds, r' = r + h(w r / rms r). We keep s = A r + B, with A a
number for each dimension and B the last norm's bias, both known:

- std u hardly differs from token to token, so LN divides by its median q over calibration texts: u -> g/q u + b.
  Then h = (f + B) / A makes A r' = s + f, and after the norm A <- g A / q, B <- b.
- w = c g A makes Llama's norm the same as LN without its bias; c, the median of rms(r) / std(A r), is measured.
- The bias b goes into the weights that read it: W (x + b) = W x + W b.
- Llama's feed-forward part is down(gelu(gate x) * up x): with up x = 1 it is BERT's.
- The first norm reads nothing but the token, the mean position and the type, so the table of tokens holds its result.
- Learned positions are replaced by rotary ones (Su et al. 2021), which only distillation teaches.
- Means are not taken off: they are small beside std u.

Starting a smaller network from a trained one's weights: DistilBERT (Sanh et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import UsageError
from ranking.small.network import batched, bert_vectors, encode, llama_vectors, open_minilm

#: MiniLM's layers; a small Llama may have fewer.
MOST_LAYERS = 6
#: Positions of which the mean stands for all: commits and incidents are rarely longer.
_USUAL_LENGTH = 64
_THETA = 10_000.0


def start_from_minilm(layers: int, calibration_texts: Sequence[str]) -> tuple[Any, Any]:
    """A Llama that begins where MiniLM is.

    Args:
        layers: how many of MiniLM's six, from the first.
        calibration_texts: a hundred or so texts like those it will read; only sizes are measured on them.

    Returns:
        A `LlamaConfig`, and the `LlamaModel` in float32.

    Raises:
        UsageError: layers MiniLM does not have, or no texts.
        ModelUnavailable: MiniLM's weights are missing or damaged.
    """
    if not 1 <= layers <= MOST_LAYERS:
        raise UsageError(f"cannot start from MiniLM with {layers} layers", why=f"it has 1 to {MOST_LAYERS}")
    if not any(text.strip() for text in calibration_texts):
        raise UsageError("cannot start from MiniLM without texts", why="norms are measured on some")
    from transformers import LlamaModel

    bert, tokenizer = open_minilm()
    texts = batched(encode(tokenizer, calibration_texts, _USUAL_LENGTH))
    table = _without_positions(bert)
    sizes = _norm_sizes(bert, texts)
    config = llama_config(layers)
    model = LlamaModel(config).float()
    weights, scales = _carried(bert.state_dict(), table, sizes, layers)
    model.load_state_dict(weights)
    _fit_norms(model, scales, texts)
    return config, model


def llama_config(layers: int) -> Any:
    """MiniLM's shape, as a `LlamaConfig`."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=30522,
        hidden_size=384,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=12,
        num_key_value_heads=12,
        hidden_act="gelu",
        attention_bias=True,
        mlp_bias=True,
        max_position_embeddings=512,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=101,
        eos_token_id=102,
        rope_parameters={"rope_type": "default", "rope_theta": _THETA},
    )


def _without_positions(bert: Any) -> Any:
    """Put the mean position in every place, and give what the first norm then makes of each token."""
    import torch

    parts = bert.embeddings
    with torch.no_grad():
        places = parts.position_embeddings.weight
        places.copy_(places[:_USUAL_LENGTH].mean(0).expand_as(places))
        return parts.LayerNorm(parts.word_embeddings.weight + parts.token_type_embeddings.weight[0] + places[0])


def _norm_sizes(bert: Any, texts: tuple[Any, Any]) -> dict[str, float]:
    """The median over tokens of what each norm of BERT divides by."""
    import torch

    tokens, mask = texts
    found: dict[str, float] = {}

    def watch(name: str) -> Any:
        def look(_module: Any, given: tuple[Any, ...]) -> None:
            found[name] = float(given[0][mask].std(-1, unbiased=False).median())

        return look

    norms = [(name, part) for name, part in bert.named_modules() if name.endswith("LayerNorm")]
    hooks = [part.register_forward_pre_hook(watch(name)) for name, part in norms]
    with torch.inference_mode():
        bert_vectors(bert, tokens, mask)
    for hook in hooks:
        hook.remove()
    return found


@dataclass(kw_only=True)
class _Walk:
    """Where the walk through the layers is: the state is `scale` times Llama's, plus `bias`."""

    scale: Any
    gain: Any
    bias: Any

    def added(self, weights: dict[str, Any], source: str, target: str, bert: dict[str, Any]) -> None:
        """Write a part's last projection: h = (f + B) / A."""
        weights[f"{target}.weight"] = bert[f"{source}.weight"] / self.scale[:, None]
        weights[f"{target}.bias"] = (bert[f"{source}.bias"] + self.bias) / self.scale

    def read(self, weights: dict[str, Any], source: str, target: str, bert: dict[str, Any]) -> None:
        """Write a projection that reads a normed state: the norm's bias goes into its own."""
        weights[f"{target}.weight"] = bert[f"{source}.weight"]
        weights[f"{target}.bias"] = bert[f"{source}.bias"] + bert[f"{source}.weight"] @ self.bias


def _carried(
    bert: dict[str, Any], table: Any, sizes: dict[str, float], layers: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Llama's weights by name, norms yet without c; and for each norm the A of the state it reads."""
    import torch

    ones, nothing = torch.ones(table.shape[1]), torch.zeros(table.shape[1])
    walk = _Walk(scale=ones, gain=ones, bias=nothing)
    weights: dict[str, Any] = {"embed_tokens.weight": table}
    scales: dict[str, Any] = {}
    size = 1.0

    def norm(target: str) -> None:
        """Write Llama's norm; from here on the state is the normed one."""
        nonlocal walk
        scales[target] = walk.scale
        weights[f"{target}.weight"] = walk.gain * walk.scale
        walk = _Walk(scale=walk.gain * walk.scale / size, gain=walk.gain, bias=walk.bias)

    def enter(name: str) -> None:
        """Take up BERT's norm that stands behind a part."""
        nonlocal walk, size
        walk = _Walk(scale=walk.scale, gain=bert[f"{name}.weight"], bias=bert[f"{name}.bias"])
        size = sizes[name]

    for number in range(layers):
        old, new = f"encoder.layer.{number}", f"layers.{number}"
        norm(f"{new}.input_layernorm")
        for source, target in (("query", "q"), ("key", "k"), ("value", "v")):
            walk.read(weights, f"{old}.attention.self.{source}", f"{new}.self_attn.{target}_proj", bert)
        walk.added(weights, f"{old}.attention.output.dense", f"{new}.self_attn.o_proj", bert)
        enter(f"{old}.attention.output.LayerNorm")
        norm(f"{new}.post_attention_layernorm")
        walk.read(weights, f"{old}.intermediate.dense", f"{new}.mlp.gate_proj", bert)
        weights[f"{new}.mlp.up_proj.weight"] = torch.zeros_like(bert[f"{old}.intermediate.dense.weight"])
        weights[f"{new}.mlp.up_proj.bias"] = torch.ones_like(bert[f"{old}.intermediate.dense.bias"])
        walk.added(weights, f"{old}.output.dense", f"{new}.mlp.down_proj", bert)
        enter(f"{old}.output.LayerNorm")
    norm("norm")
    return weights, scales


def _fit_norms(model: Any, scales: dict[str, Any], texts: tuple[Any, Any]) -> None:
    """Multiply each norm's weight by its c, first to last: what a norm reads depends on those before it."""
    import torch

    tokens, mask = texts

    def fit(scale: Any, first: bool) -> Any:
        def look(module: Any, given: tuple[Any, ...]) -> None:
            states = given[0][mask]
            size = states.pow(2).mean(-1).sqrt()
            # The first state is normed already: it only has to keep its size.
            wanted = 1.0 if first else (states * scale).std(-1, unbiased=False)
            module.weight.mul_((size / wanted).median())

        return look

    hooks = [
        model.get_submodule(name).register_forward_pre_hook(fit(scale, number == 0))
        for number, (name, scale) in enumerate(scales.items())
    ]
    with torch.no_grad():
        llama_vectors(model, tokens, mask)
    for hook in hooks:
        hook.remove()
