"""The contract of a vector index, over both engines."""

from __future__ import annotations

import pytest
from retrieval_world import EMBEDDER, SPACE, at, fill, piece, with_vectors

from core.access import PUBLIC, Audience
from core.errors import IndexUnavailable
from core.model import Tier
from retrieval.chunk import Scope, View
from retrieval.fusion import fuse
from retrieval.index import VectorIndex
from retrieval.places import place_keys
from retrieval.sparse import encode_query

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

EVERYONE = Scope(audience=PUBLIC)


def found(index: VectorIndex, text: str, scope: Scope = EVERYONE, **view: str) -> list[str]:
    """Ids of documents found by words and by meaning, in the order of both together."""
    views = [
        View(by="meaning", vector=tuple(EMBEDDER.embed_query(text)), **view),
        View(by="words", vector=encode_query(text), **view),
    ]
    return [item.doc_id for item in fuse(views, index.search(views, scope, limit=10))]


def test_an_index_that_was_never_filled_is_empty_and_answers(index: VectorIndex):
    """Searching, counting, listing and forgetting before anything was stored finds nothing and fails at nothing."""
    index.delete("folder:/docs", "a.md")

    assert (found(index, "disk"), index.count(), index.digests("s"), index.space(), index.pieces(["0" * 32])) == (
        [], 0, {}, None, [],
    )  # fmt: skip


def test_what_was_stored_comes_back_as_it_was(index: VectorIndex):
    """Every fact of a piece survives the index."""
    stored = piece(
        "wiki/disk.md",
        "Clean the disk with `df -h`.\n",
        number=1,
        of=2,
        section=("Diagnosis", "Disk"),
        tier=Tier.WIKI,
        url="https://wiki.example/disk",
        service="checkout",
        updated_at=at("2026-01-02T03:04:05.678901"),
        occurred_at=at("2025-12-31T23:59:59"),
        reviewed_at=at("2026-01-01T00:00:00"),
        runbook_url="https://wiki.example/runbook",
        readers=("C1", "ops"),
    )
    fill(index, stored)

    ((seen,),) = index.search([View(by="words", vector=encode_query("disk"))], Scope(audience=Audience.of(("ops",))))
    (chunk,) = index.pieces([seen.piece])

    assert (chunk, seen.document) == (stored, ("folder:/docs", "wiki/disk.md"))


def test_both_ways_of_looking_are_fused(index: VectorIndex):
    """A document that words and meaning both put first comes before one that only one of them finds."""
    fill(
        index,
        piece("a.md", "The disk of the broker is full: delete old segments of the log."),
        piece("b.md", "Certificates expire: renew them."),
        piece("c.md", "Segments"),
    )

    assert found(index, "broker disk full, delete segments")[0] == "a.md"


def test_a_document_is_found_by_its_name(index: VectorIndex):
    """The name's vector holds title and id, with identifiers taken apart."""
    fill(index, piece("x/KubePodCrashLooping.md", "See below."), piece("x/other.md", "See below."))

    (seen,) = index.search([View(by="name", vector=encode_query("kube_pod_restarts"))], EVERYONE)

    assert [item.doc_id for item in seen] == ["x/KubePodCrashLooping.md"]


AUDIENCES = {
    PUBLIC: ["everyone.md"],
    Audience.of(("C1",)): ["channel.md", "everyone.md", "two.md"],
    Audience.of(("C2", "group:ops")): ["everyone.md", "two.md"],
    Audience.of(("C1",), ("C2",)): ["everyone.md", "two.md"],
    Audience.of(("C1",), ("user:guest@example.org",)): ["everyone.md"],
    Audience.of(): [],
}


def test_a_document_is_seen_only_where_everyone_may_read_it(index: VectorIndex):
    """Each of the audience must be a reader, by any of their principals; a document that names none is seen by nobody."""
    fill(
        index,
        piece("everyone.md", "disk"),
        piece("channel.md", "disk", readers=("C1",)),
        piece("two.md", "disk", readers=("C1", "C2")),
        piece("nobody.md", "disk", readers=()),
    )

    assert {who: sorted(found(index, "disk", Scope(audience=who))) for who in AUDIENCES} == AUDIENCES


