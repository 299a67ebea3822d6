"""A retriever of LlamaIndex's in the place of our search: what it may choose, and what it may not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from past_world import ASKED, past_of, record
from retrieval_world import EMBEDDER, at, fill, piece

from core.access import PUBLIC, Audience
from core.errors import IndexUnavailable
from core.model import Tier
from retrieval.answering import ANSWERS
from retrieval.chunk import Chunk, Scope, View, allows, piece_id
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex, VectorIndex
from retrieval.llamaindex import as_llama_retriever
from retrieval.named_retriever import LlamaIndexRetriever, Look, OwnSearch
from retrieval.retriever import CONSIDERED, Retriever
from retrieval.similar import find_similar

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:Payload indexes have no effect:UserWarning"
)

DISK = piece("runbooks/disk.md", "Delete old log segments of the broker.")
POOL = piece("wiki/pool.md", "Postgres connections are used up.", tier=Tier.WIKI)
LEAVE = piece("wiki/leave.md", "Maple leaves turn red.", tier=Tier.WIKI)
LATER = piece("runbooks/later.md", "Broker log, as of May.", updated_at=at("2026-05-01T10:00:00"))
SECRET = piece("runbooks/secret.md", "Broker log keys.", readers=("C-private",))
ALL = (DISK, POOL, LEAVE, LATER, SECRET)
BEFORE = at("2026-04-01T00:00:00")


@pytest.fixture(name="edge", scope="module")
def _edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    index = EdgeIndex(tmp_path_factory.mktemp("named") / "index")
    fill(index, *ALL)
    yield index
    index.close()


class Asking(BaseRetriever):
    """Does with our search what a function says."""

    def __init__(self, retriever: BaseRetriever, ask: Callable[[BaseRetriever, str], list[NodeWithScore]]) -> None:
        super().__init__()
        self.retriever, self._do = retriever, ask

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._do(self.retriever, query_bundle.query_str)


def around(own: Retriever, ask: Callable[[BaseRetriever, str], list[NodeWithScore]]) -> LlamaIndexRetriever:
    def build(look: Look) -> Asking:
        return Asking(as_llama_retriever(OwnSearch(look)), ask)

    return LlamaIndexRetriever(own, build, "our.Asking")


def nodes(*ids: str) -> list[NodeWithScore]:
    """As an engine of one's own gives them, with a text and a score that are not ours."""
    return [NodeWithScore(node=TextNode(id_=one, text="anybody may read this"), score=0.99) for one in ids]


def naming(own: Retriever, *ids: str) -> LlamaIndexRetriever:
    return around(own, lambda *_: nodes(*ids))


def test_it_may_rewrite_what_is_asked(edge: VectorIndex):
    """What is found for its words is as likely, and as related, as if they had been asked."""
    own = Retriever(edge, EMBEDDER)
    rewriting = around(own, lambda ours, text: ours.retrieve(text.replace("pg", "postgres connections")))

    (found,), (asked,) = rewriting.look("pg", limit=1), own.look("postgres connections", limit=1)

    assert (found.evidence, found.related, found.placed_by) == (asked.evidence, True, "our.Asking")
    assert own.search("pg", floor=True) == []


@pytest.mark.parametrize("texts", [("pg", "postgres connections"), ("postgres connections", "pg")])
def test_of_two_texts_that_it_asks_the_better_rating_counts(edge: VectorIndex, texts: tuple[str, str]):
    """Whichever it asks first."""
    own = Retriever(edge, EMBEDDER)

    def ask(ours: BaseRetriever, _: str) -> list[NodeWithScore]:
        return [node for text in texts for node in ours.retrieve(text) if node.node.node_id == POOL.id]

    (found,), (asked,) = around(own, ask).look("pg"), own.search("postgres connections", limit=1)

    assert (found.evidence, found.related) == (asked, True)


def test_its_order_holds_and_a_score_never_rises(edge: VectorIndex):
    """The first one's is its own, and what was surer is at most as sure behind it."""
    own = Retriever(edge, EMBEDDER)
    text = "delete old log segments of the broker"
    straight, turned = own.look(text), around(own, lambda ours, text: ours.retrieve(text)[::-1]).look(text)
    scores = [item.evidence.score for item in turned]

    assert [item.standing.key for item in turned] == [item.standing.key for item in reversed(straight)]
    assert scores == [straight[-1].evidence.score] * len(straight)
    assert straight[0].evidence.score > ANSWERS


