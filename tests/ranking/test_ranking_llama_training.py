"""A tiny Llama learns to vote; killed, it goes on; what it leaves behind is what votes."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from llama_world import PLACES, SYMPTOMS, made_up, make_llama, plain_poll

from core.errors import ModelUnavailable, UsageError
from ranking.llama import LlamaVoter, elect, log_softmax
from ranking.llama.examples import write_examples, write_texts
from ranking.llama.finetune import main
from ranking.llama.measure import sum_up
from ranking.llama.prompt import TRAINING_FILE, Layout
from ranking.llama.recipe import Recipe
from ranking.llama.stage import _collate
from ranking.llama.train import rows_of, train_llama

#: Small steps over little data: what a tiny model needs.
RECIPE = Recipe(method="full", rate=2.5e-3, weight_decay=0.0, sampled_epochs=12, batch=2, accumulation=1, watched=0.0)
FEW = replace(RECIPE, sampled_epochs=2, batch=4, looks=4)
TEXTS = [f"{place} is {symptom}: look at the cache of {place}" for place in PLACES for symptom in SYMPTOMS] * 3


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    return make_llama(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """The training most tests look at: 60 lists learned, 40 others held out."""
    out = tmp_path_factory.mktemp("trained") / "out"
    told: list[tuple[str, int, int | None]] = []
    found = train_llama(
        base,
        out,
        examples=made_up(60, 2),
        held_out=made_up(40, 3),
        recipe=RECIPE,
        progress=lambda *said: told.append(said),
    )
    return out, found, told


def weights(folder: Path) -> dict:
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    return {name: weight.tolist() for name, weight in load_file(file).items()}


def test_it_learns_to_tell_culprits_it_has_never_seen(trained):
    """Guessing finds one in four; so did the model before."""
    _, found, told = trained

    assert (found.before.lists, found.after.lists, found.after.guessing) == (40, 40, 0.25)
    assert found.before.first < 0.5
    assert found.after.first > 0.75
    assert found.after.nats < found.before.nats / 2
    assert told[-1] == ("first pass, sampled lists", 360, 360)


def test_the_folder_is_what_votes(trained):
    """By its name alone; in elections of any length too."""
    out, found, _ = trained
    (example,) = made_up(1, 5, size=20)
    voter = LlamaVoter(found.model)
    more = [f"shop | change the font of {place} {number}" for place in PLACES for number in range(4)]

    votes = voter.vote("search is slow", made_up(1, 4)[0].candidates, budget_s=60)
    assert (found.model, found.adapter) == (str(out), None)
    assert votes.index(max(votes)) == made_up(1, 4)[0].culprit
    elected = elect(voter, example.incident, [*more, *example.candidates], budget_s=60)
    assert len(elected) == len(more) + 20


def test_the_card_says_what_was_done(trained):
    """Base, data with counts and digests, recipe, numbers before and after; nothing unfinished is left."""
    out, found, _ = trained
    card = (out / "README.md").read_text()
    kept = json.loads((out / TRAINING_FILE).read_text())

    assert sorted(file.name for file in out.iterdir()) == sorted(
        [
            "README.md",
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            TRAINING_FILE,
        ]
    )
    assert f"| culprit first | 0.250 | {found.before.first:.3f} | {found.after.first:.3f} |" in card
    assert f"| sampled lists | 60 | 60 | 2024-05-14 | 2024-05-14 | {kept['data']['sampled']['digest']} |" in card
    assert "| rate | 0.0025 |" in card
    assert kept["base_digest"] in card


def test_the_same_training_is_not_done_twice(trained, base):
    """It tells what it did; other data do not overwrite it."""
    out, found, _ = trained
    again = train_llama(base, out, examples=made_up(60, 2), held_out=made_up(40, 3), recipe=RECIPE)

    assert again == found
    with pytest.raises(UsageError, match=r"cannot train into '.*': it holds another training"):
        train_llama(base, out, examples=made_up(59, 2), held_out=made_up(40, 3), recipe=RECIPE)


class Killed(Exception):
    pass


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_killed_training_goes_on_to_the_same_weights(base, tmp_path, method):
    """Killed in the first pass and again in the second: each checkpoint is used, and nothing is told apart at the end."""
    recipe = replace(FEW, method=method, ranked_epochs=1, arrangements=2, watched=0.2)
    data = {"examples": made_up(20, 2), "ranked": made_up(8, 4), "recipe": recipe}
    train_llama(base, tmp_path / "whole", **data)
    told: list[tuple[str, int]] = []

    def die_at(name: str, step: int):
        def progress(what: str, done: int, total: int | None) -> None:
            told.append((what, done))
            if (what, done) == (name, step):
                raise Killed

        return progress

    for name, step in (("first pass, sampled lists", 5), ("second pass, ranked lists", 2)):
        with pytest.raises(Killed):
            train_llama(base, tmp_path / "killed", progress=die_at(name, step), **data)
    killed = train_llama(base, tmp_path / "killed", progress=die_at("", 0), **data)

    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert [stage.steps for stage in killed.stages] == [6, 3]
    assert told.count(("first pass, sampled lists", 1)) == told.count(("second pass, ranked lists", 1)) == 1


@pytest.mark.parametrize("how", [{}, {"precision": "bf16", "checkpointing": True}], ids=["plain", "lean"])
def test_an_adapter_votes_as_it_was_trained(base, tmp_path, how):
    """Merged into bfloat16 weights for voting, it says what it says unmerged in memory; and not what the base says."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ranking.llama.voter import quiet_peft

    recipe = replace(FEW, method="lora", rate=0.02, **how)
    found = train_llama(base, tmp_path / "out", examples=made_up(24, 2), recipe=recipe)
    (example,) = made_up(1, 3)
    asked = (example.incident, example.candidates)
    votes = LlamaVoter(base, adapter=found.adapter, arrangements=1).vote(*asked, budget_s=60)
    with quiet_peft():
        network = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), found.adapter).eval()
    plain = plain_poll(network, AutoTokenizer.from_pretrained(base), example)

    assert (found.model, found.adapter) == (base, str(tmp_path / "out"))
    assert votes == pytest.approx(log_softmax(plain[1:]), abs=0.05)
    assert votes != pytest.approx(LlamaVoter(base).vote(*asked, budget_s=60), abs=0.05)


