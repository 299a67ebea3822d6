"""What each part of the culprit ranking is worth: fitted without it, on folds that were held out.

    python -m benchmarks.ablation --cases CASES.jsonl … --repo [NAME=]PATH … --kept DIR

Does: measure each case once (kept in DIR), fit the weights to three folds, rank the fourth; print Top-1, Top-5, MRR of the
whole, of features whose weights nobody learned, and of each group of features left out, with the paired difference to the
whole and its 95 % interval (bootstrap over incidents).
Does not: write weights (`benchmarks.fit_ranker`), or know which repositories the small Llama was trained on: cases of those
flatter it, so give it others (its card says which).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.measured import Blameless, Sample, held_out, in_folds, measure, place_of, scores
from core.errors import RundownError
from ranking import reasons
from ranking.evaluation import Evaluation, Outcome, paired_difference
from ranking.features import is_page
from ranking.history import History, open_histories
from ranking.labels.cases import read_labelled, with_whole_ids
from ranking.meaning import open_readers
from ranking.ranker import Ranker
from ranking.scorer import read_weighing

GROUPS: dict[str, tuple[str, ...]] = {
    "the small Llama": ("closeness",),
    "MiniLM": ("likeness",),
    "both readers": ("closeness", "likeness"),
    "changed lines": ("hunk", "message_and_lines", "name_lines", "phrase"),
    "words side by side": ("side_by_side",),
    "words of the message": ("words_place", "subject", "name_message"),
    "paths": ("paths", "file", "folder"),
    "what a file's other commits say": ("path_history",),
    "which repository": reasons.GROUPS["repository"],
    "time": reasons.GROUPS["time"],
    "kind and size of change": ("files",),  # and every kind_…
    "owners": reasons.GROUPS["owner"],
    "past culprits in the same place": reasons.GROUPS["history"],
    "what came after it": ("already_reverted", "changed_again", "repaired_since", "named_since"),
}
METRICS = ("top1", "top5", "mrr")


def main() -> None:
    """Measure, fit without each group, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    args = parser.parse_args()
    samples = read(args)
    features = sorted(read_weighing().weights)
    console, found = Console(width=130), variants(samples, features)
    for group in dict.fromkeys(sample.group for sample in samples):
        console.print(table(group, found))
    console.print(f"{len(samples)} cases, {len(features)} features; weights always fitted to all sets together.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What measuring needs."""
    parser.add_argument("--cases", type=Path, action="append", required=True, metavar="CASES.jsonl")
    parser.add_argument("--repo", action="append", required=True, metavar="[NAME=]PATH")
    parser.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    parser.add_argument("--kept", type=Path, required=True, help="where measured candidates are kept")


def read(args: argparse.Namespace, *, blameless: Blameless | None = None) -> list[Sample]:
    """The samples of all files, in folds; those with a culprit, or the same incidents without theirs."""
    try:
        histories, gaps = open_histories(args.repo, home=args.home)
        ranker = Ranker(histories, readers=open_readers())
        for gap in (*gaps, *ranker.refresh()):
            print(gap)
        return in_folds({path.stem: _measured(ranker, histories, path, args.kept, blameless) for path in args.cases})
    except RundownError as error:
        raise SystemExit(f"benchmarks: {error}") from None


def _measured(
    ranker: Ranker, histories: Sequence[History], path: Path, kept: Path, blameless: Blameless | None
) -> list[Sample]:
    cases = with_whole_ids(read_labelled(path, ranker.repos), histories)
    if blameless:  # only a page may be no commit's fault: who asks about the last so many knows that one did it
        cases = [case for case in cases if is_page(case.window_commits, case.service)]
    return measure(ranker, cases, kept / "-".join(filter(None, (path.stem, blameless))), blameless=blameless)


def variants(samples: Sequence[Sample], features: Sequence[str]) -> dict[str, dict[str, Evaluation]]:
    """What is compared -> set of cases -> its figures, the whole first."""
    kinds = tuple(feature for feature in features if feature.startswith("kind_"))
    found = {
        "all, learned": judged(samples, learned(samples, features)),
        "all, weights not learned": judged(samples, unlearned(samples, features)),
    }
    for name, group in GROUPS.items():
        out = (*group, *(kinds if "kind" in name else ()))
        found[f"without {name}"] = judged(samples, learned(samples, features, out))
    return found


def learned(
    samples: Sequence[Sample], features: Sequence[str], out: Collection[str] = ()
) -> Callable[[Sample], NDArray[np.float64]]:
    """Scores by weights fitted to the other folds, with some features left out."""
    shipped = read_weighing()
    by_hand = {feature: weight for feature, weight in shipped.by_hand.items() if feature not in out}
    left = [feature for feature in features if feature not in out]
    weights = held_out(samples, left, shipped.model_copy(update={"by_hand": by_hand}))
    return lambda sample: scores(sample, weights[sample.fold])


def unlearned(samples: Sequence[Sample], features: Sequence[str]) -> Callable[[Sample], NDArray[np.float64]]:
    """The sum of all features that are about the incident's words and its time, each scaled to unit variance: no label used."""
    chosen = [f for f in features if not f.startswith("kind_") and f not in _NOT_FOR]
    spread = np.concatenate([sample.matrix(chosen) for sample in samples]).std(axis=0)
    spread[spread == 0] = np.inf
    return lambda sample: (sample.matrix(chosen) / spread).sum(axis=1)


#: Features of which more is not plainly more suspicious.
_NOT_FOR = ("files", "owns_files", "already_reverted", "changed_again", "named_since")


def judged(samples: Sequence[Sample], score: Callable[[Sample], NDArray[np.float64]]) -> dict[str, Evaluation]:
    """The figures of each set; equal scores count against the culprit."""
    found: dict[str, list[Outcome]] = {}
    for sample in samples:
        if sample.culprit is not None:
            place = place_of(score(sample), sample.culprit)
            found.setdefault(sample.group, []).append(Outcome(place=place))
    return {group: Evaluation(tuple(outcomes)) for group, outcomes in found.items()}


def table(group: str, found: Mapping[str, Mapping[str, Evaluation]]) -> Table:
    """The figures of one set of cases, each beside its difference to the first."""
    whole = next(iter(found.values()))[group]
    drawn = Table(title=f"{group}: {whole.n} cases, held out")
    drawn.add_column("")
    for metric in METRICS:
        drawn.add_column(metric.upper(), justify="right")
    drawn.add_column("MRR, difference to all [95 %]", justify="right")
    for name, figures in found.items():
        difference = paired_difference(figures[group], whole, "mrr")
        told = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
        drawn.add_row(
            name, *(f"{figures[group].value(metric):.3f}" for metric in METRICS), told if name != "all, learned" else ""
        )
    return drawn


if __name__ == "__main__":
    main()