def test_it_gets_more_than_are_wanted(tmp_path: Path):
    """Who may choose three of three chooses nothing."""
    index, given = EdgeIndex(tmp_path / "index"), []
    fill(index, *(piece(f"{number}.md", f"broker {number}") for number in range(40)))

    def last(ours: BaseRetriever, text: str) -> list[NodeWithScore]:
        given.extend(ours.retrieve(text))
        return given[-1:]

    (found,) = around(Retriever(index, EMBEDDER), last).search("broker", limit=3)
    index.close()

    assert (len(given), found.id) == (CONSIDERED, given[-1].node.node_id)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, [DISK, LATER]),
        ({"before": BEFORE}, [DISK]),
        ({"audience": Audience.of(("C-private",))}, [SECRET, DISK, LATER]),
        ({"audience": Audience.of(("C-private",), ())}, [DISK, LATER]),
        ({"audience": Audience.of()}, []),
        ({"tiers": (Tier.WIKI,)}, []),
    ],
    ids=["everyone", "before", "a private channel", "one who may not read it", "nobody", "tiers"],
)
def test_what_may_not_be_shown_is_left_out_whatever_it_names(
    edge: VectorIndex, bounds: dict[str, Any], expected: list[Chunk]
):
    """Who may read a piece, and when it was written, the index says. What is not in it has no text of ours."""
    unknown = piece_id("folder:/docs", "runbooks/gone.md", 0)
    found = naming(Retriever(edge, EMBEDDER), SECRET.id, unknown, "7", DISK.id, "", LATER.id).search("broker", **bounds)

    assert [(item.id, item.text) for item in found] == [(chunk.id, chunk.text) for chunk in expected]


@pytest.mark.parametrize(
    "bounds", [{"before": BEFORE}, {"audience": Audience.of(("C-private",))}, {"tiers": (Tier.WIKI,)}]
)
def test_our_search_within_it_has_the_same_bounds(edge: VectorIndex, bounds: dict[str, Any]):
    """So it neither sends elsewhere what may not be read, nor has to know the bounds."""
    given: list[str] = []

    def ask(ours: BaseRetriever, text: str) -> list[NodeWithScore]:
        found = ours.retrieve(text)
        given.extend(item.node.node_id for item in found)
        return found

    own = Retriever(edge, EMBEDDER)
    around(own, ask).search("broker log", **bounds)

    assert given == [item.id for item in own.search("broker log", limit=CONSIDERED, **bounds)]


@pytest.mark.parametrize(
    "scope", [{}, {"before": BEFORE}, {"tiers": (Tier.WIKI,)}, {"document": (DISK.source, DISK.doc_id)}]
)
@pytest.mark.parametrize("audience", [PUBLIC, Audience.of(("C-private",)), Audience.of()])
def test_a_piece_read_by_its_id_is_bounded_as_one_that_is_searched_for(
    index: VectorIndex, scope: dict[str, Any], audience: Audience
):
    """Over both engines: `allows` says of each what the engine's filter says."""
    fill(index, *ALL)
    bounds = Scope(audience=audience, **scope)
    (seen,) = index.search([View(by="meaning", vector=tuple(EMBEDDER.embed_query("broker")))], bounds)

    allowed = [chunk.id for chunk in index.pieces([chunk.id for chunk in ALL]) if allows(bounds, chunk)]
    assert sorted(item.piece for item in seen) == sorted(allowed)


def test_what_it_finds_by_itself_is_rated_as_ours_is(edge: VectorIndex):
    """What our ways of looking list too has their standing, and what none of them lists is told by how near it is in meaning."""
    own = Retriever(edge, EMBEDDER)
    text = "delete old log segments of the broker"
    first, second = naming(own, DISK.id, LEAVE.id).look(text)
    (asked,) = own.look(text, limit=1)

    assert (first.evidence.id, round(first.closeness, 6), first.related) == (DISK.id, round(asked.closeness, 6), True)
    assert first.evidence.score > ANSWERS
    assert (second.evidence.id, second.related, second.evidence.score < ANSWERS / 2) == (LEAVE.id, False, True)


def test_what_none_of_our_ways_lists_is_rated_by_its_vector(tmp_path: Path):
    """Far down among many, it is in no view's list."""
    index = EdgeIndex(tmp_path / "index")
    fill(index, *(piece(f"{number}.md", f"broker disk {number}") for number in range(150)), LEAVE)
    (found,) = naming(Retriever(index, EMBEDDER), LEAVE.id).look("broker disk")
    index.close()
    vectors = EMBEDDER.embed_query("broker disk"), EMBEDDER.embed_query(f"{LEAVE.title}\n{LEAVE.text}")

    assert found.standing.voices == ()
    assert found.closeness == pytest.approx(sum(one * other for one, other in zip(*vectors, strict=True)), abs=1e-6)


