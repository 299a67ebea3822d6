"""The one page that an address names, among all that look like it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from retrieval_world import EMBEDDER, at, fill, piece

from core.access import PUBLIC, Audience
from core.model import Tier
from retrieval.chunk import Chunk
from retrieval.index import EdgeIndex, VectorIndex
from retrieval.places import place_keys, which_page
from retrieval.retriever import Retriever

RUNBOOK = "https://github.com/openshift/runbooks/blob/master/alerts/KubeAPIDown.md"
OURS = "https://github.com/openshift/runbooks/tree/main/alerts/KubeAPIDown.md"
FORK = "https://github.com/acme/runbooks/blob/main/alerts/KubeAPIDown.md"
MOVED = "https://github.com/openshift/runbooks/blob/main/v2/alerts/KubeAPIDown.md"
SITE = "https://runbooks.example.com/alerts/KubeAPIDown"
NAME = "alerts/KubeAPIDown.md"


@pytest.fixture(name="edge")
def _edge(tmp_path: Path) -> Iterator[VectorIndex]:
    opened = EdgeIndex(tmp_path / "index")
    yield opened
    opened.close()


def page(source: str, url: str | None, text: str = "Restart it.", **changes: object) -> Chunk:
    return piece(NAME, text, source=source, url=url, **changes)


@pytest.mark.parametrize(
    ("named", "held", "expected"),
    [
        (RUNBOOK, [FORK, OURS], 1),
        (RUNBOOK, [OURS, FORK], 0),
        (RUNBOOK, [OURS, OURS], 0),
        (RUNBOOK, [FORK], 0),
        (RUNBOOK, [FORK, MOVED], 1),
        (RUNBOOK, [FORK, None], None),
        (RUNBOOK, [FORK, "https://github.com/other/docs/blob/main/alerts/KubeAPIDown.md"], None),
        (SITE, [FORK, "https://runbooks.example.com/v2/alerts/kubeapidown.html"], 1),
        (SITE, [None, None], None),
        ("https://wiki.example/KubeAPIDown", [None], None),
        (RUNBOOK, [], None),
        ("", [OURS], None),
    ],
    ids=[
        "the same page beats the same path",
        "in any order",
        "held twice, either will do",
        "the only one of that path",
        "the same repository decides",
        "two of that path, no telling",
        "the same forge decides nothing",
        "the same site decides",
        "no addresses",
        "a name alone",
        "nothing held",
        "no address",
    ],
)
def test_an_address_names_one_page_or_none(named: str, held: list[str | None], expected: int | None):
    """The strongest proof decides; where it fits several pages alike, nothing is guessed."""
    keys = [(*place_keys(url or ""), *place_keys(NAME)) for url in held]

    assert which_page(named, keys) == expected


@pytest.mark.parametrize("ours", ["git:/a", "git:/b", "git:/c", "git:/d", "git:/e"])
def test_a_rule_speaks_for_the_page_of_its_own_repository(edge: VectorIndex, ours: str):
    """Whatever order the engine lists the two in: ids are made of names."""
    rule = piece(
        "rules.yaml#KubeAPIDown",
        "Alert KubeAPIDown: the apiserver answers nobody",
        tier=Tier.ALERT,
        runbook_url=RUNBOOK,
    )
    others = [piece(f"{number}.md", f"page {number}") for number in range(30)]
    fill(edge, rule, page(ours, OURS), page(f"{ours}-fork", FORK), page("git:/0", FORK), *others)

    found = Retriever(edge, EMBEDDER).search("the apiserver answers nobody", tiers=(Tier.RUNBOOK,))

    assert found[0].url == OURS


def test_a_named_page_is_read_whole_and_within_the_bounds(edge: VectorIndex):
    """Its sections in reading order; nothing to whom it is closed, before it was there, or of another tier."""
    facts = {"readers": ("group:sre",), "updated_at": at("2026-01-01T10:00:00"), "of": 2}
    parts = [
        page("git:/a", OURS, text, number=number, **facts) for number, text in enumerate(("Meaning", "Mitigation"))
    ]
    fill(edge, *parts, page("git:/b", FORK))
    retriever, sre = Retriever(edge, EMBEDDER), Audience.of(("group:sre",))

    read = [
        [item.text for item in retriever.named(RUNBOOK, **bounds)]
        for bounds in (
            {"audience": sre, "before": at("2026-01-02T00:00:00"), "tiers": (Tier.RUNBOOK,)},
            {"audience": sre, "before": at("2026-01-01T00:00:00")},
            {"audience": sre, "tiers": (Tier.WIKI,)},
            {"audience": Audience.of()},
        )
    ]

    assert (read, retriever.named("", audience=sre)) == ([["Meaning", "Mitigation"], ["Restart it."], [], []], [])


def test_a_page_that_may_not_be_read_names_its_likeness_no_more_than_any_other(edge: VectorIndex):
    """Out of scope it is as if it were not held: the only page of that path left is most likely the one."""
    fill(edge, page("git:/a", OURS, readers=("group:sre",)), page("git:/b", FORK))

    assert [item.url for item in Retriever(edge, EMBEDDER).named(RUNBOOK, audience=PUBLIC)] == [FORK]