def test_tiers_and_services_bound_what_is_seen(index: VectorIndex):
    """A tier bounds the whole search, a service one way of looking."""
    fill(
        index,
        piece("r.md", "disk", service="checkout"),
        piece("w.md", "disk", tier=Tier.WIKI),
        piece("i.md", "disk", tier=Tier.PAST_INCIDENT, service="search"),
    )
    tiers = Scope(audience=PUBLIC, tiers=(Tier.RUNBOOK, Tier.WIKI))

    assert (sorted(found(index, "disk", tiers)), found(index, "disk", service="checkout"), found(index, "disk", Scope(audience=PUBLIC, tiers=()))) == (
        ["r.md", "w.md"], ["r.md"], [],
    )  # fmt: skip


#: Asked as of 12:00 on 1 March 2026: what a document tells of its times, and whether it is seen.
TIMES = {
    "tells none": ({}, True),
    "happened a second before": ({"occurred_at": at("2026-03-01T11:59:59")}, True),
    "happened then": ({"occurred_at": at("2026-03-01T12:00:00")}, False),
    "happened a day after": ({"occurred_at": at("2026-03-02T00:00:00")}, False),
    "changed a second before": ({"updated_at": at("2026-03-01T11:59:59")}, True),
    "changed then": ({"updated_at": at("2026-03-01T12:00:00")}, False),
    "changed before, elsewhere": ({"updated_at": at("2026-03-01T12:00:00+02:00")}, True),
    "happened before, changed after": (
        {"occurred_at": at("2025-01-01T00:00:00"), "updated_at": at("2026-03-05T00:00:00")},
        False,
    ),
    "changed before, happened after": (
        {"occurred_at": at("2026-03-05T00:00:00"), "updated_at": at("2025-01-01T00:00:00")},
        False,
    ),
}


def test_nothing_from_the_future_is_seen(index: VectorIndex):
    """Asked as of a time, a document that happened or changed at or after it does not exist yet."""
    fill(index, *(piece(name, "disk", tier=Tier.PAST_INCIDENT, **times) for name, (times, _) in TIMES.items()))
    now = found(index, "disk", Scope(audience=PUBLIC, before=at("2026-03-01T12:00:00")))

    assert ({name: name in now for name in TIMES}, len(found(index, "disk"))) == (
        {name: seen for name, (_, seen) in TIMES.items()}, len(TIMES),
    )  # fmt: skip


def test_storing_twice_stores_once(index: VectorIndex):
    """A piece with the same place in the same document replaces the earlier one."""
    fill(index, piece("a.md", "disk"), piece("b.md", "disk"))
    fill(index, piece("a.md", "certificate", digest="d2"))

    assert (index.count(), found(index, "certificate")[0], index.digests("folder:/docs")) == (
        2, "a.md", {"a.md": "d2", "b.md": "d1"},
    )  # fmt: skip


def test_forgetting_takes_exactly_what_was_named(index: VectorIndex):
    """By source and document, from a piece number on; the same id in another source stays."""
    parts = [piece("a.md", f"part {number}", number=number, of=3) for number in range(3)]
    fill(index, *parts, piece("a.md", "other", source="git:/docs"), piece("b.md", "stays"))

    index.delete("folder:/docs", "a.md", keep=1)
    kept = [chunk.number for chunk in index.document(Scope(audience=PUBLIC, document=("folder:/docs", "a.md")))]
    index.delete("folder:/docs", "a.md")

    assert (kept, index.count(), index.digests("folder:/docs"), index.digests("git:/docs")) == (
        [0], 2, {"b.md": "d1"}, {"a.md": "d1"},
    )  # fmt: skip


def test_a_document_that_is_not_held_whole_has_no_digest(index: VectorIndex):
    """A piece is missing, two versions are mixed, a piece is left over: whoever compares digests stores it again."""
    fill(
        index,
        piece("missing.md", "x", of=2),
        *(piece("mixed.md", "x", digest=f"d{number}", number=number, of=2) for number in range(2)),
        *(piece("over.md", "x", number=number, of=1) for number in range(2)),
        *(piece("whole.md", "x", number=number, of=2) for number in range(2)),
    )

    assert index.digests("folder:/docs") == {"missing.md": "", "mixed.md": "", "over.md": "", "whole.md": "d1"}