def test_a_document_stands_once_by_the_piece_that_it_chose(tmp_path: Path):
    """Also where ours would have chosen another."""
    index = EdgeIndex(tmp_path / "index")
    parts = [
        piece("disk.md", text, number=number, of=2) for number, text in enumerate(("broker disk full", "see also"))
    ]
    fill(index, *parts)
    own = Retriever(index, EMBEDDER)
    found = naming(own, parts[1].id, parts[0].id, parts[1].id).search("broker disk full")
    ours = own.search("broker disk full")
    index.close()

    assert ([item.id for item in found], [item.id for item in ours]) == ([parts[1].id], [parts[0].id])


def fail(ours: BaseRetriever, text: str) -> list[NodeWithScore]:
    raise TimeoutError("no answer in 5 s")


@pytest.mark.parametrize("ask", [fail, lambda *_: None, lambda *_: ["disk"]], ids=["raises", "nothing", "no nodes"])
def test_one_that_fails_leaves_the_search_to_ours(
    edge: VectorIndex, ask: Callable[..., Any], caplog: pytest.LogCaptureFixture
):
    """A page does not wait for it, and who reads the log knows."""
    own = Retriever(edge, EMBEDDER)

    assert around(own, ask).look("broker log", limit=2, before=BEFORE) == own.look("broker log", limit=2, before=BEFORE)
    assert "the retriever our.Asking failed" in caplog.text


def test_an_index_that_cannot_be_used_is_told_all_the_same(edge: VectorIndex):
    """With the class asking ours, and without."""
    other = Retriever(edge, HashEmbedder(32))
    for retriever in (around(other, lambda ours, text: ours.retrieve(text)), naming(other, DISK.id)):
        with pytest.raises(IndexUnavailable, match=r"hash-512.*hash-32"):
            retriever.search("disk")


def in_a_thread(ours: BaseRetriever, text: str) -> list[NodeWithScore]:
    found: list[NodeWithScore] = []
    thread = threading.Thread(target=lambda: found.extend(ours.retrieve(text)))
    thread.start()
    thread.join()
    return found


def in_a_task(ours: BaseRetriever, text: str) -> list[NodeWithScore]:
    return asyncio.run(ours.aretrieve(text))


@pytest.mark.parametrize(("ask", "finds"), [(in_a_thread, False), (in_a_task, True)])
def test_without_bounds_our_search_finds_nothing(
    edge: VectorIndex, ask: Callable[..., list[NodeWithScore]], finds: bool, caplog: pytest.LogCaptureFixture
):
    """A task has those of the search that made it. A bare thread has none, and neither has what asks when nobody searches."""
    kept: list[BaseRetriever] = []
    named = around(Retriever(edge, EMBEDDER), lambda ours, text: kept.append(ours) or ask(ours, text))
    found = named.search("broker", audience=Audience.of(("C-private",)))

    assert (bool(found), kept[0].retrieve("broker")) == (finds, [])
    assert "finds nothing" in caplog.text


def test_similar_incidents_are_counted_by_ours(tmp_path: Path):
    """How often it happened before must not hang on what a class leaves out."""
    with past_of(tmp_path / "past", record("P1", "2026-05-01T10:00:00+00:00")) as past:
        ours, named = past.ask(), find_similar(naming(past.retriever), ASKED, audience=PUBLIC)

    assert (named, [item.title for item in named.incidents]) == (ours, ["[FIRING:2] Checkout answers 503 on web-1"])


@pytest.mark.parametrize("text", ["", "  \n"])
def test_nothing_is_asked_for_nothing(edge: VectorIndex, text: str):
    """As with ours."""
    assert naming(Retriever(edge, EMBEDDER), DISK.id).search(text) == []


def test_what_says_the_same_is_folded_in_its_order(tmp_path: Path):
    """The one that it puts first stays."""
    index, words = (
        EdgeIndex(tmp_path / "index"),
        "broker disk is full so delete the old segments and restart it at once now",
    )
    twins = [piece(f"{name}.md", words) for name in "ab"]
    fill(index, *twins)
    (found,) = naming(Retriever(index, EMBEDDER), twins[1].id, twins[0].id).look(words, fold=True)
    index.close()

    assert (found.evidence.id, [twin.id for twin in found.alike]) == (twins[1].id, [twins[0].id])
