"""The benchmarks of retrieval: what they count is right, and the whole of each runs on a small world."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are scripts beside the packages

from retrieval_world import EMBEDDER, at, fill, piece

from benchmarks import index_scale, retrieval
from benchmarks.apart import apart, peak_mb
from benchmarks.retrieval_measures import Query, Surety, compared, curve, interval, measures, point
from benchmarks.retrieval_ways import STAGES, Remembering, Staged, Without, ours, plain_fusion
from core.access import PUBLIC
from retrieval.chunk import Scope, View
from retrieval.index import EdgeIndex
from retrieval.places import place_keys
from retrieval.sparse import encode_query

DISK, POD, QUEUE = "runbooks/DiskFull.md", "runbooks/KubePodCrashLooping.md", "wikis/Queue.md"


@pytest.fixture
def edge(tmp_path: Path):
    """Three documents, one of them in two sections."""
    index = EdgeIndex(tmp_path / "index")
    fill(
        index,
        piece(DISK, "The disk is full: delete old logs", number=0, of=2),
        piece(DISK, "node_filesystem_avail_bytes below ten percent of the disk", number=1, of=2),
        piece(POD, "A pod restarts again and again: read its logs"),
        piece(QUEUE, "The queue consumer falls behind"),
    )
    yield index
    index.close()


@pytest.mark.parametrize(
    ("found", "relevant", "expected"),
    [
        (["x/a.md", "x/b.md"], {"a"}, (1.0, 1.0, 1.0, 1.0)),
        (["x/b.md", "x/a.md"], {"x/a"}, (0.0, 1.0, 1 / np.log2(3), 0.5)),
        (["x/b.md", "x/a.md"], {"a", "c"}, (0.0, 1.0, (1 / np.log2(3)) / (1 + 1 / np.log2(3)), 0.5)),
        (["b"] * 5 + ["a"], {"a"}, (0.0, 0.0, 1 / np.log2(7), 1 / 6)),
        (["b"] * 10 + ["a"], {"a"}, (0.0, 0.0, 0.0, 0.0)),
        (["x/a.md", "y/a.md"], {"a"}, (1.0, 1.0, 1.0, 1.0)),
        ([], {"a"}, (0.0, 0.0, 0.0, 0.0)),
    ],
    ids=["first", "second", "one of two", "sixth", "eleventh", "one answer under two names", "nothing"],
)
def test_a_list_is_measured_by_where_its_right_documents_stand(found, relevant, expected):
    """Places from 1; what stands below ten does not count."""
    assert measures(found, frozenset(relevant)) == pytest.approx(expected)


def test_an_interval_of_differences_is_the_same_each_time_and_holds_their_mean():
    """Of a way that is better on three in four questions, all of it is above zero; of a way beside itself it is zero."""
    ahead = np.repeat([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], 10, axis=0)

    low, high, *same = interval(ahead)

    assert (interval(ahead)[:2], 0 < low < 0.75 < high < 1, same) == ([low, high], True, [0.0, 0.0])


def test_ways_are_compared_question_by_question():
    """Only the chosen questions, and the difference has the sign of who is better."""
    rows = {"new": np.ones((4, 4)), "old": np.array([[0.0] * 4, [1.0] * 4, [1.0] * 4, [0.0] * 4])}

    table = compared(rows, np.array([True, True, True, False]), "old")

    cells = {way: (cells["n"], cells["hit@1"]["mean"], cells["hit@1"]["difference"]) for way, cells in table.items()}
    assert cells == {"new": (3, 1.0, pytest.approx(1 / 3)), "old": (3, pytest.approx(2 / 3), 0.0)}


def test_answers_are_counted_from_a_threshold_on():
    """Coverage of all questions, precision of those answered, and what is answered that has no answer."""
    sureties = [
        Surety(score=0.9, first=True, five=True, without=0.5, strangers=0.1),
        Surety(score=0.7, first=False, five=True, without=0.6, strangers=0.6),
        Surety(score=0.6, first=True, five=True, without=0.1, strangers=0.1),
        Surety(score=0.2, first=False, five=False, without=0.1, strangers=0.1),
    ]

    told = {key: round(value, 3) for key, value in point(sureties, 0.6).items()}

    assert told == {
        **{"threshold": 0.6, "coverage": 0.75, "first": 0.667, "five": 1.0},
        **{"false": 0.25, "strangers": 0.25, "mixed": 0.75},
    }
    assert [at["coverage"] for at in curve(sureties)] == [0.5, 0.75, 0.75, 1.0, 1.0, 1.0]


def test_a_hidden_document_is_not_found_and_the_next_takes_its_place(edge: EdgeIndex):
    """As if it had never been stored, in lists as long as before."""
    views = [View(by="words", vector=encode_query("the disk and its logs and the queue"))]
    left = Without(index=edge, hidden=frozenset({"DiskFull"}))

    lists = left.search(views, Scope(audience=PUBLIC), limit=2)

    assert ([sorted(item.doc_id for item in found) for found in lists], left.count()) == ([[POD, QUEUE]], 4)


def test_a_hidden_folder_hides_all_that_lies_in_it(edge: EdgeIndex):
    """Only what lies elsewhere is found, however deep it stands in the lists."""
    views = [View(by="words", vector=encode_query("the disk and its logs and the queue"))]
    left = Without(index=edge, hidden=frozenset(), folders=frozenset({"runbooks"}))

    (found,) = left.search(views, Scope(audience=PUBLIC), limit=1)

    assert [item.doc_id for item in found] == [QUEUE]


def test_a_rule_does_not_bring_a_hidden_page_back(edge: EdgeIndex):
    """The page that a rule names is not there either."""
    fill(edge, piece(DISK, "The disk is full", url="https://runbooks.example/DiskFull"))
    places = place_keys("https://runbooks.example/DiskFull")
    left = Without(index=edge, hidden=frozenset({"DiskFull"}))

    assert [page.doc_id for page in edge.at_places(places, Scope(audience=PUBLIC))] == [DISK]
    assert left.at_places(places, Scope(audience=PUBLIC)) == []


def test_all_stages_together_are_the_search_itself(edge: EdgeIndex):
    """Every stage kept: the same order as without any of this; each left out is a search of its own."""
    text = 'node_filesystem_avail_bytes{job="node"} < 10'
    whole = ours(edge, EMBEDDER)(text)

    built = {name: ours(edge, EMBEDDER, stages)(text) for name, stages in retrieval.ladder().items()}

    assert (built["+ signals"], {name: found[:1] for name, found in built.items()}) == (
        whole,
        {name: [DISK] for name in built},
    )


@pytest.mark.parametrize(("stage", "by"), [("meaning", "meaning"), ("words", "words"), ("names", "name")])
def test_a_stage_alone_decides_alone(edge: EdgeIndex, stage: str, by: str):
    """A document stands out as far as that one view says, whatever the others say."""
    first = Staged(edge, EMBEDDER, [stage]).look("disk full")[0].standing

    assert [round(voice.stands_out, 6) for voice in first.voices if voice.by == by] == [round(first.score, 6)]


def test_without_pairs_words_stand_in_no_order(edge: EdgeIndex):
    """Everything else is looked for as before."""
    heard = [
        {voice.label for voice in Staged(edge, EMBEDDER, stages).look("delete old logs")[0].standing.voices}
        for stages in (STAGES, [stage for stage in STAGES if stage != "pairs"])
    ]

    assert (heard[0] - heard[1], heard[1] - heard[0]) == ({"its words side by side"}, set())


def test_without_signals_an_old_page_is_as_good_as_a_new_one(tmp_path: Path):
    """Two pages that say the same: the stale one comes second only where signals count; else names decide."""
    index = EdgeIndex(tmp_path / "index")
    fill(
        index,
        piece("a/Disk.md", "delete old logs", updated_at=at("2001-01-01")),
        piece("b/Disk.md", "delete old logs", updated_at=at("2026-11-01")),
        piece(QUEUE, "The queue consumer falls behind"),
    )
    timeless = [stage for stage in STAGES if stage != "signals"]

    found = [ours(index, EMBEDDER, stages)("delete old logs")[0] for stages in (STAGES, timeless)]

    index.close()
    assert found == ["b/Disk.md", "a/Disk.md"]


def test_plain_fusion_adds_reciprocal_ranks(edge: EdgeIndex):
    """First in both lists is first; nothing about the size of scores counts, and all are found by meaning."""
    found = plain_fusion(edge, EMBEDDER)("the queue consumer falls behind the disk")

    assert (found[0], set(found)) == (QUEUE, {DISK, POD, QUEUE})


def test_a_text_is_read_once():
    """Asked again, the vector is remembered, and equal to what the model said."""
    read: list[str] = []

    class Counting(type(EMBEDDER)):
        def embed_queries(self, texts):
            read.extend(texts)
            return super().embed_queries(texts)

    remembering = Remembering(Counting())

    vectors = [*remembering.embed_queries(["disk", "pod", "disk"]), remembering.embed_query("pod")]

    assert (read, vectors) == (["disk", "pod"], EMBEDDER.embed_documents(["disk", "pod", "disk", "pod"]))


def test_the_whole_benchmark_runs_twice_over_one_index_with_the_same_numbers(tmp_path: Path, capsys):
    """Folder in, tables, numbers and a chart out; all but time and memory is the same the second time."""
    for name, text in ((DISK, "Disk full: delete old logs."), (POD, "The pod restarts."), (QUEUE, "Consumers lag.")):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(f"# {Path(name).stem}\n\n{text}")
    lines = [
        {"query_id": 1, "text": "DiskFull", "relevant": ["DiskFull"], "difficulty": "a", "kind": "alert"},
        {"query_id": 2, "text": "consumers lag", "relevant": ["wikis/Queue"], "difficulty": "b", "source": "own"},
        {"query_id": 3, "text": "skipped", "relevant": ["DiskFull"], "exclude": ["Queue"]},
    ]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, lines)))
    paths = {name: tmp_path / name for name in ("index", "numbers.json", "chart.png")}
    arguments = ["--corpus", str(tmp_path / "docs"), "--queries", str(tmp_path / "queries.jsonl"), "--model", "hash"]
    arguments += ["--index", str(paths["index"]), "--json", str(paths["numbers.json"])]

    retrieval.main([*arguments, "--chart", str(paths["chart.png"]), "--tell", "2"])
    first = json.loads(paths["numbers.json"].read_text())
    retrieval.main(arguments)
    second = json.loads(paths["numbers.json"].read_text())

    printed = capsys.readouterr().out
    ways = ["rundown", "BM25, words split", "hash-512 alone", "plain fusion (RRF 60)", "LlamaIndex default"]
    cost = first.pop("cost")
    assert list(first["difficulty"]["a"]) == list(cost) == list(second.pop("cost")) == ways
    assert min(cells["memory_mb"] for cells in cost.values()) > 20
    assert (first, first["difficulty"]["b"]["rundown"]["hit@1"]["mean"]) == (second, 1.0)
    assert (paths["chart.png"].read_bytes()[:4], "without names" in printed, "* in use" in printed) == (
        b"\x89PNG",
        True,
        True,
    )
    assert ("right: wikis/Queue; place 1" in printed, "asked: DiskFull" in printed) == (True, False)


def test_a_peak_is_that_of_the_process_alone():
    """What the parent holds is not the child's."""
    held = np.ones(300 * 2**17)

    assert (peak_mb() > 300, apart(peak_mb) < peak_mb() - 150, held[-1]) == (True, True, 1.0)


