"""Texts into sparse vectors of words, with identifiers taken apart.

Does: keep each identifier whole and add its parts (`core.words`), so that `kube_pod_container_status` and
"KubePodCrashLooping" meet in "kube" and "pod"; weigh words by BM25; give them in reading order (`stems`); say identifiers as a
person would (`spoken`, `gist`).
Does not: weigh rare words up; Qdrant does, by the documents it holds (its IDF modifier).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from itertools import chain
from typing import Any

from core.words import split_identifiers

#: Part of what identifies a vector space: raise it when the same text would give other numbers.
VERSION = "words-1"
#: Mean number of words of a piece, and of a name, after taking apart; over 1,480 operations documents. BM25 weighs
#: longer texts down and shorter ones up from there.
_PIECE, _NAME = 93.0, 16.0
#: Longer texts are cut: an alert may hold a megabyte.
_MAX_CHARS = 20_000
#: A name as short as `v1` or `ec2` is shared by chance.
_TELLING = 5


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """A sparse vector: word ids, and the weight of each."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


def spoken(text: str) -> str:
    """The text with its identifiers as a person would say them: `KubePodNotReady` becomes "kube pod not ready"."""
    return re.sub(r"\w+", lambda run: " ".join(_parts(run[0])), text)


def gist(text: str) -> str:
    """What a question is about, for a model of meaning: its words in order, each once, without signs.

    A query expression repeats its labels and is half operators, which drown the few words that say something.
    """
    words = (part.lower() for run in re.findall(r"\w+", text[:_MAX_CHARS]) for part in _parts(run))
    return " ".join(dict.fromkeys(words))


def identifiers(text: str, among: frozenset[str] | None = None) -> frozenset[str]:
    """The names in a text that are made of several parts, lower-case: metrics, alerts, hosts, error codes.

    Args:
        among: only these, which is sooner told.
    """
    text = text[:_MAX_CHARS]
    if among is not None:
        lowered = text.lower()
        among = frozenset(name for name in among if name in lowered)
        if not among:  # as of nearly every page: no need to take it apart
            return among
    runs = re.findall(r"[^\W\d_]+-\d+|\w+", text)
    if among is not None:
        runs = [run for run in runs if run.lower() in among]
    return frozenset(run.lower() for run in runs if len(run) >= _TELLING and ("-" in run or len(_parts(run)) > 1))


def encode_piece(text: str) -> Sparse:
    """The words of a piece with their BM25 weights (Robertson and Zaragoza 2009; k 1.2, b 0.75), without IDF."""
    return _sparse(_bm25(_PIECE).embed_document(_taken_apart(text)))


def encode_name(text: str) -> Sparse:
    """The words of a title and path, weighed the same way."""
    return _sparse(_bm25(_NAME).embed_document(_taken_apart(text)))


def encode_query(text: str) -> Sparse:
    """The words of a question, each once with weight 1."""
    return _sparse(_bm25(_PIECE).embed_query(_taken_apart(text)))


def stems(text: str) -> list[int]:
    """The ids of its words in reading order, identifiers as their parts alone; stop words have none."""
    return list(chain.from_iterable(map(_stems_of, re.findall(r"\w+", text[:_MAX_CHARS]))))


@functools.lru_cache(maxsize=1 << 15)
def _stems_of(run: str) -> tuple[int, ...]:
    return tuple(stem for part in _parts(run) for stem in encode_query(part).indices)


def _parts(run: str) -> list[str]:
    """What an identifier is made of; a plain word is itself."""
    found = split_identifiers(run)
    return found[1:] if len(found) > 1 else [run]


def _taken_apart(text: str) -> str:
    return " ".join(split_identifiers(text[:_MAX_CHARS]))


@functools.cache
def _bm25(mean_words: float) -> Any:
    from qdrant_edge import Bm25, Bm25Config, TokenizerType

    return Bm25(Bm25Config(language="english", tokenizer=TokenizerType.Whitespace, avg_len=mean_words))


def _sparse(vector: Any) -> Sparse:
    return Sparse(indices=tuple(vector.indices), values=tuple(vector.values))