@pytest.mark.parametrize(("hidden", "keep_digest"), [(64, True), (32, False)])
def test_an_adapter_of_another_base_is_refused(base, tmp_path, hidden, keep_digest):
    """By its digest when the shapes fit, by its shapes when nothing was kept."""
    found = train_llama(base, tmp_path / "out", examples=made_up(8, 2), recipe=replace(FEW, method="lora"))
    other = make_llama(tmp_path / "other", seed=1, hidden=hidden)
    if not keep_digest:
        (tmp_path / "out" / TRAINING_FILE).unlink()

    with pytest.raises(ModelUnavailable, match=r"does not belong to the ranking model .*trained on other weights"):
        LlamaVoter(other, adapter=found.adapter).vote("x", ["a", "b"], budget_s=60)


def test_only_the_answer_is_learned(base):
    """Padding stands first, the labels cover the answers alone, and the loss is theirs."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = rows_of([*made_up(1, 2), *made_up(1, 3, size=9)], AutoTokenizer.from_pretrained(base), 512, Recipe())
    batch = _collate(rows)
    network = AutoModelForCausalLM.from_pretrained(base)
    with torch.inference_mode():
        loss = float(network(**batch).loss)
        alone = [
            torch.log_softmax(network(torch.tensor([row.tokens])).logits[0, -2], -1)[row.tokens[-1]] for row in rows
        ]

    learned = [[label for label in labels if label != -100] for labels in batch["labels"].tolist()]
    assert learned == [row.tokens[-row.learned :] for row in rows]
    assert batch["logits_to_keep"] == 2
    assert batch["attention_mask"].sum(-1).tolist() == [len(row.tokens) for row in rows]
    assert loss == pytest.approx(-float(sum(alone)) / 2, abs=1e-4)


def test_a_list_without_culprit_is_answered_none(base):
    """By the number that a vote reads as none."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    (row,) = rows_of([replace(made_up(1, 2)[0], culprit=None)], tokenizer, 512, Recipe())

    assert tokenizer.decode(row.tokens[-row.learned :]) == "00"


def test_pretraining_lowers_perplexity_on_texts_it_has_not_read(base, tmp_path):
    """Alone, without any list; texts kept aside say so."""
    recipe = replace(RECIPE, pretrain_epochs=3, block=64, watched=0.2)
    found = train_llama(base, tmp_path / "out", texts=iter(TEXTS), recipe=recipe)
    (stage,) = found.stages

    assert stage.name == "continued pre-training"
    assert math.exp(stage.after) < 0.1 * math.exp(stage.before)
    assert (found.before, found.after) == (None, None)


def test_a_pass_that_gains_nothing_stops_early(base, tmp_path):
    """After so many looks; not at the end of its epochs."""
    recipe = replace(RECIPE, rate=1e-12, sampled_epochs=10, looks=10, patience=2, watched=0.3)
    (stage,) = train_llama(base, tmp_path / "out", examples=made_up(20, 2), recipe=recipe).stages

    assert stage.rows * 10 / 2 > stage.steps > 0
    assert stage.after == pytest.approx(stage.before, abs=1e-3)


