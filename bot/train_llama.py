"""A Llama of a team's own: what `rundown train ranker --base-model` adds, and the files that `rundown train examples` writes.

Does: turn the measured incidents into lists, train on the older ones, measure and weigh the vote on the newest; or write the
same lists and texts to a folder, for a training elsewhere (`ranking.llama.finetune`).
Does not: find labels or fit the features (`bot.train`), or hold the training itself (`ranking.llama.train`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from core.model import Document, from_unix
from core.settings import Settings
from core.text import strip_hidden
from ranking.training import Learned, ranked_cases
from ranking.votes import VoteWeight, fit_vote, hold_votes

if TYPE_CHECKING:
    from bot.local import Progress
    from ranking.history import History
    from ranking.llama.examples import Example, RankedCase
    from ranking.llama.recipe import Recipe
    from ranking.llama.train import Trained

#: Seconds in which a vote must come while its worth is measured: slower is a broken machine.
_VOTE_S = 3600.0
#: The files of one training, as `ranking.llama.finetune` names its options.
FILES = {"examples": "sampled.jsonl", "ranked": "ranked.jsonl", "held-out": "held-out.jsonl", "texts": "texts.jsonl"}


@dataclass(frozen=True, kw_only=True)
class LlamaJob:
    """A Llama to train on the same incidents."""

    #: Hub id or folder.
    base: str
    #: Where it goes; a folder under RUNDOWN_HOME by default.
    out: Path | None = None
    #: Folders or repositories of documents to read beside the commit messages.
    texts: Sequence[Path] = ()
    recipe: Recipe | None = None


@dataclass(frozen=True, kw_only=True)
class LlamaDone:
    """What came of it."""

    trained: Trained
    #: Documents not read: not for everyone, or not known to be older than the first held-out incident.
    left_out: int
    #: What its vote counts; None when of no held-out incident the culprit is among the candidates.
    vote: VoteWeight | None


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a Llama learns from, and what it is measured on."""

    #: The newest incidents as ranked by weights that did not see them.
    newest: list[RankedCase]
    examples: list[Example]
    ranked: list[Example]
    held_out: list[Example]
    texts: Iterable[str]
    #: Documents that are not among the texts.
    left_out: int


def gather(learned: Learned, histories: Sequence[History], texts: Sequence[Path]) -> Material:
    """Lists of the older incidents to learn from and of the newest to measure on; texts from before the first of these.

    Args:
        texts: folders or repositories of documents to read beside the commit messages.

    Raises:
        DocumentError: a folder cannot be read.
    """
    from ranking.llama.examples import make_examples, ranked_examples

    older, newest = (
        list(ranked_cases(part, learned.compared, histories)) for part in (learned.fitted, learned.held_out)
    )
    held_out = list(ranked_examples(newest))
    seen = {example.incident for example in held_out}

    def apart(examples: Iterator[Example]) -> list[Example]:
        return [example for example in examples if example.incident not in seen]

    read, left_out = _texts(texts, histories, from_unix(learned.held_out[0].case.created_at))
    return Material(
        newest=newest,
        examples=apart(make_examples(older, seed=7)),
        ranked=apart(ranked_examples(older)),
        held_out=held_out,
        texts=read,
        left_out=left_out,
    )


def train(
    job: LlamaJob, learned: Learned, histories: Sequence[History], settings: Settings, progress: Progress
) -> LlamaDone:
    """Train on the older incidents, measure on the newest, and fit to them what a vote counts.

    Raises:
        UsageError: the base cannot be used, or its folder holds another training.
        ModelUnavailable: the trained model cannot be measured.
        DocumentError: a folder of texts cannot be read.
    """
    from ranking.llama import LlamaVoter
    from ranking.llama.recipe import Recipe
    from ranking.llama.train import train_llama

    recipe = job.recipe or Recipe()
    material = gather(learned, histories, job.texts)
    digest = learned.weighing.release[-8:]
    trained = train_llama(
        job.base,
        job.out or settings.home / "ranker" / f"llama-{Path(job.base).name}-{digest}",
        examples=material.examples,
        ranked=material.ranked,
        held_out=material.held_out,
        texts=material.texts,
        recipe=recipe,
        progress=progress,
    )
    progress("weighing its vote", 0, None)
    cases = list(zip(learned.held_out, material.newest, strict=True))[: recipe.measured]
    ballots = hold_votes(LlamaVoter(trained.model, adapter=trained.adapter), cases, learned.compared, budget_s=_VOTE_S)
    vote = fit_vote(ballots, learned.compared.temperature)
    return LlamaDone(trained=trained, left_out=material.left_out, vote=vote)