def test_a_document_is_read_back_in_order_and_within_bounds(index: VectorIndex):
    """All its pieces for who may read them, none for others."""
    parts = [piece("a.md", f"part {number}", number=number, of=12, readers=("ops",)) for number in range(12)]
    fill(index, *reversed(parts))
    document = ("folder:/docs", "a.md")

    read = [
        index.document(Scope(audience=who, document=document)) for who in (Audience.of(("ops",)), PUBLIC, Audience.of())
    ]

    assert read == [parts, [], []]


def test_a_piece_without_a_single_word_is_held(index: VectorIndex):
    """Signs only: no words to find it by, and nothing breaks."""
    fill(index, piece("a.md", "---", title="—"), piece("b.md", "disk"))

    assert (index.count(), found(index, "disk")[0]) == (2, "b.md")


def test_a_vector_of_another_length_is_refused(index: VectorIndex):
    """With the document and both lengths named."""
    chunk, vectors = with_vectors(piece("a.md", "disk"))
    index.prepare("short/3/words", 3)

    with pytest.raises(IndexUnavailable, match=r"'a\.md'.*512 numbers.*made for 3"):
        index.put([(chunk, vectors)])


def test_writing_before_preparing_is_refused(index: VectorIndex):
    """An index nobody prepared does not guess a dimension."""
    with pytest.raises(IndexUnavailable, match="not prepared"):
        index.put([with_vectors(piece("a.md", "disk"))])


def test_vectors_of_two_models_are_kept_apart(index: VectorIndex):
    """Preparing for another space refuses while vectors are held, and works once they are forgotten."""
    fill(index, piece("a.md", "disk"))

    with pytest.raises(IndexUnavailable, match=r"made with hash-512/512/.* and other/3 is configured.*rundown ingest"):
        index.prepare("other/3", 3)
    before = index.space()
    index.reset()
    index.prepare("other/3", 3)

    assert (before, index.space(), index.count()) == (SPACE, None, 0)


def test_preparing_an_empty_index_for_another_length_remakes_it(index: VectorIndex):
    """Nothing is lost, so nobody need be asked."""
    index.prepare("other/3", 3)
    fill(index, piece("a.md", "disk"))

    assert found(index, "disk") == ["a.md"]


def test_more_pieces_than_one_write_carries_all_arrive(index: VectorIndex):
    """A long write is split, and listing pages through what it wrote."""
    fill(index, *(piece(f"{number}.md", f"disk {number}") for number in range(1100)))

    assert (index.count(), len(index.digests("folder:/docs"))) == (1100, 1100)


def test_resetting_and_closing_may_be_repeated(index: VectorIndex):
    """Both are safe to do twice, on an index that was never filled too."""
    index.reset()
    fill(index, piece("a.md", "disk"))
    index.reset()
    index.reset()

    assert index.count() == 0
    index.close()
    index.close()


def test_pieces_come_in_the_order_they_were_asked_for(index: VectorIndex):
    """One that is gone is left out; the vectors they are compared by are asked for by themselves."""
    one, two = piece("a.md", "disk"), piece("b.md", "certificate")
    fill(index, one, two)

    asked = [two.id, "0" * 32, one.id]
    lengths = {piece_id: len(vector) for piece_id, vector in index.meanings(asked).items()}

    assert (index.pieces(asked), index.pieces([]), index.meanings([])) == ([two, one], [], {})
    assert lengths == {one.id: EMBEDDER.dimension, two.id: EMBEDDER.dimension}


def test_a_document_is_found_by_its_place(index: VectorIndex):
    """By its address or its path, whoever may read it; its first piece stands for it."""
    page = piece(
        "runbooks/PoolExhausted.md", "widen it", url="https://github.com/acme/ops/blob/main/runbooks/PoolExhausted.md"
    )
    fill(index, page, piece("runbooks/PoolExhausted.md", "more", number=1, of=2), piece("other.md", "x"))
    places = place_keys("https://github.com/acme/ops/tree/master/runbooks/PoolExhausted.md#steps")

    assert (index.at_places(places, EVERYONE), index.at_places(places, Scope(audience=Audience.of())), index.at_places([], EVERYONE)) == (
        [page], [], [],
    )  # fmt: skip