def test_queries_are_read_with_what_they_leave_out(tmp_path: Path):
    """Kind, source and difficulty are "all" unless the line tells."""
    file = tmp_path / "queries.jsonl"
    file.write_text('{"query_id": 7, "text": "t", "relevant": ["a"]}\n\n')

    expected = Query(id="7", text="t", difficulty="all", kind="all", source="all", relevant=frozenset({"a"}))
    assert retrieval.read_queries(file) == [expected]


def test_generated_pieces_are_the_same_each_time_and_of_several_readers():
    """Two runs measure the same work; filters have something to leave out."""
    first, again = (list(index_scale.pieces(60)) for _ in range(2))

    readers = {chunk.readers for chunk, _ in first}
    assert (first == again, len(first), len(readers) > 2, first[-1][0].number) == (True, 60, True, 4)


def test_each_engine_is_measured_at_each_size(tmp_path: Path):
    """Built in one process, searched in another, filters on; the searches find something."""
    done = list(index_scale.costs([60], tmp_path, asked=2, local_up_to=60, model="hash"))

    assert [(cost.engine, cost.pieces, cost.found > 0, cost.memory_mb > 0, cost.build_s > 0) for cost in done] == [
        ("embedded engine", 60, True, True, True),
        ("qdrant-client local mode", 60, True, True, True),
    ]
