"""Training the small Llama, from commit histories to a folder that `ranking.small.model` reads.

Does: two passes, distillation of MiniLM and contrast of incidents with commits, or only the second from a small Llama that
is there; measure on held-out repositories before and after; write weights, tokenizer and card. Started again after a kill
it goes on.
Does not: read histories (`ranking.small.pairs`), or decide which model ranks (a release does).

Contrast: InfoNCE with in-batch negatives (van den Oord et al. 2018; Karpukhin et al. 2020). Distillation: vectors and
their similarities (Sanh et al. 2019; Park et al. 2019).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.minilm import DIGEST
from core.model import from_json, to_json
from ranking.ranker import Progress
from ranking.small.card import CONTRAST, DISTILLATION, Card, Stage, sources_of, write_card
from ranking.small.draws import Draw, Drawer, text_batches
from ranking.small.loop import Budget, Pass, run_pass
from ranking.small.measure import Numbers, Reader, measure
from ranking.small.model import COMMIT_TOKENS, INCIDENT_TOKENS, SCALE, SmallLlama
from ranking.small.network import (
    batched,
    bert_vectors,
    digest_of,
    encode,
    half_precision,
    llama_vectors,
    open_minilm,
    open_network,
    save,
)
from ranking.small.pairs import Material
from ranking.small.start import llama_config, start_from_minilm

FACTS = "training.json"
_WORK = "unfinished"
_PADDED = -1e4


@dataclass(frozen=True, kw_only=True)
class SmallRecipe:
    """Every number that may be turned, with the default it was tried with."""

    seed: int = 0
    #: Of a model that starts from MiniLM.
    layers: int = 4
    #: Share of the budget for the first pass.
    distillation: float = 1 / 3
    #: Texts of one step of the first pass; pairs, and wrong commits beside them, of one step of the second.
    texts: int = 64
    pairs: int = 40
    negatives: int = 24
    #: Highest learning rates of the two passes, and the steps it takes to get there.
    distillation_rate: float = 6e-4
    contrast_rate: float = 4e-4
    distillation_warmup: int = 100
    contrast_warmup: int = 40
    #: How much the differences of similarities weigh in the first pass.
    similarities: float = 5.0
    #: How much staying near the start weighs in the second pass: in its first half, in its second.
    nearness: tuple[float, float] = (0.5, 0.2)
    #: Steps between two checkpoints.
    checkpoint: int = 150


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training."""

    folder: Path
    card: Card

    @property
    def before(self) -> Numbers | None:
        """Held-out numbers of what it started from."""
        return self.card.numbers.get("at the start")

    @property
    def after(self) -> Numbers | None:
        """Held-out numbers of what came out."""
        return self.card.numbers.get("trained")


