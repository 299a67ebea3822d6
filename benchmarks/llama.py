"""How fast a Llama votes on culprits on this machine, beside counting words.

    python -m benchmarks.llama --model FOLDER_OR_ID [--adapter FOLDER_OR_ID] [--candidates 20] [--pool 200] [--votes 5]

Does: vote on made-up candidates of a usual length several times, hold one election of a whole pool, and print seconds,
tokens a second and the time to load.
Does not: say how good the votes are: `benchmarks.ranking` does, on labelled incidents.
"""

from __future__ import annotations

import argparse
import statistics
import time

from ranking.llama import CulpritModel, LlamaVoter, Prompt, WordModel, arrangements, elect
from ranking.llama.voter import find_training

_BUDGET_S = 3600.0
_LINE = "{:<32}{:>9}{:>12}{:>11}{:>11}{:>13}"
_WORDS = (
    "timeout",
    "retry",
    "pool",
    "connection",
    "cache",
    "queue",
    "limit",
    "deploy",
    "schema",
    "index",
    "worker",
    "page",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Seconds a vote takes.")
    parser.add_argument("--model", required=True, help="a causal language model: folder or hub id")
    parser.add_argument("--adapter", help="its LoRA adapter: folder or hub id")
    parser.add_argument("--candidates", type=int, default=20, help="candidates of one vote (20 at most)")
    parser.add_argument("--pool", type=int, default=200, help="candidates of the election in rounds")
    parser.add_argument("--votes", type=int, default=5, help="votes to take the median of")
    args = parser.parse_args()
    voter = LlamaVoter(args.model, adapter=args.adapter)
    read = tokens_read(args.model, args.adapter, args.candidates)
    print(f"{args.candidates} candidates, {read} tokens read for a vote")
    print(_LINE.format("model", "load s", "tokens/s", "vote s", "slowest s", f"{args.pool} elect s"))
    for model, tokens in ((voter, read), (WordModel(), 0)):
        print(measured(model, tokens, args.candidates, args.pool, args.votes))


def made_up(count: int) -> tuple[str, list[str]]:
    """An incident of 60 words, and candidates of as many."""
    incident = " ".join(_WORDS * 5)
    return incident, [
        f"shop | Change the {_WORDS[number % 12]} {number} | src/{_WORDS[number % 7]}/{number}.py | {incident}"
        for number in range(count)
    ]


def tokens_read(model: str, adapter: str | None, count: int) -> int:
    """Tokens of one vote: the incident once, the list in each arrangement."""
    from transformers import AutoConfig, AutoTokenizer

    from ranking.llama import ARRANGEMENTS, Layout

    trained = find_training(adapter or model)
    incident, candidates = made_up(count)
    room = AutoConfig.from_pretrained(model).max_position_embeddings
    prompt = Prompt(
        AutoTokenizer.from_pretrained(model),
        trained[0] if trained else Layout(),
        room,
        incident=incident,
        candidates=candidates,
    )
    return len(prompt.start) + sum(len(prompt.arranged(order)) for order in arrangements(candidates, ARRANGEMENTS))


def measured(model: CulpritModel, tokens: int, count: int, pool: int, votes: int) -> str:
    """One line of the table."""
    incident, candidates = made_up(max(count, pool))
    started = time.monotonic()
    model.vote(incident, candidates[:2], budget_s=_BUDGET_S)
    loaded = time.monotonic() - started
    seconds = []
    for turn in range(votes):
        started = time.monotonic()
        model.vote(f"{turn} {incident}", candidates[:count], budget_s=_BUDGET_S)
        seconds.append(time.monotonic() - started)
    started = time.monotonic()
    elect(model, incident, candidates[:pool], budget_s=_BUDGET_S)
    elected = time.monotonic() - started
    middle = statistics.median(seconds)
    speed = f"{tokens / middle:,.0f}" if tokens else "-"
    return _LINE.format(model.name, f"{loaded:.1f}", speed, f"{middle:.4f}", f"{max(seconds):.4f}", f"{elected:.2f}")


if __name__ == "__main__":
    main()
