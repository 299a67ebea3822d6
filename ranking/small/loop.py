"""One pass of a training: steps under a budget, with checkpoints that are gone on from.

Does: turn losses into updates, lower the learning rate as the budget goes, keep the state on disk.
Does not: know what the loss is of.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UsageError
from ranking.ranker import Progress
from ranking.small.card import Stage


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a training or a pass may go on: in minutes or in steps."""

    minutes: float | None = None
    steps: int | None = None

    @classmethod
    def of(cls, minutes: float | None, steps: int | None) -> Budget:
        """The budget given.

        Raises:
            UsageError: both or none are given, or nothing of it.
        """
        given = [value for value in (minutes, steps) if value is not None]
        if len(given) != 1 or not (given[0] > 0 and math.isfinite(given[0])):
            raise UsageError("a training needs minutes or steps, more than 0 of one of the two")
        return cls(minutes=minutes, steps=steps)

    def part(self, share: float) -> Budget:
        """A share of it."""
        if self.steps is not None:
            return Budget(steps=round(self.steps * share))
        return Budget(minutes=(self.minutes or 0.0) * share)

    @property
    def nothing(self) -> bool:
        """Whether there is none left to spend."""
        return not (self.minutes or self.steps)

    def spent(self, step: int, seconds: float) -> float:
        """How much of it is spent, 0 to 1 and over."""
        return step / self.steps if self.steps is not None else seconds / (60 * (self.minutes or 1.0))

    def told(self, step: int, seconds: float) -> tuple[int, int]:
        """The same as done and to do: steps, or seconds."""
        return (step, self.steps) if self.steps is not None else (int(seconds), int(60 * (self.minutes or 0.0)))


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What one pass does."""

    name: str
    budget: Budget
    #: The highest learning rate, the share of it that is left at the end, and the steps it takes to get there.
    rate: float
    floor: float
    warmup: int
    #: Steps between two checkpoints.
    checkpoint: int
    #: A batch for each step, the same each time.
    batches: Iterator[Any]
    #: (batch, share of the budget that is spent) -> the loss.
    loss: Callable[[Any, float], Any]

    def rate_at(self, step: int, share: float) -> float:
        """Up in a line, then down in half a cosine (Loshchilov and Hutter 2017)."""
        fall = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        return self.rate * min(1.0, (step + 1) / max(1, self.warmup)) * fall


def run_pass(model: Any, what: Pass, work: Path, progress: Progress | None) -> Stage:
    """Train a model in place; go on from the checkpoint of this pass if there is one, be done at once if it is finished.

    Args:
        work: folder for checkpoints.
        progress: told (pass, done, to do).
    """
    import torch

    kept = work / f"{what.name.replace(' ', '-')}.pt"
    optimizer = torch.optim.AdamW(model.parameters(), lr=what.rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    step, spent, losses = _resumed(kept, model, optimizer)
    begun = time.monotonic() - spent
    model.train()
    for batch in itertools.islice(what.batches, step, None):
        spent = time.monotonic() - begun
        share = what.budget.spent(step, spent)
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = what.rate_at(step, share)
        loss = what.loss(batch, share)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        step += 1
        if step % what.checkpoint == 0:
            _keep(kept, model, optimizer, step, time.monotonic() - begun, losses)
        if progress:
            progress(what.name, *what.budget.told(step, time.monotonic() - begun))
    model.eval()
    _keep(kept, model, optimizer, step, spent, losses)
    tenth = max(1, len(losses) // 10)
    first, last = (sum(part) / len(part) if part else None for part in (losses[:tenth], losses[-tenth:]))
    return Stage(name=what.name, steps=step, minutes=round(spent / 60, 2), first_loss=first, last_loss=last)


def _keep(file: Path, model: Any, optimizer: Any, step: int, seconds: float, losses: list[float]) -> None:
    """Write a checkpoint; a kill while it is written leaves the one before."""
    import torch

    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state | {"step": step, "seconds": seconds, "losses": losses}, file.with_suffix(".new"))
    os.replace(file.with_suffix(".new"), file)


def _resumed(file: Path, model: Any, optimizer: Any) -> tuple[int, float, list[float]]:
    """Steps done, seconds spent and losses seen; the model and optimizer as they were then."""
    import torch

    if not file.is_file():
        return 0, 0.0, []
    state = torch.load(file, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"]), list(state["losses"])
