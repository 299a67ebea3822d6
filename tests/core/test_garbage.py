"""The collector of garbage, held off while somebody waits."""

from __future__ import annotations

import gc
import threading

import pytest

from core.garbage import collected_later


@pytest.fixture(autouse=True)
def collector():
    """As Python starts with it, whatever a test does."""
    gc.enable()
    yield
    gc.enable()


def test_it_is_off_inside_and_on_again_after():
    """Also where blocks are nested, and where one ends by an error."""
    seen = []

    @collected_later()
    def fail() -> None:
        with collected_later():
            seen.append(gc.isenabled())
        seen.append(gc.isenabled())
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()

    assert (seen, gc.isenabled()) == ([False, False], True)


def test_a_full_collection_waits_for_the_end():
    """However much is made in a block, nothing is looked through before it ends."""
    gc.collect()
    before = [generation["collections"] for generation in gc.get_stats()]
    with collected_later():
        kept = [[number] for number in range(200_000)]
        assert [generation["collections"] for generation in gc.get_stats()] == before
    kept += [[number] for number in range(2_000)]

    assert gc.get_stats()[0]["collections"] > before[0]


def test_it_stays_off_until_the_last_thread_is_done():
    """One incident's end is no reason to stop another."""
    begun, may_end = threading.Event(), threading.Event()

    def other() -> None:
        with collected_later():
            begun.set()
            may_end.wait(10)

    thread = threading.Thread(target=other)
    with collected_later():
        thread.start()
        assert begun.wait(10)
    assert not gc.isenabled()
    may_end.set()
    thread.join()

    assert gc.isenabled()


def test_who_switched_it_off_finds_it_off():
    """The block gives back what it found."""
    gc.disable()
    with collected_later():
        pass

    assert not gc.isenabled()


def test_blocks_that_overlap_without_end_let_a_collection_through(monkeypatch):
    """A storm of incidents must not keep what only the collector frees."""
    monkeypatch.setattr("core.garbage._LONGEST_S", 0.0)
    with collected_later():
        before = gc.get_stats()[2]["collections"]
        with collected_later():
            pass
        assert gc.get_stats()[2]["collections"] == before + 1
        assert not gc.isenabled()