def refuse_full(out: Path) -> None:
    """Refuse a folder that is not empty: the files of two trainings must not mix.

    Raises:
        UsageError: it is not empty, or no folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"cannot write to '{out}'", why="it is not an empty folder", way_out="choose a new folder")


def command(out: Path) -> str:
    """The command that trains on the files of a folder."""
    files = " ".join(f"--{option} {shlex.quote(str(out / name))}" for option, name in FILES.items())
    return f"accelerate launch -m ranking.llama.finetune --base meta-llama/Llama-3.2-1B --out culprit-llama {files}"


def write_material(material: Material, out: Path) -> dict[str, int]:
    """Write what a Llama learns from; file name -> lines.

    Raises:
        UsageError: the folder is not empty.
        CaseError: a file cannot be written.
    """
    from ranking.llama.examples import write_examples, write_texts

    refuse_full(out)
    lists = {"examples": material.examples, "ranked": material.ranked, "held-out": material.held_out}
    written = {FILES[name]: write_examples(out / FILES[name], found) for name, found in lists.items()}
    return {**written, FILES["texts"]: write_texts(out / FILES["texts"], material.texts)}


def _texts(folders: Sequence[Path], histories: Sequence[History], before: datetime) -> tuple[Iterator[str], int]:
    """Commit messages and documents from before a moment, and how many documents are left out.

    Raises:
        DocumentError: a folder cannot be read.
    """
    from itertools import chain

    from ingest.sources import open_source
    from ranking.llama.pretrain import commit_texts

    listed = [item for folder in folders for item in open_source(folder).documents() if isinstance(item, Document)]
    old = [
        document.text
        for document in listed
        if (told := document.occurred_at or document.updated_at) and told < before and "*" in document.readers
    ]
    return chain(commit_texts(histories, before=before), old), len(listed) - len(old)


def told(llama: LlamaDone) -> list[str]:
    """What came of it, a line each, marked up for a console."""
    trained = llama.trained
    from rich.markup import escape

    lines = [""]
    if trained.before and trained.after:
        before, after = trained.before, trained.after
        lines.append(
            f"The Llama put the culprit first in {after.first:.0%} of {after.lists} held-out lists; before its training in "
            f"{before.first:.0%}, guessing {after.guessing:.0%}."
        )
    if llama.vote:
        vote = llama.vote
        chance = "" if vote.certain else ", which may be chance"
        lines.append(
            f"Its vote counts {vote.weight:.2f} [{vote.low:.2f}, {vote.high:.2f}] beside the features, fitted to "
            f"{vote.incidents} held-out incidents{chance}."
        )
    lines += left_out_lines(llama.left_out)
    lines.append("To have it vote:")
    lines += [f"  {name}={escape(strip_hidden(value))}" for name, value in settings_of(trained).items()]
    return lines


def left_out_lines(count: int) -> list[str]:
    """That documents were not read, when some were not."""
    if not count:
        return []
    return [
        f"[yellow]{count} documents were not read:[/] not everyone may read them, or they are not known to be older "
        "than the first held-out incident. A git repository tells when each was changed."
    ]


def settings_of(trained: Trained) -> dict[str, str]:
    """The settings with which a trained Llama votes."""
    found = {"RUNDOWN_RANKER_MODEL": trained.model}
    return {**found, "RUNDOWN_RANKER_ADAPTER": trained.adapter} if trained.adapter else found


def to_json(llama: LlamaDone) -> dict[str, Any]:
    """What came of it, as JSON values."""
    trained = llama.trained
    return {
        "settings": settings_of(trained),
        "before": asdict(trained.before) if trained.before else None,
        "after": asdict(trained.after) if trained.after else None,
        "vote": asdict(llama.vote) if llama.vote else None,
        "documents_left_out": llama.left_out,
    }
