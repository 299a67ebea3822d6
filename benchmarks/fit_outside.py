"""Learns which words of an incident tell of a cause that is no commit.

    python -m benchmarks.fit_outside --reports CASES.jsonl [--write]

Does: read texts of both kinds from `learning/outside.jsonl`, and reports of incidents that commits did cause; fit; show how it
does in a world of texts that it did not see; with --write put what it learned into `ranking/outside.json`.
Does not: decide how much the words count beside the ranking's own signs (`ranking/weights.json`).

The texts were written for this by language models, an `outside` and a `commit` one alike in vocabulary, in twelve worlds of trade;
how, `learning/LOG.md` tells; beside them bare titles of everyday alerts, which tell of nothing. The reports come from public histories, so that a developer's prose is no sign of anything.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking import outside
from ranking.outside import OutsideWords

TEXTS = Path(__file__).parents[1] / "learning" / "outside.jsonl"
#: A word that fewer texts hold says nothing; how freely weights move; what a report counts beside a text; how many are read.
_LEAST, _FREEDOM, _REPORT_WEIGHT, _REPORTS = 3, 16.0, 0.3, 1500
#: Log odds at which the shares are told.
_AT = (0.0, 1.0, 2.0)


def main() -> None:
    """Fit, report, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, default=TEXTS, help="lines of world, outside, title and description")
    parser.add_argument("--reports", type=Path, required=True, help="case lines of incidents that commits caused")
    parser.add_argument("--write", action="store_true", help="put what is learned into ranking/outside.json")
    args = parser.parse_args()
    rows = _lines(args.texts)
    texts, truth = [_text(row) for row in rows], np.array([bool(row["outside"]) for row in rows])
    worlds = np.array([row["world"] for row in rows])
    reports = [_text(row) for row in _lines(args.reports)]
    reports = [reports[place] for place in np.random.default_rng(0).permutation(len(reports))[:_REPORTS]]
    odds = held_out(texts, truth, worlds, reports)
    notes = report(odds, truth, worlds, len(reports))
    if args.write:
        found = fit(texts, truth, reports).model_copy(update={"notes": notes})
        outside.SHIPPED.write_text(found.model_dump_json() + "\n", encoding="utf8")


def held_out(
    texts: Sequence[str], truth: NDArray[np.bool_], worlds: NDArray[np.str_], reports: Sequence[str]
) -> NDArray[np.float64]:
    """The log odds of each text by what was learned from the other worlds' texts."""
    odds = np.zeros(len(texts))
    for world in sorted(set(worlds)):
        learned = fit([texts[place] for place in np.flatnonzero(worlds != world)], truth[worlds != world], reports)
        odds[worlds == world] = [learned.odds(texts[place]) for place in np.flatnonzero(worlds == world)]
    return odds


def fit(texts: Sequence[str], truth: NDArray[np.bool_], reports: Sequence[str]) -> OutsideWords:
    """What texts of both kinds teach; the reports count as caused by commits."""
    from scipy.sparse import diags, vstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    reader = TfidfVectorizer(analyzer=outside.terms, sublinear_tf=True, min_df=_LEAST, norm=None).fit(texts)
    rows = vstack([reader.transform(texts), reader.transform(reports)])
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows = diags(1 / np.maximum(lengths, outside.LEAST_LENGTH)) @ rows
    weights = np.r_[np.ones(len(texts)), np.full(len(reports), _REPORT_WEIGHT)]
    model = LogisticRegression(C=_FREEDOM, max_iter=3000)
    model.fit(rows, np.r_[truth, np.zeros(len(reports), bool)], sample_weight=weights)
    terms = {
        term: (round(float(reader.idf_[place]), 3), round(float(model.coef_[0][place]), 3))
        for term, place in sorted(reader.vocabulary_.items())
    }
    return OutsideWords(constant=round(float(model.intercept_[0]), 4), terms=terms, notes={})


def report(
    odds: NDArray[np.float64], truth: NDArray[np.bool_], worlds: NDArray[np.str_], reports: int
) -> dict[str, Any]:
    """Print how it does in worlds it did not see; the same for the file."""
    from sklearn.metrics import roc_auc_score

    whole = float(roc_auc_score(truth, odds))
    print(
        f"{len(truth)} texts, {len(set(worlds))} worlds, {reports} reports; held out: area under the curve {whole:.3f}"
    )
    shares = {}
    for at in _AT:
        known, mistaken = float((odds > at)[truth].mean()), float((odds > at)[~truth].mean())
        print(f"  log odds over {at:g}: {known:.2f} of the outside ones, {mistaken:.2f} of the others")
        shares[f"over {at:g}"] = [round(known, 3), round(mistaken, 3)]
    for world in sorted(set(worlds)):
        own = worlds == world
        area = (
            f"area {roc_auc_score(truth[own], odds[own]):.3f}"
            if truth[own].any()
            else f"over 0: {(odds[own] > 0).mean():.2f}"
        )
        print(f"  {world:24s} {own.sum():4d} texts, {area}")
    return {"texts": len(truth), "reports": reports, "held_out_area": round(whole, 4), "held_out_shares": shares}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines() if line.strip()]


def _text(row: dict[str, Any]) -> str:
    return f"{row['title']}\n{row.get('description') or ''}"


if __name__ == "__main__":
    main()
