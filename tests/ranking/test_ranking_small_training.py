"""Training the small Llama: where it starts, what it learns, and that a kill changes nothing."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from small_world import made_up, make_small, material

from core.errors import UsageError
from ranking.small.card import CONTRAST, DISTILLATION, Card
from ranking.small.draws import Drawer, labelled_batch
from ranking.small.model import SmallLlama
from ranking.small.training import SmallRecipe, export, train_small

RECIPE = SmallRecipe(pairs=16, negatives=8, contrast_rate=3e-3, contrast_warmup=5, nearness=(0.0, 0.0), checkpoint=4)


class Killed(Exception):
    """Stands for kill -9."""


@pytest.fixture(name="start")
def _start(tmp_path):
    """A small Llama of random weights."""
    return make_small(tmp_path / "start")


def test_training_learns_what_belongs_together(tmp_path, start):
    """Incidents of a repository it has not seen find their culprits, and the loss falls."""
    trained = train_small(material(), tmp_path / "out", steps=60, start=start, recipe=RECIPE, release="tiny-2")

    (stage,) = trained.card.stages
    assert (trained.after.first > 2 * trained.before.first, trained.after.nats < trained.before.nats) == (True, True)
    assert (stage.name, stage.steps, stage.last_loss < 0.7 * stage.first_loss) == (CONTRAST, 60, True)
    assert SmallLlama(tmp_path / "out").name == "tiny-2"


def test_a_finished_folder_holds_a_model_a_card_and_nothing_else(tmp_path, start):
    """The card tells data, what was held out, recipe and numbers; `transformers` loads the rest."""
    import torch
    from transformers import AutoModel

    out = tmp_path / "out"
    trained = train_small(material(), out, steps=2, start=start, recipe=RECIPE)

    card = (out / "README.md").read_text()
    told = ("| shop | learned | 96 | 96 |", "| api | held out, measured only | 40 | 40 |", "2024-05-14", "| seed | 0 |")
    assert "MiniLM's vector" not in card.partition("## Recipe")[2]
    model = AutoModel.from_pretrained(out)
    assert [part in card for part in (*told, f"{trained.after.first:.3f}", "Learning culprits: ")] == [True] * 6
    assert (type(model).__name__, model.dtype) == ("LlamaModel", torch.bfloat16)
    assert sorted(file.name for file in out.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "training.json",
    ]


@pytest.mark.parametrize("step", [3, 6])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, start, step):
    """Killed before or after its first checkpoint, it ends where an unbroken one ends; finished, it does nothing more."""
    whole = train_small(material(), tmp_path / "whole", steps=10, start=start, recipe=RECIPE)

    def kill(_what: str, done: int, _total: int | None) -> None:
        seen.append(done)
        if done == step and len(seen) == step:
            raise Killed

    seen: list[int] = []
    with pytest.raises(Killed):
        train_small(material(), tmp_path / "out", steps=10, start=start, recipe=RECIPE, progress=kill)
    train_small(material(), tmp_path / "out", steps=10, start=start, recipe=RECIPE, progress=kill)
    again = train_small(material(), tmp_path / "out", steps=10, start=start, recipe=RECIPE, progress=kill)

    kept = step // RECIPE.checkpoint * RECIPE.checkpoint
    assert seen == [*range(1, step + 1), *range(kept + 1, 11)]
    assert (tmp_path / "out/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
    assert again.card.numbers == whole.card.numbers


def test_another_seed_gives_other_weights(tmp_path, start):
    """So the equality above means something."""
    for seed in (0, 1):
        train_small(material(), tmp_path / str(seed), steps=2, start=start, recipe=replace(RECIPE, seed=seed))

    assert (tmp_path / "0/model.safetensors").read_bytes() != (tmp_path / "1/model.safetensors").read_bytes()


def test_minutes_end_a_training(tmp_path, start):
    """A budget of time is kept to, the step under way included."""
    trained = train_small(material(), tmp_path / "out", minutes=0.001, start=start, recipe=RECIPE)

    assert trained.card.stages[0].steps >= 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "minutes or steps"),
        ({"steps": 1, "minutes": 1.0}, "minutes or steps"),
        ({"minutes": 0.0}, "more than 0"),
        ({"steps": 1, "material": replace(material(0), held_out=())}, "nothing to learn from"),
        ({"steps": 1, "start": "nowhere"}, "no config.json"),
        ({"steps": 1, "full": True}, "not empty"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, start, given, told):
    """The message says what is missing."""
    data, out = given.get("material", material(8)), tmp_path / "out"
    if given.get("full"):
        out.mkdir()
        (out / "thesis.txt").write_text("mine")
    budget = {name: given[name] for name in ("minutes", "steps") if name in given}

    with pytest.raises(UsageError, match=told):
        train_small(data, out, start=tmp_path / given["start"] if "start" in given else start, recipe=RECIPE, **budget)


def test_wrong_commits_are_from_before_the_incident():
    """A batch shows nothing that was made at the time of its incidents or later."""
    part = made_up("shop", 80)
    pairs = part.pairs[:5]

    drawn = labelled_batch(pairs, [pair.incident for pair in pairs], part.commits, 5, random.Random(0))

    latest = max(pair.at for pair in pairs)
    times = {text.sha: text.at for text in part.commits}
    assert (len(drawn.shas), all(times[sha] < latest for sha in drawn.shas)) == (10, True)


def test_every_third_step_needs_no_label():
    """Two of three steps ask with incidents, the third with messages; without incidents all do."""
    part = made_up("shop", 50)
    labelled = Drawer([part], batch=4, negatives=2, seed=0)
    bare = Drawer([replace(part, pairs=())], batch=4, negatives=2, seed=0)

    found = [[drawer.draw(step).labelled for step in range(6)] for drawer in (labelled, bare)]

    assert found == [[True, True, False, True, True, False], [False] * 6]


@pytest.mark.model
def test_the_start_resembles_minilm_and_distillation_more_so(tmp_path):
    """MiniLM's weights in Llama's layers give vectors nearer to MiniLM's than random ones, and learning brings them nearer."""
    import torch
    from transformers import LlamaModel

    from ranking.small.network import batched, bert_vectors, encode, llama_vectors, open_minilm, open_network
    from ranking.small.start import start_from_minilm

    data = material(24)
    texts = [pair.incident for pair in data.held_out[0].pairs][:12]
    config, model = start_from_minilm(1, texts)
    torch.manual_seed(0)
    bert, tokenizer = open_minilm()
    read = batched(encode(tokenizer, texts, 64))

    recipe = SmallRecipe(layers=1, texts=16, pairs=8, negatives=2, distillation=0.9, distillation_warmup=2)
    trained = train_small(data, tmp_path / "out", steps=10, recipe=recipe)

    learned, _ = open_network(tmp_path / "out")
    with torch.inference_mode():
        wanted = bert_vectors(bert, *read)
        cosines = [
            float((llama_vectors(network, *read) * wanted).sum(-1).mean())
            for network in (LlamaModel(config), model, learned)
        ]
    assert cosines[0] + 0.05 < cosines[1] < cosines[2] - 0.05, cosines
    assert [stage.name for stage in trained.card.stages] == [DISTILLATION, CONTRAST]
    assert list(trained.card.numbers) == ["MiniLM", "at the start", "trained"]


@pytest.mark.model
def test_weights_trained_elsewhere_are_exported(tmp_path):
    """A state dict becomes a folder that loads, with MiniLM's tokenizer and a card; another shape is refused."""
    import torch
    from transformers import LlamaModel

    from ranking.small.start import llama_config

    torch.save(LlamaModel(llama_config(1)).state_dict(), tmp_path / "state.pt")
    torch.save({"norm.weight": torch.ones(3)}, tmp_path / "other.pt")
    card = Card(release="small-1", finished="2026-11-20", start="MiniLM", layers=0, parameters=0, sources=(), stages=())

    export(tmp_path / "state.pt", tmp_path / "out", card)

    assert len(SmallLlama(tmp_path / "out").vectors(["a page that was not found"], 8)[0]) == 384
    assert json.loads((tmp_path / "out/config.json").read_text())["rundown_release"] == "small-1"
    assert "1 layers, 14.1 million weights" in (tmp_path / "out/README.md").read_text()
    with pytest.raises(UsageError, match=r"other\.pt"):
        export(tmp_path / "other.pt", tmp_path / "out", card)