def train_small(
    material: Material,
    out: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    start: Path | None = None,
    recipe: SmallRecipe | None = None,
    release: str = "small-llama",
    progress: Progress | None = None,
) -> Trained:
    """Train a small Llama. Called again with the same arguments it goes on where it was killed, or tells what it did.

    Args:
        material: what `gather` has read.
        out: folder for the result; while it is unfinished, for checkpoints too.
        minutes: how long to train, or else
        steps: how many updates in all: with the same seed, threads and machine the same weights come out.
        start: folder of a small Llama to go on from, which then also stands in for MiniLM as what to stay near.
        recipe: every other choice.
        release: the name the model carries.
        progress: told (pass, done, to do) in steps, or in seconds when `minutes` are given.

    Raises:
        UsageError: not one of `minutes` and `steps`, nothing to learn from, no model at `start`, or `out` holds
            something else.
        ModelUnavailable: MiniLM's weights are missing or damaged.
    """
    recipe = recipe or SmallRecipe()
    budget = Budget.of(minutes, steps)
    if Drawer(material.learned, batch=recipe.pairs, negatives=recipe.negatives, seed=recipe.seed).empty:
        raise UsageError(
            "there is nothing to learn from", why="no incident and no two commits with a message were read"
        )
    job = _Job(material=material, start=start, recipe=recipe, release=release, budget=budget)
    finished = _prepare(out, job.plan())
    return finished or _train(job, out, progress)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A training before it begins."""

    material: Material
    start: Path | None
    recipe: SmallRecipe
    release: str
    budget: Budget

    def start_digest(self) -> str:
        """SHA-256 of the weights it starts from."""
        if self.start is None:
            return DIGEST
        weights = self.start / "model.safetensors"
        return digest_of(weights) if weights.is_file() else ""

    def plan(self) -> str:
        """A digest of all that decides the result."""
        told = [self.material.digest(), self.start_digest(), asdict(self.recipe), asdict(self.budget), self.release]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _train(job: _Job, out: Path, progress: Progress | None) -> Trained:
    """Open the start, measure, run the passes, save, measure again."""
    work = out / _WORK
    model, tokenizer, teacher = _opened(job)
    if not (work / "start" / "config.json").is_file():
        save(model, tokenizer, work / "start", f"{job.release}-start")
    numbers: dict[str, Numbers] = {}
    _measured(numbers, "MiniLM", job, teacher.read if job.start is None else None)
    _measured(numbers, "at the start", job, SmallLlama(work / "start").vectors)
    stages = [run_pass(model, part, work, progress) for part in _passes(job, model, tokenizer, teacher)]
    save(model, tokenizer, out, job.release)
    _measured(numbers, "trained", job, SmallLlama(out).vectors)
    card = _card(job, model, tuple(stages), numbers)
    return _finish(out, card, job.plan())


@dataclass(frozen=True, kw_only=True)
class _Teacher:
    """What gives the vectors to stay near: MiniLM, or the model as it was."""

    #: (tokens, mask) -> unit vectors.
    vectors: Callable[[Any, Any], Any]
    tokenizer: Any

    def read(self, texts: Any, tokens: int) -> Any:
        """As `ranking.small.measure` reads."""
        import torch

        with torch.inference_mode():
            return list(self.vectors(*batched(encode(self.tokenizer, texts, tokens))))


def _opened(job: _Job) -> tuple[Any, Any, _Teacher]:
    """The model to train, its tokenizer, and its teacher."""
    if job.start is not None:
        model, tokenizer = open_network(job.start)
        kept, _ = open_network(job.start)
        kept.eval().requires_grad_(False)
        return model, tokenizer, _Teacher(vectors=lambda *given: llama_vectors(kept, *given), tokenizer=tokenizer)
    texts = [text.whole for part in job.material.learned for text in part.commits]
    _, model = start_from_minilm(job.recipe.layers, texts[:: max(1, len(texts) // 200)][:200])
    bert, tokenizer = open_minilm()
    return model, tokenizer, _Teacher(vectors=lambda *given: bert_vectors(bert, *given), tokenizer=tokenizer)


def _passes(job: _Job, model: Any, tokenizer: Any, teacher: _Teacher) -> list[Pass]:
    recipe, learned = job.recipe, job.material.learned
    first = recipe.distillation if job.start is None else 0.0
    batches = text_batches(learned, batch=recipe.texts, seed=recipe.seed)
    drawer = Drawer(learned, batch=recipe.pairs, negatives=recipe.negatives, seed=recipe.seed)

    def distilled(texts: list[str], _share: float) -> Any:
        return _distillation_loss(model, teacher, encode(tokenizer, texts, COMMIT_TOKENS), recipe)

    def contrasted(step: int, share: float) -> Any:
        return _contrast_loss(model, teacher, tokenizer, drawer.draw(step), recipe.nearness[share >= 0.5])

    passes = [
        Pass(
            name=DISTILLATION,
            budget=job.budget.part(first),
            rate=recipe.distillation_rate,
            floor=0.05,
            warmup=recipe.distillation_warmup,
            checkpoint=recipe.checkpoint,
            batches=batches,
            loss=distilled,
        ),
        Pass(
            name=CONTRAST,
            budget=job.budget.part(1 - first),
            rate=recipe.contrast_rate,
            floor=0.03,
            warmup=recipe.contrast_warmup,
            checkpoint=recipe.checkpoint,
            batches=itertools.count(),
            loss=contrasted,
        ),
    ]
    return [part for part in passes if not part.budget.nothing]


def _distillation_loss(model: Any, teacher: _Teacher, ids: list[list[int]], recipe: SmallRecipe) -> Any:
    """1 - cosine to the teacher's vector, and the squared differences of similarities between all texts of the batch."""
    import torch

    tokens, mask = batched(ids)
    with half_precision():
        with torch.no_grad():
            wanted = teacher.vectors(tokens, mask)
        found = llama_vectors(model, tokens, mask)
    apart = ((wanted @ wanted.T - found @ found.T) ** 2).mean()
    return (1 - (found * wanted).sum(-1)).mean() + recipe.similarities * apart


