"""Learns which words of an incident tell of a cause that is no commit, and which are those of a page and not of a repair.

    python -m benchmarks.fit_words --reports CASES.jsonl [--write]

Does: read pages of both kinds from `learning/outside.jsonl`, and reports of incidents that commits did cause, in the words of their
repairs; fit; show how it does on texts that it did not see; with --write put what it learned into `ranking/outside.json` and `ranking/paged.json`.
Does not: decide how much the words count beside the ranking's own signs (`ranking/weights.json`).

The pages were written for this by language models, an `outside` and a `commit` one alike in vocabulary, in twenty-one worlds of trade;
how, `learning/LOG.md` tells; beside them bare titles of everyday alerts, which tell of nothing, and incidents of suites, for whose words
nobody says whether they tell of the cause (`outside` is null): these are pages only. The reports come from public histories, so that a developer's prose is no sign of anything.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking import outside, paged
from ranking.word_odds import LEAST_LENGTH, WordOdds, terms

TEXTS = Path(__file__).parents[1] / "learning" / "outside.jsonl"
#: Of causes: a word that fewer texts hold says nothing; how freely weights move; what a report counts beside a text; how many are read.
_LEAST, _FREEDOM, _REPORT_WEIGHT, _REPORTS = 3, 16.0, 0.3, 1500
#: The same of pages and repairs, where all reports are read and both sides count alike.
_LEAST_PAGED, _FREEDOM_PAGED = 8, 4.0
#: Log odds at which the shares are told.
_AT = (0.0, 1.0, 2.0)


def main() -> None:
    """Fit, report, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, default=TEXTS, help="lines of world, outside, title and description")
    parser.add_argument("--reports", type=Path, required=True, help="case lines of incidents that commits caused")
    parser.add_argument(
        "--write", action="store_true", help="put what is learned into ranking/outside.json and paged.json"
    )
    args = parser.parse_args()
    rows, cases = _lines(args.texts), _lines(args.reports)
    judged = [row for row in rows if row["outside"] is not None]
    truth, worlds = np.array([row["outside"] for row in judged], bool), np.array([row["world"] for row in judged])
    some = [_text(cases[place]) for place in np.random.default_rng(0).permutation(len(cases))[:_REPORTS]]
    print("causes that are no commit")
    causes = _learn(
        [*map(_text, judged), *some],
        np.r_[truth, np.zeros(len(some), bool)],
        np.r_[worlds, [""] * len(some)],
        fit_outside,
    )
    print("pages, and not repairs")
    told = np.r_[np.ones(len(rows), bool), np.zeros(len(cases), bool)]
    # A repair's world is its project; each text is judged by what the others' worlds taught.
    where = np.r_[[row["world"] for row in rows], [str((case.get("repos") or ["?"])[0]) for case in cases]]
    style = _learn([*map(_text, rows), *map(_text, cases)], told, where, fit_paged)
    if args.write:
        for found, file in ((causes, outside.SHIPPED), (style, paged.SHIPPED)):
            file.write_text(found.model_dump_json() + "\n", encoding="utf8")


Fit = Callable[[Sequence[str], NDArray[np.bool_], NDArray[np.str_]], WordOdds]


def _learn(texts: Sequence[str], truth: NDArray[np.bool_], worlds: NDArray[np.str_], fit: Fit) -> WordOdds:
    """What all texts teach, with notes on how well those of the other worlds did; a text without a world is only learned from."""
    odds = held_out(texts, truth, worlds, fit)
    judged = worlds != ""
    notes = report(odds[judged], truth[judged], worlds[judged])
    return fit(texts, truth, worlds).model_copy(update={"notes": notes})


def held_out(texts: Sequence[str], truth: NDArray[np.bool_], worlds: NDArray[np.str_], fit: Fit) -> NDArray[np.float64]:
    """The log odds of each text by what was learned from the other worlds' texts."""
    odds = np.zeros(len(texts))
    for world in sorted({*worlds} - {""}):
        others = np.flatnonzero(worlds != world)
        learned = fit([texts[place] for place in others], truth[others], worlds[others])
        for place in np.flatnonzero(worlds == world):
            odds[place] = learned.odds(texts[place]) or 0.0
    return odds


def fit_outside(texts: Sequence[str], truth: NDArray[np.bool_], worlds: NDArray[np.str_]) -> WordOdds:
    """What tells of a cause that is no commit; reports, which have no world, count less, and none of their words is learned."""
    own = [text for text, world in zip(texts, worlds, strict=True) if world]
    return _logit(texts, truth, np.where(worlds == "", _REPORT_WEIGHT, 1.0), own, _LEAST, _FREEDOM)


def fit_paged(texts: Sequence[str], truth: NDArray[np.bool_], worlds: NDArray[np.str_]) -> WordOdds:
    """What tells pages from repairs."""
    weights = np.where(truth, 0.5 / max(1, truth.sum()), 0.5 / max(1, (~truth).sum())) * len(truth)
    return _logit(texts, truth, weights, texts, _LEAST_PAGED, _FREEDOM_PAGED)


def _logit(
    texts: Sequence[str],
    truth: NDArray[np.bool_],
    weights: NDArray[np.float64],
    vocabulary: Sequence[str],
    least: int,
    freedom: float,
) -> WordOdds:
    from scipy.sparse import diags
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    reader = TfidfVectorizer(analyzer=terms, sublinear_tf=True, min_df=least, norm=None).fit(vocabulary)
    rows = reader.transform(texts)
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows = diags(1 / np.maximum(lengths, LEAST_LENGTH)) @ rows
    model = LogisticRegression(C=freedom, max_iter=3000).fit(rows, truth, sample_weight=weights)
    said = {
        term: (round(float(reader.idf_[place]), 3), round(float(model.coef_[0][place]), 3))
        for term, place in sorted(reader.vocabulary_.items())
    }
    return WordOdds(constant=round(float(model.intercept_[0]), 4), terms=said, notes={})


def report(odds: NDArray[np.float64], truth: NDArray[np.bool_], worlds: NDArray[np.str_]) -> dict[str, Any]:
    """Print how it does in worlds it did not see; the same for the file."""
    from sklearn.metrics import roc_auc_score

    whole = float(roc_auc_score(truth, odds))
    print(f"{len(truth)} texts, {len(set(worlds))} worlds; held out: area under the curve {whole:.3f}")
    shares = {}
    for at in _AT:
        known, mistaken = float((odds > at)[truth].mean()), float((odds > at)[~truth].mean())
        print(f"  log odds over {at:g}: {known:.2f} of those, {mistaken:.2f} of the others")
        shares[f"over {at:g}"] = [round(known, 3), round(mistaken, 3)]
    for world in sorted(set(worlds)):
        own = worlds == world
        both = truth[own].any() and not truth[own].all()
        area = f"area {roc_auc_score(truth[own], odds[own]):.3f}" if both else f"over 0: {(odds[own] > 0).mean():.2f}"
        print(f"  {world:24s} {own.sum():4d} texts, {area}")
    return {"texts": len(truth), "held_out_area": round(whole, 4), "held_out_shares": shares}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines() if line.strip()]


def _text(row: dict[str, Any]) -> str:
    return f"{row['title']}\n{row.get('description') or ''}"


if __name__ == "__main__":
    main()
