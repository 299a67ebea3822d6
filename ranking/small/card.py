"""The card of a small Llama: start, data, recipe and numbers, written by code from facts.

Does: hold the facts, and turn them into Markdown.
Does not: claim anything that is not among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from core.model import from_unix
from ranking.small.measure import Numbers
from ranking.small.model import SCALE
from ranking.small.pairs import Material, RepositoryTexts

#: The passes, by the names that progress and card carry.
DISTILLATION, CONTRAST = "learning MiniLM's vectors", "learning culprits"
_TOLD = {
    DISTILLATION: "each text is to have MiniLM's vector, and each two texts MiniLM's similarity.",
    CONTRAST: (
        "incidents are drawn to their culprits, away from other culprits and from commits made shortly before\n"
        f"(cross-entropy over {SCALE:.0f} times the cosine). Every third step draws messages to their own subject and paths\n"
        "instead. A term keeps vectors near those of what the training started from."
    ),
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One repository's part."""

    name: str
    held_out: bool
    commits: int
    incidents: int
    #: Dates of the first and last commit read.
    first: str
    last: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One finished pass."""

    name: str
    steps: int
    minutes: float
    #: Mean losses over the first and the last tenth of its steps.
    first_loss: float | None
    last_loss: float | None


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts of one training."""

    release: str
    finished: str
    #: What it started from, in words, with a digest.
    start: str
    layers: int
    parameters: int
    #: Nothing committed then or later was read; empty when sources have bounds of their own.
    before: str = ""
    sources: tuple[Source, ...]
    stages: tuple[Stage, ...]
    recipe: Mapping[str, str | int | float] = field(default_factory=dict)
    #: What was measured -> on held-out incidents.
    numbers: Mapping[str, Numbers] = field(default_factory=dict)
    #: Anything else that a reader must know.
    notes: tuple[str, ...] = ()


def sources_of(material: Material) -> tuple[Source, ...]:
    """The repositories of a training, learned first."""
    return (
        *(_source(part, held_out=False) for part in material.learned),
        *(_source(part, held_out=True) for part in material.held_out),
    )


def _source(part: RepositoryTexts, *, held_out: bool) -> Source:
    times = [text.at for text in part.commits]
    return Source(
        name=part.name,
        held_out=held_out,
        commits=len(part.commits),
        incidents=len(part.pairs),
        first=_date(min(times)) if times else "-",
        last=_date(max(times)) if times else "-",
    )


def _date(seconds: float) -> str:
    moment: datetime = from_unix(seconds)
    return moment.date().isoformat()


def write_card(path: Path, card: Card) -> None:
    """Write a card as Markdown."""
    path.write_text("\n".join([*_head(card), *_data(card), *_numbers(card), *_recipe(card)]) + "\n", encoding="utf8")


def _head(card: Card) -> list[str]:
    return [
        "---",
        "library_name: transformers",
        "---",
        "",
        f"# {card.release}: a small Llama that reads incidents and commits",
        "",
        f"Trained by Rundown, finished on {card.finished}. {card.layers} layers, {card.parameters / 1e6:.1f} million weights",
        f"in bfloat16. It started from {card.start}.",
        "",
        "It gives each text a vector: the mean of the last layer's states, at unit length. An incident and the commit that",
        "caused it should be close. It writes nothing. A `LlamaModel` whose attention goes to both sides: with `transformers`",
        "give it a mask of four dimensions, 0 where a token is and the lowest number where none is; `ranking.small.network`",
        "does.",
        "",
    ]


def _data(card: Card) -> list[str]:
    lines = ["## Data", ""]
    if card.before:
        lines += [f"Nothing committed on {card.before} or later was read.", ""]
    lines += ["| repository | | commits | incidents | first | last |", "|---|---|---|---|---|---|"]
    for source in card.sources:
        role = "held out, measured only" if source.held_out else "learned"
        lines.append(
            f"| {source.name} | {role} | {source.commits} | {source.incidents} | {source.first} | {source.last} |"
        )
    lines += [
        "",
        "An incident is what a later commit says of the failure it repairs or reverts, without what names its culprit; or a",
        "labelled case that was given. Neither is in this folder, nor is any commit's message. What a model learned from may",
        "be private all the same: keep it as you keep that. MiniLM, where every small Llama began, is under the Apache",
        "License 2.0.",
        "",
    ]
    return [*lines, *(f"- {note}" for note in card.notes), *([""] if card.notes else [])]


def _numbers(card: Card) -> list[str]:
    lines = ["## Numbers", ""]
    if card.numbers:
        lines += ["Held-out incidents, each asked among culprits near in time and commits made shortly before:", ""]
        lines += ["| | incidents | culprit closest | nats to the culprit |", "|---|---|---|---|"]
        guess = next(iter(card.numbers.values()))
        lines.append(f"| guessing | {guess.incidents} | {guess.guessing:.3f} | {guess.guessing_nats:.3f} |")
        for name, found in card.numbers.items():
            lines.append(f"| {name} | {found.incidents} | {found.first:.3f} | {found.nats:.3f} |")
    else:
        lines.append("No repository with incidents was held out, so nothing is known of its quality.")
    lines += ["", "| pass | steps | minutes | loss at first | at last |", "|---|---|---|---|---|"]
    for stage in card.stages:
        losses = " | ".join("-" if x is None else f"{x:.3f}" for x in (stage.first_loss, stage.last_loss))
        lines.append(f"| {stage.name} | {stage.steps} | {stage.minutes:.1f} | {losses} |")
    return [*lines, ""]


def _recipe(card: Card) -> list[str]:
    lines = ["## Recipe", ""]
    for name in dict.fromkeys(stage.name for stage in card.stages):
        lines += [f"{name[0].upper()}{name[1:]}: {_TOLD[name]}", ""]
    rows = [f"| {name} | {value} |" for name, value in card.recipe.items()]
    return [*lines, "| choice | value |", "|---|---|", *rows]