def _contrast_loss(model: Any, teacher: _Teacher, tokenizer: Any, draw: Draw, nearness: float) -> Any:
    """Cross-entropy of each question's own document among all, and 1 - cosine to the teacher's vectors."""
    import torch
    from torch.nn import functional

    loss, vectors = torch.tensor(0.0), []
    for texts, limit in ((draw.questions, INCIDENT_TOKENS), (draw.documents, COMMIT_TOKENS)):
        tokens, mask = batched(encode(tokenizer, texts, limit))
        with half_precision():
            with torch.no_grad():
                wanted = teacher.vectors(tokens, mask)
            vectors.append(llama_vectors(model, tokens, mask))
        loss = loss + nearness * (1 - (vectors[-1] * wanted).sum(-1)).mean()
    count = len(draw.questions)
    same = torch.tensor([[one == other for other in draw.shas] for one in draw.shas[:count]])
    same[torch.arange(count), torch.arange(count)] = False
    scores = (SCALE * vectors[0] @ vectors[1].T).masked_fill(same, _PADDED)
    return loss + functional.cross_entropy(scores, torch.arange(count))


def _measured(numbers: dict[str, Numbers], name: str, job: _Job, read: Reader | None) -> None:
    found = measure(read, job.material.held_out) if read else None
    if found:
        numbers[name] = found


def _card(job: _Job, model: Any, stages: tuple[Stage, ...], numbers: Mapping[str, Numbers]) -> Card:
    origin = "MiniLM (all-MiniLM-L6-v2)" if job.start is None else f"the small Llama in '{job.start.name}'"
    return Card(
        release=job.release,
        finished=datetime.now(UTC).date().isoformat(),
        start=f"{origin}, SHA-256 {job.start_digest()[:12]}…",
        layers=model.config.num_hidden_layers,
        parameters=sum(weight.numel() for weight in model.parameters()),
        before=job.material.before.date().isoformat(),
        sources=sources_of(job.material),
        stages=stages,
        recipe={name: str(value) for name, value in asdict(job.recipe).items()},
        numbers=numbers,
    )


def _prepare(out: Path, plan: str) -> Trained | None:
    """Make the folder ready, or find there what this very training has done.

    Raises:
        UsageError: it holds another training, or other files.
    """
    begun, done = out / _WORK / "plan.txt", out / FACTS
    if begun.is_file() and begun.read_text(encoding="utf8") == plan:
        return None
    if done.is_file():
        kept = json.loads(done.read_text(encoding="utf8"))
        if kept["plan"] == plan:
            return Trained(folder=out, card=from_json(Card, kept["card"]))
    if out.exists() and any(out.iterdir()):
        raise UsageError(
            f"cannot train into '{out}'",
            why="it is not empty, and what it holds is not this training",
            way_out="choose another folder, or remove it",
        )
    begun.parent.mkdir(parents=True)
    begun.write_text(plan, encoding="utf8")
    return None


def _finish(out: Path, card: Card, plan: str) -> Trained:
    """The card; then what only an unfinished training needs goes."""
    write_card(out / "README.md", card)
    (out / FACTS).write_text(json.dumps({"plan": plan, "card": to_json(card)}, indent=1) + "\n", encoding="utf8")
    shutil.rmtree(out / _WORK)
    return Trained(folder=out, card=card)


def export(state_dict_path: Path, folder: Path, card: Card) -> None:
    """Turn weights that were trained elsewhere into a folder as `train_small` writes it.

    Args:
        state_dict_path: a state dict of a `LlamaModel` in MiniLM's shape, as `torch.save` writes it.
        folder: where to; made when it is missing.
        card: the facts of that training; the number of layers and weights is counted.

    Raises:
        UsageError: it cannot be read, or is of another shape.
        ModelUnavailable: MiniLM, whose tokenizer it reads with, is missing or damaged.
    """
    import torch
    from transformers import LlamaModel

    try:
        weights = torch.load(state_dict_path, weights_only=True, map_location="cpu")
        layers = len({name.split(".")[1] for name in weights if name.startswith("layers.")})
        model = LlamaModel(llama_config(layers))
        model.load_state_dict(weights)
    except Exception as error:  # a damaged file raises what its reader likes
        raise UsageError(f"cannot read the weights '{state_dict_path}'", why=str(error).partition("\n")[0]) from error
    folder.mkdir(parents=True, exist_ok=True)
    save(model, open_minilm()[1], folder, card.release)
    count = sum(weight.numel() for weight in model.parameters())
    write_card(folder / "README.md", replace(card, layers=layers, parameters=count))