@pytest.mark.parametrize(
    ("broken", "why"),
    [("tokenizer", "tokenizer"), ("quantized", "pip install")],
)
def test_a_base_that_cannot_be_opened_says_what_is_missing(broken, why, base, tmp_path):
    """No tokenizer beside the weights, or a quantization whose package is not here; not a stack of frames."""
    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    if broken == "tokenizer":
        for file in folder.glob("tokenizer*"):
            file.unlink()
    else:
        config = json.loads((folder / "config.json").read_text())
        config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
        (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(UsageError, match=rf"cannot load the base model '{folder}'.*{why}"):
        train_llama(str(folder), tmp_path / "out", examples=made_up(8, 2), recipe=FEW)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"base": "nowhere"}, "cannot load the base model 'nowhere'"),
        ({"examples": []}, "there is nothing to train on"),
        (
            {"recipe": replace(FEW, layout=Layout(context=60))},
            "cannot put 4 candidates before a model that reads 60 tokens",
        ),
        ({"held_out": made_up(2, 2)}, "2 of 2 held-out lists are of incidents that are learned from"),
        ({"recipe": replace(FEW, method="lora", targets=("wqkv",))}, "name its layers with --targets"),
        ({"texts": ["x"], "recipe": replace(FEW, block=4)}, "cannot pack texts into blocks of 4 tokens"),
    ],
)
def test_what_cannot_be_trained_is_said(base, tmp_path, change, why):
    """Before anything is learned, with the way out."""
    given = {"base": base, "examples": made_up(8, 2), "recipe": FEW, **change}

    with pytest.raises(UsageError, match=why):
        train_llama(given.pop("base"), tmp_path / "out", **given)


def test_a_folder_with_other_files_is_left_alone(base, tmp_path):
    """Nobody's work is overwritten."""
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(UsageError, match="it is not empty"):
        train_llama(base, tmp_path, examples=made_up(8, 2), recipe=FEW)


def test_a_vote_uses_the_layout_it_was_trained_with(trained, tmp_path):
    """What the training kept, not the default."""
    out, found, _ = trained
    candidates = ["shop | change the font of login", "shop | change the comment of search and its cache"]
    plain = LlamaVoter(found.model).vote("search is slow", candidates, budget_s=60)
    narrow = shutil.copytree(out, tmp_path / "narrow")
    kept = json.loads((narrow / TRAINING_FILE).read_text())
    (narrow / TRAINING_FILE).write_text(json.dumps({**kept, "layout": {**kept["layout"], "candidate_tokens": 3}}))

    assert LlamaVoter(str(narrow)).vote("search is slow", candidates, budget_s=60) != plain


def test_numbers_count_ties_against_the_model():
    """And tell lists without a culprit by how likely none is."""
    rows = [[1, 1, -0.1, 4, -3.0], [1, 0, -2.3, 2, -1.0], [0, 0, 0, 5, -1.0], [0, 0, 0, 5, -0.5]]
    found = sum_up(rows)

    assert (found.lists, found.without, found.first, found.guessing, found.nats) == (2, 2, 0.5, 0.375, 1.2)
    assert found.none_area == 0.875
    assert sum_up(rows[2:]) is None


def test_the_command_line_trains_from_files(base, tmp_path, capsys):
    """All three passes, the numbers at the end, and 0."""
    write_examples(tmp_path / "sampled.jsonl", made_up(8, 2))
    write_examples(tmp_path / "ranked.jsonl", made_up(4, 4))
    write_examples(tmp_path / "later.jsonl", made_up(4, 3))
    write_texts(tmp_path / "texts.jsonl", TEXTS[:20])
    files = {"examples": "sampled", "ranked": "ranked", "held-out": "later", "texts": "texts"}
    arguments = [word for name, file in files.items() for word in (f"--{name}", str(tmp_path / f"{file}.jsonl"))]
    out = tmp_path / "out"

    code = main(
        ["--base", base, "--out", str(out), *arguments, "--accumulation", "2", "--method", "lora", "--rank", "2"]
    )
    said = capsys.readouterr().out

    assert code == 0
    assert [stage["name"] for stage in json.loads((out / TRAINING_FILE).read_text())["stages"]] == [
        "continued pre-training",
        "first pass, sampled lists",
        "second pass, ranked lists",
    ]
    assert "of 4 held-out lists (before" in said
    assert (out / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--base", "nowhere", "--out", "out"], 2, "cannot load the base model 'nowhere'"),
        (["--base", "nowhere", "--out", "out", "--examples", "no.jsonl"], 2, "cannot read 'no.jsonl'"),
        (["--base", "nowhere", "--out", "out", "--rank", "0"], 2, "--rank must be 1 or more"),
    ],
)
def test_the_command_line_says_what_is_wrong(arguments, code, said, capsys):
    """In words, with an honest exit code."""
    assert main(arguments) == code
    assert said in " ".join(capsys.readouterr().err.split())


def test_help_shows_how_to_use_several_devices(capsys):
    """With an example to copy."""
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])

    assert "accelerate launch -m ranking.llama.finetune --base" in capsys.readouterr().out
