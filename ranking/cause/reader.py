"""The cause reader at work: a page and a change in, log-odds that the one caused the other out.

Does: check the weights' digest; read both texts as one with MiniLM's layers, trained anew for this.
Does not: train (`ranking.cause.training`), or choose what is read (`ranking.ranker`).

What two texts have to do with each other shows only to who reads both at once (cross-encoder; Nogueira and Cho 2019). Compared as two
vectors, a commit that mentions a symptom is closer to it than the one that brings it about.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from core.errors import ModelUnavailable
from core.minilm import best_precision, carried, embed
from core.once import Once
from ranking.small.network import digest_of, encode
from ranking.small.texts import plain

FOLDER = Path(__file__).parent / "weights"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
#: Tokens of a page and of a change that are read together, and characters of each part that are looked at; of one place's lines there
#: are at most `ranking.diffs.CHANGES_LIMIT`.
PAGE_TOKENS, CHANGE_TOKENS = 100, 224
_PAGE_LIMIT, _BODY_LIMIT, _LINES_LIMIT = 700, 200, 900
_UNSIGNED = str.maketrans("+-", "  ")
#: What turns a vector into log-odds.
ODDS_WEIGHT, ODDS_BIAS = "odds.weight", "odds.bias"


class Change(BaseModel):
    """A commit as it is read."""

    model_config = ConfigDict(frozen=True)

    subject: str
    #: Of the place that changed.
    path: str
    body: str = ""
    #: Added and removed lines, with signs.
    lines: str = ""
    #: The commit's id: not read, it is for who must know whose change it is.
    sha: str = ""


class CauseReader(Protocol):
    """Anything that can say whether changes would explain a page."""

    @property
    def name(self) -> str:
        """What to call it in a release."""
        ...

    def odds(self, page: str, changes: Sequence[Change]) -> list[float]:
        """The log-odds of each change, in their order, whatever the others are; 0: as likely as that no commit did it.

        Raises:
            ModelUnavailable: its weights cannot be used.
        """
        ...


class WordCauses:
    """The fake: a change explains a page if a changed line holds one of its words. Instant, no weights.

    Args:
        failure: raised instead of an answer.
    """

    name = "word-causes"

    def __init__(self, failure: ModelUnavailable | None = None) -> None:
        self._failure = failure

    def odds(self, page: str, changes: Sequence[Change]) -> list[float]:
        """See `CauseReader.odds`."""
        if self._failure:
            raise self._failure
        wanted = set(page.lower().split())
        lines = [change.lines.lower().translate(_UNSIGNED) for change in changes]
        return [3.0 if wanted & set(text.split()) else -3.0 for text in lines]


class CauseMiniLM:
    """The model in a folder, on the token vectors of the carried MiniLM; loaded at the first use. Safe to share between threads.

    Args:
        folder: config.json and model.safetensors, as `ranking.cause.training` writes them.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._parts = Once(self._load)

    @property
    def name(self) -> str:
        """The name its config carries; its folder's when that cannot be read, which a ranking then tells as a gap."""
        try:
            return str(_config(self._folder)["rundown_release"])
        except (ModelUnavailable, KeyError):
            return self._folder.name

    def odds(self, page: str, changes: Sequence[Change]) -> list[float]:
        """See `CauseReader.odds`."""
        if not changes:
            return []
        tokenizer, weights, scale, bias = self._parts()
        vectors = embed(weights, joined(tokenizer, tell_page(page), [tell_change(change) for change in changes]))
        return [bias + sum(a * b for a, b in zip(vector, scale, strict=True)) for vector in vectors]

    def _load(self) -> tuple[Any, dict[str, Any], list[float], float]:
        try:
            import torch

            own = read_weights(self._folder)
            scale, bias = own.pop(ODDS_WEIGHT).float().tolist(), float(own.pop(ODDS_BIAS))
            kind = getattr(torch, best_precision())
            tokenizer, base = carried()
            weights = base | {name: value.to(kind) for name, value in own.items()}
            embed(weights, [tokenizer.encode("what is missing shows now").ids])
            return tokenizer, weights, scale, bias
        except ModelUnavailable:
            raise
        except Exception as error:  # damaged weights raise their library's own
            raise _unusable(self._folder, str(error)) from error


def read_weights(folder: Path) -> dict[str, Any]:
    """The weights of a reader as they were written: its layers, `core.minilm.joined`, and the two that turn a vector into log-odds.

    Raises:
        ModelUnavailable: they are missing, damaged, or not those its config speaks of.
    """
    config, file = _config(folder), folder / WEIGHTS
    try:
        digest = digest_of(file)
        if digest != config["rundown_sha256"]:
            raise _unusable(folder, f"{file} has SHA-256 {digest[:12]}…, not the one in {CONFIG}")
        from safetensors.torch import load_file

        return load_file(file)
    except ModelUnavailable:
        raise
    except Exception as error:  # damaged weights raise their library's own
        raise _unusable(folder, str(error)) from error


def tell_page(text: str) -> str:
    """A page as it is read: its first line, which is its title, and the others."""
    title, _, rest = text.partition("\n")
    return " ".join(f"{title} . {rest}".split())[:_PAGE_LIMIT]


def tell_change(change: Change) -> str:
    """A change as it is read: subject, path, message, lines."""
    lines = " ".join(line.strip() for line in change.lines.split("\n"))[:_LINES_LIMIT]
    return f"{change.subject} . {change.path} . {plain(change.body)[:_BODY_LIMIT]} . {lines}"


def joined(tokenizer: Any, page: str, changes: Sequence[str]) -> list[list[int]]:
    """Token ids of the page with each change behind it; each of the two is cut, and closed by the token that closes a text."""
    (first,) = encode(tokenizer, [page], PAGE_TOKENS)
    return [[*first, *ids[1:]] for ids in encode(tokenizer, changes, CHANGE_TOKENS)]


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise _unusable(folder, str(error)) from error
    if not isinstance(found, dict) or not found.get("rundown_sha256"):
        raise _unusable(folder, f"{CONFIG} is not that of a model that Rundown wrote")
    return found


def _unusable(folder: Path, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"cannot load the cause reader in {folder}",
        why=why,
        way_out="install Rundown again, or name a folder that a training wrote; until then pages are ranked without it",
    )
