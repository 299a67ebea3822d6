"""Training the cause reader, from incidents with the commits around them to a folder that `ranking.cause.reader` reads.

Does: read incidents; train MiniLM's layers to give the commit that did it, or that none did, the highest chance; measure on worlds
held out; write weights and card.
Does not: change MiniLM's token vectors, which stay where the package has them, or decide what counts how much (`ranking.scorer`).

Loss: cross-entropy over the log-odds of the commits and 0 for "none of them", so that their height means something without others beside.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import UsageError
from core.minilm import apart
from core.minilm import joined as joined_weights
from ranking.cause import reader
from ranking.cause.reader import Change
from ranking.ranker import Progress
from ranking.small.network import batched, bert_vectors, digest_of, half_precision, open_minilm

#: A unit vector's product with the weights of the odds is so small that a learning rate for it would have to be large.
_SCALE = 10.0
#: What stays MiniLM's own.
_TOKENS = "embeddings.word_embeddings.weight"

_EXAMPLE = 'write {"id": "shop-1", "title": "…", "culprit": {"subject": "…", "path": "…", "lines": "-a\\n+b"} or null, "others": […]}'


M = TypeVar("M", bound=BaseModel)


class Told(BaseModel):
    """An incident to learn from."""

    model_config = ConfigDict(frozen=True)

    #: Its world, that is who wrote it or whose commits it tells of, before the last "-".
    id: str
    title: str
    description: str = ""
    #: None: no commit did it.
    culprit: Change | None
    #: Commits of that time that did not.
    others: tuple[Change, ...]

    @property
    def world(self) -> str:
        """Who wrote it: incidents of one world are alike, so worlds are held out whole."""
        return self.id.rpartition("-")[0] or self.id

    @property
    def page(self) -> str:
        """Title and description."""
        return f"{self.title}\n{self.description}"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number that may be turned. What ships was made in several goes; its card tells with which."""

    seed: int = 1
    epochs: int = 3
    #: Incidents of one update.
    incidents: int = 4
    #: Commits of one incident beside its culprit: some of its others, and one of another incident of its world.
    others: int = 5
    #: Highest learning rates of the layers and of what turns a vector into odds, the updates it takes to get there, and the share
    #: that is left at the end.
    rate: float = 8e-5
    odds_rate: float = 1.6e-3
    warmup: int = 40
    floor: float = 0.03
    #: What the trained weights count, 0 to 1; the rest is those they started from, so that what is new costs less of what was known
    #: (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022: WiSE-FT).
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What a reader finds in incidents it has not learned from, each among its own seven commits or fewer."""

    incidents: int
    #: The share of those that a commit did in which the culprit has the highest odds.
    first: float
    #: The chance that an incident which a commit did looks more so than one that none did.
    area: float


def read_told(path: Path) -> list[Told]:
    """Incidents of a file, one JSON object a line: `Told`.

    Raises:
        UsageError: the file cannot be read, or a line is none.
    """
    return read_lines(path, Told, _EXAMPLE)


def read_lines(path: Path, model: type[M], example: str) -> list[M]:
    """The objects of a file, one in JSON a line.

    Args:
        example: of a line, for who reads the error.

    Raises:
        UsageError: the file cannot be read, or a line is no such object.
    """
    try:
        lines = path.read_text(encoding="utf8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the incidents in '{path}'", why=str(error)) from error
    found: list[M] = []
    for number, line in enumerate(lines, 1):
        try:
            found += [model.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            why = str(error).partition("\n")[2].strip()
            raise UsageError(
                f"line {number} of '{path}' is no incident to learn from", why=why, way_out=example
            ) from error
    return found


def train(
    told: Sequence[Told],
    out: Path,
    *,
    hold_out: Collection[str] = (),
    start: Path | None = None,
    recipe: Recipe | None = None,
    release: str = "cause-minilm",
    progress: Progress | None = None,
) -> Numbers | None:
    """Train a cause reader and write its folder.

    Args:
        told: the incidents.
        out: folder for the result; what a reader wrote there before is replaced.
        hold_out: worlds that are measured on only.
        start: folder of a reader to go on from; MiniLM without one.
        recipe: every other choice.
        release: the name it carries.
        progress: told of updates.

    Returns:
        What it finds in the worlds held out; None without any.

    Raises:
        UsageError: nothing to learn from, or a world that no incident has.
        ModelUnavailable: MiniLM's weights, or those to start from, are missing or damaged.
    """
    recipe = recipe or Recipe()
    unknown = sorted(set(hold_out) - {one.world for one in told})
    if unknown:
        raise UsageError(
            f"no incident of the world '{unknown[0]}' to hold out", way_out="give what its ids have before the last '-'"
        )
    learned = [one for one in told if one.world not in hold_out and one.others]
    if not learned:
        raise UsageError("no incident to learn from", way_out="hold out fewer worlds")
    started = time.monotonic()
    origin = reader.CauseMiniLM(start).name if start else "MiniLM"
    student = _Student(recipe.seed, start)
    before = student.weights()
    _learn(student, learned, recipe, progress)
    student.mix(before, recipe.share)
    held = [one for one in told if one.world in hold_out]
    numbers = student.measured(held) if held else None
    student.save(out, release)
    card = _card(release, origin, learned, held, numbers, recipe, (time.monotonic() - started) / 60)
    (out / "README.md").write_text(card, encoding="utf8")
    return numbers


class _Student:
    """MiniLM's layers, and what turns a vector into log-odds."""

    def __init__(self, seed: int, start: Path | None) -> None:
        import torch

        own = reader.read_weights(start) if start else {}
        torch.manual_seed(seed)
        # Opened for reading, and left so: drawing dropout takes two of five seconds, and few passes learn nothing by heart.
        self.network, self.tokenizer = open_minilm()
        self.network.requires_grad_(True)
        self.network.embeddings.word_embeddings.weight.requires_grad_(False)
        self.weight = torch.nn.Parameter(torch.randn(self.network.config.hidden_size) * 0.02)
        self.bias = torch.nn.Parameter(torch.full((1,), -1.0))
        if own:
            self.weight.data = own.pop(reader.ODDS_WEIGHT).float() / _SCALE
            self.bias.data = own.pop(reader.ODDS_BIAS).float()
            self.network.load_state_dict({_TOKENS: self.network.state_dict()[_TOKENS], **apart(own)})

    def odds(self, page: str, changes: Sequence[Change]) -> Any:
        """The log-odds of each change, with gradients."""
        told = [reader.tell_change(change) for change in changes]
        ids = reader.joined(self.tokenizer, reader.tell_page(page), told)
        with half_precision():
            vectors = bert_vectors(self.network, *batched(ids))
        return _SCALE * (vectors @ self.weight) + self.bias

    def weights(self) -> list[Any]:
        """Copies of all weights that are learned, always in the same order."""
        return [weight.detach().clone() for weight in self._learned()]

    def mix(self, before: Sequence[Any], share: float) -> None:
        """Take so much of the weights as they are, and the rest of those of before."""
        for weight, old in zip(self._learned(), before, strict=True):
            weight.data.mul_(share).add_(old, alpha=1 - share)

    @property
    def layers(self) -> list[Any]:
        """The weights of the network that are learned."""
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    def _learned(self) -> list[Any]:
        return [*self.layers, self.weight, self.bias]

    def measured(self, told: Sequence[Told]) -> Numbers:
        """How it does on incidents."""
        import torch

        right: list[bool] = []
        heights: dict[bool, list[float]] = {True: [], False: []}
        for one in told:
            with torch.no_grad():
                odds = self.odds(one.page, [*([one.culprit] if one.culprit else []), *one.others])
            heights[one.culprit is not None].append(float(torch.logsumexp(odds, 0)))
            if one.culprit:
                right.append(int(odds.argmax()) == 0)
        pairs = [a > b for a in heights[True] for b in heights[False]]
        return Numbers(incidents=len(told), first=sum(right) / max(1, len(right)), area=sum(pairs) / max(1, len(pairs)))

    def save(self, folder: Path, release: str) -> None:
        """Write what `ranking.cause.reader.CauseMiniLM` reads: all but the token vectors, in bfloat16."""
        import torch
        from safetensors.torch import save_file

        own = {name: value for name, value in self.network.state_dict().items() if name != _TOKENS}
        layers = {name: value.to(torch.bfloat16).contiguous() for name, value in joined_weights(own).items()}
        odds = {reader.ODDS_WEIGHT: _SCALE * self.weight.detach(), reader.ODDS_BIAS: self.bias.detach()}
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: v for name, v in (layers | odds).items() if v.is_floating_point()}, folder / reader.WEIGHTS)
        # safetensors writes a file that only its owner may read; whoever runs the bot must.
        (folder / reader.WEIGHTS).chmod(0o644)
        config = {"rundown_release": release, "rundown_sha256": digest_of(folder / reader.WEIGHTS)}
        (folder / reader.CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf8")


def _learn(student: _Student, told: Sequence[Told], recipe: Recipe, progress: Progress | None) -> None:
    """Train a student in place."""
    import torch

    layers = student.layers
    groups = [(layers, recipe.rate), ([student.weight, student.bias], recipe.odds_rate)]
    optimizer = torch.optim.AdamW([{"params": weights, "lr": rate} for weights, rate in groups], weight_decay=0.01)
    draw, steps = random.Random(recipe.seed), recipe.epochs * max(1, len(told) // recipe.incidents)
    worlds: dict[str, list[Told]] = {}
    for one in told:
        worlds.setdefault(one.world, []).append(one)
    order: list[Told] = []
    for step in range(steps):
        if len(order) < recipe.incidents:
            order = draw.sample(list(told), len(told))
        share = min(1.0, (step + 1) / recipe.warmup) * max(recipe.floor, 1 - step / steps)
        for group, (_, rate) in zip(optimizer.param_groups, groups, strict=True):
            group["lr"] = rate * share
        for one in [order.pop() for _ in range(min(recipe.incidents, len(order)))]:
            others = draw.sample(one.others, min(recipe.others, len(one.others)))
            stranger = draw.choice(draw.choice(worlds[one.world]).others)
            odds = student.odds(one.page, [*([one.culprit] if one.culprit else []), *others, stranger])
            chances = torch.log_softmax(torch.cat([odds, torch.zeros(1)]), 0)
            loss = -chances[0 if one.culprit else -1] / recipe.incidents
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(layers, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if progress:
            progress("learning causes", step + 1, steps)


def _card(
    release: str,
    origin: str,
    learned: Sequence[Told],
    held: Sequence[Told],
    numbers: Numbers | None,
    recipe: Recipe,
    minutes: float,
) -> str:
    def row(world: str, count: int, did: int, use: str) -> str:
        return f"| {world} | {use} | {count} | {did} |"

    rows = []
    for told, use in ((learned, "learned"), (held, "held out, measured only")):
        counts = Counter(one.world for one in told)
        rows += [row(w, counts[w], sum(bool(o.culprit) for o in told if o.world == w), use) for w in sorted(counts)]
    found = (
        f"Of {numbers.incidents} incidents held out, each among its own commits, the culprit has the highest odds in {numbers.first:.3f} of those that a "
        f"commit did; the area that tells these from the others by all odds together is {numbers.area:.3f}."
        if numbers
        else "Nothing was held out of this training; `docs/ranking.md` tells what the reader that ships found in worlds it had not seen."
    )
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            "---",
            "",
            f"# {release}: would this change explain this page?",
            "",
            "Trained by Rundown: the six layers of MiniLM (all-MiniLM-L6-v2, Apache License 2.0), which read a page and a change as one text. Its token",
            "vectors are not in this folder, they stay the carried package's. A unit vector times `odds.weight`, plus `odds.bias`, is the log-odds.",
            "",
            "## Data",
            "",
            "Incidents and the commits around them, each world by another writer.",
            "",
            "| world | | incidents | a commit did |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Numbers",
            "",
            found,
            "",
            "## Recipe",
            "",
            f"From {origin} on. {recipe.epochs} passes, {recipe.incidents} incidents an update, {recipe.others} of their other commits and one of another incident; AdamW, highest rate {recipe.rate:g} "
            f"({recipe.odds_rate:g} for the odds), warm-up {recipe.warmup} updates, then linear to {recipe.floor:.0%}; {recipe.share:.0%} of the result and the rest of what it started from; seed {recipe.seed}; {minutes:.0f} minutes. Cross-entropy over the commits and 'none'.",
            "",
        ]
    )
