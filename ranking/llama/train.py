"""Training a Llama from a hub id or folder to vote on culprits, from data to a folder that `LlamaVoter` loads.

Does: continued pre-training on texts, a first pass on sampled lists, a second on lists as the first stage ranks them;
measure elections before and after; write weights, tokenizer, numbers and a card. Started again after a kill it goes on.
Does not: find incidents or labels, decide which model ranks (a release does), or read what the caller did not hand in.

Two passes, as Meta trained theirs: "Leveraging AI for efficient incident response", engineering.fb.com, June 2024.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from ranking.llama.card import write_card
from ranking.llama.election import arrangements
from ranking.llama.examples import Example, digest_of_examples
from ranking.llama.measure import Numbers, measure, sum_up
from ranking.llama.pretrain import Packed, pack
from ranking.llama.prompt import NONE, TRAINING_FILE, Prompt
from ranking.llama.recipe import Recipe
from ranking.llama.stage import Row, Stage, StageReport, free_memory, open_base, run_stage
from ranking.llama.voter import LlamaVoter, digest_of, room_of

if TYPE_CHECKING:
    from ranking.ranker import Progress

PRETRAINING, SAMPLED, RANKED = "continued pre-training", "first pass, sampled lists", "second pass, ranked lists"
_WORK = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training, as `TRAINING_FILE` tells it."""

    #: What to hand to `LlamaVoter`: model, and adapter if there is one.
    model: str
    adapter: str | None
    stages: tuple[StageReport, ...]
    before: Numbers | None
    after: Numbers | None


