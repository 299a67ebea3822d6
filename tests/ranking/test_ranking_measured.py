"""The measured incidents that weights are fitted to: with their culprit, and without."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ranking_repos import NOON, Change

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are scripts beside the packages

from benchmarks import fit_ranker, measured
from benchmarks.measured import Sample, in_folds, measure
from core.errors import UsageError
from ranking.history import open_history
from ranking.labels.cases import Labelled
from ranking.ranker import Ranker
from ranking.scorer import Weighing


def _sample(at: float, *repos: str, candidates: int = 1) -> Sample:
    case = Labelled(id=f"a:{at}", title="down", created_at=at, culprits=("1",), repos=repos)
    return Sample(case=case, places={}, numbers=np.zeros((candidates, 0), np.float32), culprit=0)


@pytest.mark.parametrize(
    ("blameless", "candidates", "culprit"), [(None, "3210", 2), ("before", "10", None), ("removed", "310", None)]
)
def test_an_incident_can_be_shown_without_its_culprit(blameless, candidates, culprit, make_repo, home, tmp_path):
    """Taken out, its forerunners and what came after it stay; a moment before it, only what there was. Kept, it is the same."""
    changes = [Change(hours=9 - n, message=f"Change {n}", files={f"{n}.py": "x = 1\n"}) for n in range(4)]
    path, shas = make_repo("shop", changes)
    history = open_history(path, home=home)
    history.refresh()
    case = Labelled(id="a:1", title="it is down", created_at=NOON.timestamp(), culprits=(shas[2],), repos=("shop",))
    first, again = (measure(Ranker([history]), [case], tmp_path, blameless=blameless)[0] for _ in range(2))
    with np.load(tmp_path / "a_1.npz") as kept:
        order = "".join(str(shas.index(sha)) for sha in kept["shas"])

    assert (order, first.culprit if first.culprit is None else int(order[first.culprit])) == (candidates, culprit)
    assert first.numbers.tolist() == again.numbers.tolist()
    assert [sample.group for sample in in_folds({"own": [first]})] == ["own"]


def test_tables_of_other_features_are_not_used(make_repo, home, tmp_path, monkeypatch):
    """Code that measures otherwise, or nobody knows which code: refused, until the folder is emptied or marked by hand."""
    path, shas = make_repo("shop", [Change(hours=9, message="Change", files={"a.py": "x = 1\n"})])
    history = open_history(path, home=home)
    history.refresh()
    case = Labelled(id="a:1", title="it is down", created_at=NOON.timestamp(), culprits=(shas[0],), repos=("shop",))
    measure(Ranker([history]), [case], tmp_path / "kept")
    monkeypatch.setattr(measured, "code", lambda: "other")

    with pytest.raises(UsageError, match=r"measured by other code.*empty it"):
        measure(Ranker([history]), [case], tmp_path / "kept")
    (tmp_path / "kept" / "code.txt").unlink()
    with pytest.raises(UsageError, match=r"by nobody knows which code.*write other into"):
        measure(Ranker([history]), [case], tmp_path / "kept")

    (tmp_path / "kept" / "code.txt").write_text("other\n")
    assert len(measure(Ranker([history]), [case], tmp_path / "kept")) == 1


def test_the_mark_of_the_code_hangs_on_what_measures():
    """The same from run to run, and of code that is there."""
    assert measured.code() == measured.code()
    assert all((measured.RANKING / f"{name}.py").exists() for name in measured.OTHER)


def test_weights_are_not_written_under_the_name_of_older_ones(monkeypatch, capsys):
    """Whoever writes them names them, before hours of measuring."""
    asked = ["fit_ranker", "--cases", "none.jsonl", "--repo", "none", "--kept", "none", "--write"]
    monkeypatch.setattr(sys, "argv", asked)

    with pytest.raises(SystemExit):
        fit_ranker.main()
    assert "--write needs --release" in capsys.readouterr().err


def test_pools_are_split_at_the_same_moments():
    """Incidents of one time are of one fold, whichever set they are of; single repositories are held out whole."""

    found = in_folds(
        {
            "page": [_sample(at, "shop", "api") for at in (1, 2, 3, 4)],
            "others": [_sample(at, "shop", "api") for at in (1.5, 3.5, 3.6, 3.7)],
            "alone": [_sample(at, name) for at, name in ((1, "curl"), (9, "git"), (5, "curl"))],
        }
    )

    assert [(one.group, one.case.created_at, one.fold) for one in found] == [
        *(("page", 1, 0), ("page", 2, 1), ("page", 3, 1), ("page", 4, 3)),
        *(("others", 1.5, 0), ("others", 3.5, 2), ("others", 3.6, 2), ("others", 3.7, 3)),
        *(("alone", 1, 0), ("alone", 5, 0), ("alone", 9, 1)),
    ]


def test_a_pool_counts_as_more_than_a_repository(monkeypatch):
    """Each place by the root of its incidents, a single repository half: nine of one and four of a pool weigh 1.5 to 2."""
    weights = {}

    def fit_weights(lessons):
        weights.update({len(lesson.features): lesson.weight for lesson in lessons})
        return np.zeros(0)

    monkeypatch.setattr(measured.fit, "fit_weights", fit_weights)
    # How many candidates each has tells which is which.
    alone = [replace(_sample(at, "shop", candidates=2), group="alone") for at in range(1, 10)]
    pooled = [replace(_sample(at, "shop", "api", candidates=3), group="page") for at in range(1, 5)]
    measured.fitted([*alone, *pooled], [], Weighing(release="a", weights={}))

    assert 9 * weights[2] / (4 * weights[3]) == pytest.approx(1.5 / 2)
