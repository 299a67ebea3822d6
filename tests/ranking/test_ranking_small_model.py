"""The small Llama at work."""

from __future__ import annotations

import json

import pytest
from small_world import MAY, make_small

from core.errors import ModelUnavailable
from core.model import Commit, FileChange
from ranking.small.model import FOLDER, SmallLlama, embed

TEXTS = ("change thumbor today", "pictures fail", "many people in europe since noon again slowly for many people")


def commits(*subjects: str) -> list[Commit]:
    """Commits of the small world."""
    return [
        Commit(
            sha=f"{number}" * 40,
            repo="shop",
            author="ada",
            author_email="ada@example.org",
            authored_at=MAY,
            committed_at=MAY,
            subject=subject,
            files=(FileChange(path="thumbor/main.py"),),
        )
        for number, subject in enumerate(subjects, 1)
    ]


@pytest.mark.parametrize(
    ("seed", "shape"),
    [
        (1, {}),
        (2, {"layers": 1, "hidden": 48, "heads": 2}),
        (3, {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}),
        (4, {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}, "rms_norm_eps": 0.1}),
    ],
)
def test_the_plain_layers_are_those_of_transformers(tmp_path, seed, shape):
    """Without `transformers` the vectors are the same as with it, whatever the shape."""
    from ranking.small.network import batched, encode, llama_vectors, open_network

    model, tokenizer = open_network(make_small(tmp_path, seed=seed, **shape))
    for parameter in model.parameters():  # biases begin as zeros
        parameter.data.add_(0.05)
    ids = encode(tokenizer, TEXTS, 64)

    ours = embed(json.loads((tmp_path / "config.json").read_text()), dict(model.state_dict()), ids)

    theirs = llama_vectors(model, *batched(ids))
    assert [list(map(float, row)) for row in ours] == [pytest.approx(row.tolist(), abs=1e-4) for row in theirs]


def test_attention_goes_to_both_sides(tmp_path):
    """With one layer, a causal model would give the first token the same state whatever follows; this one does not."""
    from ranking.small.network import batched, llama_vectors, open_network

    model, _ = open_network(make_small(tmp_path, layers=1))
    states = []
    model.norm.register_forward_pre_hook(lambda _module, given: states.append(given[0][0, 0].detach()))

    for last in (6, 7):
        llama_vectors(model, *batched([[2, 5, last, 3]]))

    assert float((states[0] - states[1]).abs().max()) > 1e-3


def test_padding_does_not_change_a_vector(tmp_path):
    """A text has the same vector alone and beside a much longer one."""
    from ranking.small.network import encode, open_network

    model, tokenizer = open_network(make_small(tmp_path))
    config, weights = json.loads((tmp_path / "config.json").read_text()), dict(model.state_dict())
    ids = encode(tokenizer, TEXTS, 64)

    together = embed(config, weights, ids)

    assert [row.tolist() for row in together] == [
        pytest.approx(embed(config, weights, [one])[0].tolist(), abs=1e-5) for one in ids
    ]


def test_closeness_depends_on_the_commit_alone(tmp_path):
    """Neither the other commits, nor their order, nor the cache change how close a commit is."""
    make_small(tmp_path)
    some = commits("change thumbor today", "change exim", "change tiles again for many people since noon")
    alone = [SmallLlama(tmp_path).closeness("pictures fail", [commit])[0] for commit in some]
    reader = SmallLlama(tmp_path)

    found = [
        reader.closeness("pictures fail", some),
        reader.closeness("pictures fail", some),
        reader.closeness("pictures fail", some[::-1])[::-1],
        SmallLlama(tmp_path).closeness("pictures fail", some[::-1])[::-1],
    ]

    # bfloat16, where the processor has it, keeps three digits.
    assert found == [pytest.approx(alone, abs=0.01)] * 4
    assert found[1] == found[0]


def test_a_cut_text_keeps_its_closing_token(tmp_path):
    """Training and use cut a long text alike."""
    from ranking.small.network import encode, open_tokenizer

    tokenizer = open_tokenizer(make_small(tmp_path) / "tokenizer.json")
    whole = encode(tokenizer, [TEXTS[2]], 64)[0]

    cut = encode(tokenizer, [TEXTS[2]], 6)[0]

    assert cut == [*whole[:5], whole[-1]]
    tokenizer.enable_truncation(6)
    assert tokenizer.encode(TEXTS[2]).ids == cut


def test_damaged_weights_are_refused(tmp_path):
    """A file that is not the one the config tells of is named, with the way out."""
    weights = make_small(tmp_path) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    with pytest.raises(ModelUnavailable) as refused:
        SmallLlama(tmp_path).vectors(["x"], 8)

    assert [part in str(refused.value) for part in (str(weights), "SHA-256", "install Rundown again")] == [True] * 3


@pytest.mark.parametrize("content", ["null", "[]", "{}", "{", '{"rundown_sha256": "0"}'])
def test_a_damaged_config_is_refused(tmp_path, content):
    """Whatever is wrong with it, the ranking hears one error, and the release still has a name."""
    (make_small(tmp_path) / "config.json").write_text(content)

    with pytest.raises(ModelUnavailable, match="install Rundown again"):
        SmallLlama(tmp_path).vectors(["x"], 8)
    assert SmallLlama(tmp_path).name == tmp_path.name


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_refused(tmp_path, name):
    """Half a folder is no model."""
    (make_small(tmp_path) / name).unlink()

    with pytest.raises(ModelUnavailable):
        SmallLlama(tmp_path).closeness("pictures fail", commits("change thumbor"))


@pytest.mark.model
@pytest.mark.skipif(not (FOLDER / "model.safetensors").is_file(), reason="this copy has no shipped weights")
def test_the_shipped_weights():
    """They load, are small enough for a repository, have a card, and are a Llama that `transformers` reads alike."""
    import torch
    from transformers import AutoModel

    from ranking.small.network import batched, llama_vectors

    names = {file.name for file in FOLDER.iterdir()}
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    reader = SmallLlama()
    tokenizer, config, weights = reader._load()
    ids = [
        item.ids
        for item in tokenizer.encode_batch(["502 from the images service", "Set up thumbor on swift . hosts.yaml"])
    ]
    ours = embed(config, {name: value.float() for name, value in weights.items()}, ids)
    model = AutoModel.from_pretrained(FOLDER, dtype=torch.float32)
    with torch.inference_mode():
        theirs = llama_vectors(model, *batched(ids))

    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert (size <= 60_000_000, type(model).__name__, "rundown_sha256" in config) == (True, "LlamaModel", True)
    assert [row.tolist() for row in ours] == [pytest.approx(row.tolist(), abs=1e-3) for row in theirs]
    near, far = reader.closeness("pictures are not shown", commits("Serve images from another host", "Fix a typo"))
    assert near > far
