"""The cases that were read, mined again out of a pool of repositories."""

from __future__ import annotations

import json
import sys

import pytest
from ranking_repos import Change, add

from benchmarks import read_pool

WHY = "Checkout answers 500 for every second customer, and the workers crash when sockets pile up."


@pytest.fixture(name="pool")
def _pool(make_repo):
    """Two repositories, in one of which two changes were reverted with the same reason; the paths and the reverts' ids."""
    web, _ = make_repo("web", [Change(hours=300, message="Begin", files={"a.py": "1\n"})])
    shop, (one, two) = make_repo(
        "shop",
        [
            Change(hours=50, message="pool: keep idle connections", files={"pool.py": "keep = 1\n"}),
            Change(hours=40, message="cart: count twice", files={"cart.py": "count = 2\n"}),
        ],
    )
    reverts = [
        Change(
            hours=hours, message=f'Revert "it"\n\nThis reverts commit {sha}.\n\n{WHY}', files={file: "\n"}, author="bob"
        )
        for hours, sha, file in ((5, one, "pool.py"), (4, two, "cart.py"))
    ]
    return (web, shop), add(shop, reverts, onto=two), one


def test_a_pools_kept_cases_are_mined_again(pool, tmp_path, monkeypatch, capsys):
    """Those alone, with every repository of the pool; what is missing is counted."""
    (web, shop), (first, second), culprit = pool
    labels, out = tmp_path / "labels.tsv", tmp_path / "cases.jsonl"
    rows = [
        "pool\tid\tdecision",
        f"openstack\tshop:{first[:12]}\tkeep",
        f"openstack\tshop:{second[:12]}\tdrop",
        "openstack\telsewhere:0123456789ab\tkeep",
        f"wikimedia-production\tshop:{second[:12]}\tkeep",
    ]
    labels.write_text("\n".join(rows) + "\n", encoding="utf8")
    given = ["--repo", str(web), "--repo", str(shop), "--out", str(out), "--labels", str(labels)]
    monkeypatch.setattr(sys, "argv", ["read_pool", "--pool", "openstack", *given, "--home", str(tmp_path / "home")])
    read_pool.main()

    (case,) = (json.loads(line) for line in out.read_text(encoding="utf8").splitlines())
    assert (case["id"], case["repos"], case["culprits"]) == (f"shop:{first[:12]}", ["web", "shop"], [culprit])
    assert "1 cases written" in capsys.readouterr().out


def test_the_labels_that_ship_are_whole():
    """Each pool has some of both, no case was read twice, and each decision is one of the two."""
    with read_pool.LABELS.open(encoding="utf8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][1:]

    assert len({case for _, case, _ in rows}) == len(rows)
    assert {(pool, decision) for pool, _, decision in rows} == {
        (pool, decision) for pool in read_pool.POOLS for decision in ("keep", "drop")
    }