def train_llama(
    base: str,
    out: Path,
    *,
    examples: Sequence[Example] = (),
    ranked: Sequence[Example] = (),
    held_out: Sequence[Example] = (),
    texts: Iterable[str] = (),
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a Llama to vote. Called again with the same arguments it goes on where it was killed, or tells what it did.

    Args:
        base: hub id or folder of a causal language model.
        out: folder for the result; while it is unfinished, for checkpoints too.
        examples: sampled lists (`make_examples`), for the first pass.
        ranked: lists as the first stage ranks them (`ranked_examples`), for the second.
        held_out: lists of other incidents, on which elections are measured before and after; never learned from.
        texts: commit messages, runbooks, wiki pages, for continued pre-training.
        recipe: every other choice.
        progress: told (pass, updates done, updates to do).

    Raises:
        UsageError: nothing to learn from, no such base, its context too short for a list, or `out` holds something else.
        ModelUnavailable: the trained model cannot be loaded or measured.
    """
    from accelerate import PartialState

    recipe = recipe or Recipe()
    job = _job(base, examples, ranked, held_out, texts, recipe)
    state = PartialState(cpu=not _cuda())
    with state.main_process_first():
        finished = _prepare(out, job.plan, write=state.is_main_process)
    return finished or _run(job, out, held_out[: recipe.measured], recipe, state, progress)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A training before it begins."""

    base: str
    base_digest: str
    method: str
    stages: list[Stage]
    #: What is learned from, in numbers.
    data: dict[str, Any]
    #: A digest of all that decides the result.
    plan: str


def _job(
    base: str,
    examples: Sequence[Example],
    ranked: Sequence[Example],
    held_out: Sequence[Example],
    texts: Iterable[str],
    recipe: Recipe,
) -> _Job:
    """What is to be done. Raises as `train_llama`."""
    _check_data(examples, ranked, held_out)
    model, tokenizer, method = open_base(base, recipe)
    room, digest = room_of(model), digest_of(model)
    packed = pack(texts, tokenizer, block=min(recipe.block, room), aside=recipe.watched)
    data = _data(packed, examples, ranked, held_out)
    whole = json.dumps([base, digest, data, asdict(recipe)], sort_keys=True)
    return _Job(
        base=base,
        base_digest=digest,
        method=method,
        stages=_stages(packed, examples, ranked, tokenizer, room, recipe),
        data=data,
        plan=hashlib.sha256(whole.encode()).hexdigest()[:16],
    )


def _run(
    job: _Job, out: Path, held_out: Sequence[Example], recipe: Recipe, state: Any, progress: Progress | None
) -> Trained:
    """Measure, train pass by pass, publish, measure again."""
    work, start = out / _WORK, None
    before = _measured(LlamaVoter(job.base), held_out, state, work / "before.json")
    free_memory()
    reports = []
    for number, stage in enumerate(job.stages):
        folder = work / f"{number}"
        reports.append(run_stage(stage, job.base, start, folder, recipe, progress))
        start = folder / "final"
    if state.is_main_process and start is not None:
        _publish(start, out, {"layout": asdict(recipe.layout), "base_digest": job.base_digest})
    state.wait_for_everyone()
    model, adapter = (job.base, str(out)) if job.method == "lora" else (str(out), None)
    after = _measured(LlamaVoter(model, adapter=adapter), held_out, state, work / "after.json")
    trained = Trained(model=model, adapter=adapter, stages=tuple(reports), before=before, after=after)
    if state.is_main_process:
        _finish(out, trained, job, recipe)
    state.wait_for_everyone()
    return trained


def rows_of(
    examples: Iterable[Example], tokenizer: Any, room: int, recipe: Recipe, *, as_voted: bool = False
) -> list[Row]:
    """Examples as sequences whose last tokens are the answer.

    Args:
        room: tokens the model can read.
        as_voted: each example in every arrangement in which a vote reads it, instead of the order it comes in.

    Raises:
        UsageError: the context is too short for a list.
    """
    rows = []
    for example in examples:
        prompt = Prompt(tokenizer, recipe.layout, room, incident=example.incident, candidates=example.candidates)
        plain = [list(range(len(example.candidates)))]
        for order in arrangements(example.candidates, recipe.arrangements) if as_voted else plain:
            answer = prompt.answers[NONE if example.culprit is None else order.index(example.culprit) + 1]
            rows.append(Row(tokens=[*prompt.start, *prompt.arranged(order), *answer], learned=len(answer)))
    return rows


def _stages(
    packed: Packed, examples: Sequence[Example], ranked: Sequence[Example], tokenizer: Any, room: int, recipe: Recipe
) -> list[Stage]:
    """The passes that have data and are not left out.

    Raises:
        UsageError: there is none.
    """
    found = []
    if packed.blocks and recipe.pretrain_epochs:
        blocks, aside = ([Row(tokens=b, learned=len(b) - 1) for b in kind] for kind in (packed.blocks, packed.aside))
        found.append(Stage(name=PRETRAINING, rows=blocks, watched=aside, epochs=recipe.pretrain_epochs))
    for name, lists, epochs in ((SAMPLED, examples, recipe.sampled_epochs), (RANKED, ranked, recipe.ranked_epochs)):
        if lists and epochs:
            learned, aside = (
                rows_of(part, tokenizer, room, recipe, as_voted=name == RANKED) for part in _parted(lists, recipe)
            )
            found.append(Stage(name=name, rows=learned, watched=aside, epochs=epochs))
    if not found:
        raise UsageError(
            "there is nothing to train on",
            why="no examples and no texts, or their passes are left out",
            way_out="give labelled incidents, for example mined from a repository's own reverts",
        )
    return found


def _parted(examples: Sequence[Example], recipe: Recipe) -> tuple[list[Example], list[Example]]:
    """Examples to learn from and to watch: one incident's lists stay together, chosen by what it says."""
    parts: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        drawn = hashlib.sha256(example.incident.encode()).digest()[0] < 256 * recipe.watched
        parts[drawn].append(example)
    return parts if parts[0] else (parts[1], [])


def _check_data(examples: Sequence[Example], ranked: Sequence[Example], held_out: Sequence[Example]) -> None:
    """Raises UsageError when an incident that is measured on is learned from too."""
    learned = {example.incident for example in (*examples, *ranked)}
    both = sum(example.incident in learned for example in held_out)
    if both:
        raise UsageError(
            f"{both} of {len(held_out)} held-out lists are of incidents that are learned from",
            why="numbers measured on them would mean nothing",
            way_out="split by incident, by time or by repository",
        )


def _data(
    packed: Packed, examples: Sequence[Example], ranked: Sequence[Example], held_out: Sequence[Example]
) -> dict[str, Any]:
    """What is learned from, in numbers: counts, digests, and the first and last incident."""
    found: dict[str, Any] = {"texts": {"count": packed.texts, "digest": packed.digest}}
    for name, lists in (("sampled", examples), ("ranked", ranked), ("held out", held_out)):
        times = sorted(example.at for example in lists)
        found[name] = {
            "count": len(lists),
            "incidents": len({example.incident for example in lists}),
            "digest": digest_of_examples(lists),
            "from": times[0].date().isoformat() if times else None,
            "to": times[-1].date().isoformat() if times else None,
        }
    return found


def _prepare(out: Path, plan: str, *, write: bool) -> Trained | None:
    """Make the folder ready, or find there what this very training has done.

    Raises:
        UsageError: it holds another training, or other files.
    """
    begun, done = out / _WORK / "plan.txt", out / TRAINING_FILE
    if begun.is_file() and begun.read_text(encoding="utf8") == plan:
        return None
    if done.is_file():
        kept = json.loads(done.read_text(encoding="utf8"))
        if kept.get("plan") == plan:
            return _trained(kept)
    if out.exists() and any(out.iterdir()):
        raise UsageError(
            f"cannot train into '{out}'",
            why="it holds another training, or one on other data"
            if begun.is_file() or done.is_file()
            else "it is not empty",
            way_out="choose another folder, or remove it",
        )
    if write:
        begun.parent.mkdir(parents=True)
        begun.write_text(plan, encoding="utf8")
    return None


def _measured(voter: LlamaVoter, examples: Sequence[Example], state: Any, kept: Path) -> Numbers | None:
    """The election's numbers, measured once however often the training is started."""
    if not examples:
        return None
    if kept.is_file():
        return Numbers(**json.loads(kept.read_text(encoding="utf8")))
    from accelerate.utils import gather_object

    rows = measure(voter, examples, share=(state.process_index, state.num_processes))
    numbers = sum_up(gather_object(rows))
    if numbers and state.is_main_process:
        kept.write_text(json.dumps(asdict(numbers)), encoding="utf8")
    state.wait_for_everyone()
    return numbers


def _publish(final: Path, out: Path, training: dict[str, Any]) -> None:
    """The last pass's weights and tokenizer where a vote looks for them, with what it needs to know."""
    for file in final.iterdir():
        if file.name not in ("report.json", "training_args.bin", "README.md"):
            shutil.copy2(file, out / file.name)
    (out / TRAINING_FILE).write_text(json.dumps(training), encoding="utf8")


def _finish(out: Path, trained: Trained, job: _Job, recipe: Recipe) -> None:
    """The numbers and the card; then what only an unfinished training needs goes."""
    kept = {
        "plan": job.plan,
        "base": job.base,
        "base_digest": job.base_digest,
        "data": job.data,
        "layout": asdict(recipe.layout),
        "recipe": asdict(recipe),
        "finished": datetime.now(UTC).date().isoformat(),
        **asdict(trained),
    }
    write_card(out / "README.md", kept)
    (out / TRAINING_FILE).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf8")
    shutil.rmtree(out / _WORK)


def _trained(kept: dict[str, Any]) -> Trained:
    before, after = (Numbers(**kept[name]) if kept[name] else None for name in ("before", "after"))
    return Trained(
        model=kept["model"],
        adapter=kept["adapter"],
        stages=tuple(StageReport(**stage) for stage in kept["stages"]),
        before=before,
        after=after,
    )


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
