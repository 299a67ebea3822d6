"""Texts for continued pre-training, and how they are packed.

Does: give the commit messages of histories as they stood at a moment; take secrets out; put texts into blocks of a fixed
number of tokens.
Does not: run the training (`ranking.llama.stage`), or find documents: runbooks and wiki pages come as plain texts.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.errors import UsageError
from core.redaction import redact
from ranking.history import History
from ranking.llama.prompt import describe

_STRETCH = timedelta(days=90)
#: A text longer than this is a data file, not prose.
_LONGEST = 100_000


def commit_texts(histories: Sequence[History], *, before: datetime) -> Iterator[str]:
    """Every commit as a candidate is described, with the rest of its message, newest first.

    Args:
        histories: indexed repositories.
        before: a commit made then or later is not told. A model that is measured on incidents must not have read
            what came after the first of them.
    """
    for history in histories:
        end = before
        while last := history.last_commits_before(end, 1):
            start = last[0].committed_at - _STRETCH
            for commit in history.commits_between(start, end):
                yield f"{describe(commit)}{commit.body[300:]}"
            end = start


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Texts as blocks of tokens."""

    blocks: list[list[int]]
    #: Blocks of texts that are kept aside, to measure perplexity on.
    aside: list[list[int]]
    texts: int
    digest: str


def pack(texts: Iterable[str], tokenizer: Any, *, block: int, aside: float) -> Packed:
    """Texts end to end, a mark between them, cut into blocks; only the last block may be shorter.

    Args:
        texts: each is read once, so a generator will do.
        tokenizer: of `transformers`.
        block: tokens of one block.
        aside: the share of texts kept aside, chosen by what they say.

    Raises:
        UsageError: a block of fewer than 8 tokens.
    """
    if block < 8:
        raise UsageError(f"cannot pack texts into blocks of {block} tokens", why="nothing can be learned from them")
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.bos_token_id
    learned, watched, digest, count = array("i"), array("i"), hashlib.sha256(), 0
    for text in texts:
        clean = redact(text[:_LONGEST]).strip()
        if not clean:
            continue
        count += 1
        own = hashlib.sha256(clean.encode()).digest()
        digest.update(own)
        tokens = tokenizer.encode(clean, add_special_tokens=False, split_special_tokens=True)
        target = watched if own[0] < 256 * aside else learned
        target.extend([*tokens, end] if end is not None else tokens)
    return Packed(blocks=_cut(learned, block), aside=_cut(watched, block), texts=count, digest=digest.hexdigest()[:16])


def _cut(tokens: array[int], block: int) -> list[list[int]]:
    blocks = [tokens[start : start + block].tolist() for start in range(0, len(tokens), block)]
    return [one for one in blocks if len(one) > 1]
