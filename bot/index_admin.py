"""`rundown index`: how the index is, whether it holds what it should, and a new one built while the old one answers.

Does: tell its state; compare it with its manifest, and mend; build the next generation from every known source, bring it up to
date, verify it, and only then let it answer.
Does not: open the generation that answers in a serving process (`bot.library` notices), or print (`bot.index_commands`).

A rebuild may be killed anywhere. Until it swaps, the generation that answers is not touched, and running it again goes on with
what is there. The swap is one transaction of the store; the alias of a server follows, and whoever opens the index next sets it
if a kill came in between. The generation before is kept until the next rebuild begins.

With the embedded engine each generation is a folder with a lock of its own, so a rebuild runs beside `rundown serve`. To verify
or mend the one that answers, `serve` has to be stopped: it holds that lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bot.app import Library
from bot.library import OpenModel, library_of, open_known
from core.errors import IndexUnavailable, RundownError, SettingsError, UsageError
from core.settings import Settings
from core.store import Generation, GenerationState, Indexed, Store
from ingest.chunking import open_cutter
from ingest.sync import SyncReport
from ingest.workers import sync_source, sync_together
from retrieval.chunk import space_of
from retrieval.embedding import Embedder, open_configured
from retrieval.generations import Difference, Shelf, differences, open_shelf, wrong_vectors

#: (what, done, total or None): how long work is going.
Progress = Callable[..., None]
#: How often a rebuild reads, verifies and settles: again for sources that were synced into the answering generation since. One
#: that is synced without a pause does not keep it from ending: what it took away is taken away here too (`_take_away`), and the
#: next sync brings the rest.
_ROUNDS = 4


# -- status ------------------------------------------------------------------------------------------------------


def status(settings: Settings, store: Store, *, shelf: Shelf | None = None) -> dict[str, Any]:
    """How the index is, as JSON values. What the engine cannot be asked now is told under "gap".

    Raises:
        core.errors.StoreError: the store refuses.
    """
    shelf = shelf or open_shelf(settings)
    live = store.live_generation(settings.embedding)
    manifests = _manifests(store.of_generation(live.number))
    told: dict[str, Any] = {
        "engine": shelf.engine,
        "generation": live.number,
        "model": live.model or "default",
        "configured_model": settings.embedding or "default",
        "space": live.space,
        "pieces": None,
        "pieces_in_manifest": _pieces(manifests),
        "bytes": shelf.size(live.number),
        "sources": _sources(store.of_generation(live.number), manifests),
        "generations": [_told(generation, shelf) for generation in store.generations()],
        "gap": "",
    }
    index = shelf.index(live.number)
    try:
        told |= {"pieces": index.count(), "space": index.space() or live.space}
    except IndexUnavailable as error:
        told["gap"] = str(error)
    finally:
        index.close()
    return told


def _told(generation: Generation, shelf: Shelf) -> dict[str, Any]:
    return {
        "number": generation.number,
        "state": generation.state.value,
        "model": generation.model or "default",
        "space": generation.space,
        "cut": generation.cut,
        "created_at": generation.created_at.isoformat(),
        "live_at": generation.live_at.isoformat() if generation.live_at else None,
        "bytes": shelf.size(generation.number),
    }


def _manifests(store: Store) -> dict[str, dict[str, Indexed]]:
    """Source to its manifest, for every source that anything may be held of."""
    return {source: store.manifest(source) for source in sorted(store.sources().keys() | store.syncs().keys())}


def _pieces(manifests: Mapping[str, Mapping[str, Indexed]]) -> int:
    return sum(item.chunks for manifest in manifests.values() for item in manifest.values())


def _sources(store: Store, manifests: Mapping[str, Mapping[str, Indexed]]) -> list[dict[str, Any]]:
    syncs, now = store.syncs(), datetime.now(UTC)
    rows = []
    for source, manifest in manifests.items():
        last = syncs.get(source)
        at = last.synced_at if last else None
        rows.append(
            {
                "source": source,
                "documents": len(manifest),
                "pieces": sum(item.chunks for item in manifest.values()),
                "synced_at": at.isoformat() if at else None,
                "age_s": round((now - at).total_seconds(), 1) if at else None,
                "error": last.error if last else None,
            }
        )
    return rows


# -- verify ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a generation holds what its manifest says."""

    generation: int
    documents: int
    pieces: int
    differences: tuple[Difference, ...] = ()
    #: Why the vectors are wrong; "" if they are not.
    vectors: str = ""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.differences and not self.vectors

    @property
    def way_out(self) -> str:
        """What to do; "" if nothing."""
        if self.vectors or any(not item.source for item in self.differences):
            return "run `rundown index rebuild`: it makes a new index while this one answers"
        return "run `rundown index verify --repair`" if self.differences else ""


def verify(settings: Settings, store: Store, *, shelf: Shelf | None = None) -> Verdict:
    """Compare the generation that answers with its manifest.

    Raises:
        IndexUnavailable: the index does not answer; embedded, because another process holds it.
    """
    shelf = shelf or open_shelf(settings)
    live = store.live_generation(settings.embedding)
    index = shelf.index(live.number)
    try:
        return _verdict(index, store, live.number)
    finally:
        index.close()


def _verdict(index: Any, store: Store, number: int) -> Verdict:
    manifests = _manifests(store.of_generation(number))
    return Verdict(
        generation=number,
        documents=sum(map(len, manifests.values())),
        pieces=index.count(),
        differences=tuple(differences(index, manifests)),
        vectors=wrong_vectors(index, index.space()),
    )


def repair(
    settings: Settings,
    store: Store,
    *,
    progress: Progress,
    open_model: OpenModel | None = None,
    shelf: Shelf | None = None,
) -> Verdict:
    """Sync again what differs, forget what should not be held, and compare once more.

    A source that cannot be read now is no failure: what differs of it is synced when it can be.

    Raises:
        IndexUnavailable: the index does not answer.
    """
    shelf = shelf or open_shelf(settings)
    live = store.live_generation(settings.embedding)
    mended = store.of_generation(live.number)
    embedder = (open_model or partial(open_configured, settings))(live.model)
    library = library_of(settings, shelf, store, live, embedder)
    try:
        found = [item for item in _verdict(library.index, store, live.number).differences if item.source]
        for item in found:
            if item.orphan:
                library.index.delete(item.source, item.doc_id)
            else:
                mended.forget_indexed(item.source, item.doc_id)
        hurt = {item.source for item in found if not item.orphan}
        specs = [spec for source, spec in _specs(settings, mended).items() if source in hurt]
        sync_together(specs, _syncing(settings, mended, library, progress), workers=1)
        return _verdict(library.index, store, live.number)
    finally:
        library.index.close()


# -- rebuild -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What a rebuild did."""

    generation: int
    #: The one that answered before, and whether it is still kept.
    before: int
    kept: bool
    model: str
    #: Whether it went on with what an earlier run had begun.
    resumed: bool
    documents: int
    pieces: int
    reports: tuple[SyncReport, ...]


def rebuild(
    settings: Settings,
    store: Store,
    *,
    model: str | None = None,
    drop_old: bool = False,
    workers: int = 1,
    progress: Progress,
    open_model: OpenModel | None = None,
    shelf: Shelf | None = None,
) -> Rebuilt:
    """Build the next generation from every known source while the live one answers, verify it, and let it answer.

    Args:
        model: its embedding model; the configured one unless given.
        drop_old: remove the generation before at once, rather than when the next rebuild begins.
        workers: sources read at the same time.

    Raises:
        RundownError: a source cannot be read, or what was built is not whole. The live generation answers as before, and
            running it again goes on.
    """
    shelf = shelf or open_shelf(settings)
    embedder, space = _embedder(open_model or partial(open_configured, settings), model, settings)
    model = model or settings.embedding
    live = store.live_generation(settings.embedding)
    shelf.publish(live.number)  # a kill after an earlier swap may have left it undone
    _drop(shelf, store, [item for item in store.generations() if item.state is GenerationState.OLD])
    building, resumed = _building(shelf, store, model=model, space=space, cut=open_cutter(settings).version)
    reports: dict[str, SyncReport] = {}
    wanted: frozenset[str] | None = None
    for _ in range(_ROUNDS):
        library = library_of(settings, shelf, store, building, embedder)
        try:
            found = _fill(settings, store, live, library, building, wanted, workers=workers, progress=progress)
            verdict = _verdict(library.index, store, building.number)
            library.index.settle()
        finally:
            library.index.close()  # before the swap, so that a serving process can open it
        if not verdict.sound:
            raise _unsound(shelf, store, building, verdict)
        reports = {report.source: report for report in found} | reports
        # Last of all, since the live one is synced while the new one is read, verified and settled.
        if not (wanted := _behind(settings, store.of_generation(live.number), store.of_generation(building.number))):
            break
    _take_away(settings, store, shelf, live, building, embedder)
    held = _manifests(store.of_generation(building.number))
    store.make_live(building.number)
    shelf.publish(building.number)
    kept = not (drop_old and _drop(shelf, store, [live]))
    return Rebuilt(
        generation=building.number,
        before=live.number,
        kept=kept,
        model=building.model or "default",
        resumed=resumed,
        documents=sum(map(len, held.values())),
        pieces=_pieces(held),
        reports=tuple(reports.values()),
    )


def _embedder(open_model: OpenModel, given: str | None, settings: Settings) -> tuple[Embedder, str]:
    """The model and its space. It is loaded here, so that one that cannot be is told before anything else is done."""
    embedder = open_model(given or settings.embedding)
    try:
        return embedder, space_of(embedder)
    except SettingsError as error:
        if given is None:
            raise
        way_out = "give --model a folder or a reachable Hugging Face id, or leave it out for the configured model"
        raise UsageError(error.what, why=error.why, way_out=way_out) from error


def _drop(shelf: Shelf, store: Store, generations: Sequence[Generation]) -> bool:
    """Remove them; whether all are gone. The files first: a kill in between is made good by the next rebuild."""
    gone = [shelf.drop(item.number) for item in generations]
    for item, dropped in zip(generations, gone, strict=True):
        if dropped:
            store.forget_generation(item.number)
    return all(gone)


def _building(shelf: Shelf, store: Store, *, model: str | None, space: str, cut: str) -> tuple[Generation, bool]:
    """The generation to build, and whether an earlier run began it. One begun otherwise is dropped."""
    begun = [item for item in store.generations() if item.state is GenerationState.BUILDING]
    same = [item for item in begun if (item.model, item.space, item.cut) == (model, space, cut)]
    others = [item for item in begun if item not in same[-1:]]
    if not _drop(shelf, store, others):
        raise IndexUnavailable(
            f"cannot begin anew with {space}",
            why=f"generation {others[0].number}, begun with {others[0].space}, is held by another process",
            way_out="stop that rebuild first",
        )
    if same:
        return same[-1], True
    return store.begin_generation(model=model, space=space, cut=cut), False


def _fill(
    settings: Settings,
    store: Store,
    live: Generation,
    library: Library,
    building: Generation,
    wanted: frozenset[str] | None,
    *,
    workers: int,
    progress: Progress,
) -> list[SyncReport]:
    """Sync the wanted sources into it, all that are known for None, and forget what the live one forgot meanwhile."""
    old, new = store.of_generation(live.number), store.of_generation(building.number)
    specs = _specs(settings, old)
    _refuse_unknown(old, specs)
    _forget(new, library, _manifests(new).keys() - specs.keys())
    chosen = [spec for source, spec in specs.items() if wanted is None or source in wanted]
    found, refused = sync_together(chosen, _syncing(settings, new, library, progress), workers=workers)
    if refused:
        raise _unread(refused)
    return found


def _forget(store: Store, library: Library, sources: Iterable[str]) -> None:
    for source in sources:
        library.ingestor.forget(source)
        store.forget_sync(source)


def _take_away(
    settings: Settings, store: Store, shelf: Shelf, live: Generation, building: Generation, embedder: Embedder
) -> None:
    """Take from the new one what the live one does not hold any more, or not as it is here: who may read it may have changed.

    Nothing is read, embedded or settled, so little time is left for another sync, and what one does in it is looked for again.
    Nothing is stored either, so this ends. What was changed and not closed is back with the next sync.
    """
    old, new = store.of_generation(live.number), store.of_generation(building.number)
    while True:
        behind = _behind(settings, old, new)
        gone = behind - _specs(settings, old).keys()
        closed = [(source, doc_id) for source in behind - gone for doc_id in _closed(old, new, source)]
        if not gone and not closed:
            return
        library = library_of(settings, shelf, store, building, embedder)
        try:
            _forget(new, library, gone)
            for source, doc_id in closed:
                library.index.delete(source, doc_id)
                new.forget_indexed(source, doc_id)
        finally:
            library.index.close()


def _closed(old: Store, new: Store, source: str) -> list[str]:
    """Documents of a source that the old one has not, or not in the same state as far as can be told."""
    now = old.manifest(source)
    return [
        doc_id
        for doc_id, held in new.manifest(source).items()
        if (there := now.get(doc_id)) is None or not _same(held, there)
    ]


def _same(one: Indexed, other: Indexed) -> bool:
    """Of another model the digests differ, and the source's own mark counts; what gives none cannot be told, so it is not."""
    marks = [(item.version or "").partition(" ")[2] for item in (one, other)]
    return one.digest == other.digest or (marks[0] == marks[1] != "")


#: Sources whose name is what opens them.
_OPENED_BY_NAME = ("folder:", "git:", "prometheus:", "mediawiki:", "rundown:")


def _specs(settings: Settings, store: Store) -> dict[str, str]:
    """Source to what opens it: what was ever synced, and what the settings name."""
    named = {open_known(spec, settings, store).name: spec for spec in settings.docs}
    older = {source: source for source in store.sources() if source.startswith(_OPENED_BY_NAME)}
    return older | named | {source: last.spec for source, last in store.syncs().items()}


def _refuse_unknown(store: Store, specs: Mapping[str, str]) -> None:
    """What is indexed and cannot be read again must not vanish in silence."""
    unknown = sorted(store.sources().keys() - specs.keys())
    if unknown:
        raise UsageError(
            f"cannot rebuild {', '.join(unknown)}",
            why="it was indexed before Rundown wrote down what opens a source",
            way_out="run `rundown ingest` on it once more, or `rundown ingest --forget` it",
        )


def _syncing(settings: Settings, store: Store, library: Library, progress: Progress) -> Callable[[str], SyncReport]:
    def sync(spec: str) -> SyncReport:
        source = open_known(spec, settings, store)
        return sync_source(
            store, library.ingestor, source, spec=spec, progress=lambda done: progress(f"reading {source.name}", done)
        )

    return sync


def _behind(settings: Settings, old: Store, new: Store) -> frozenset[str]:
    """Sources that were synced into the live generation after they were read for the new one, or forgotten there."""
    read = {source: last.synced_at for source, last in new.syncs().items()}
    later = {
        source
        for source, last in old.syncs().items()
        if last.synced_at is not None and ((mine := read.get(source)) is None or last.synced_at > mine)
    }
    return frozenset(later | (_manifests(new).keys() - _specs(settings, old).keys()))


def _unread(refused: Mapping[str, RundownError]) -> RundownError:
    reasons = "; ".join(f"{spec}: {error}" for spec, error in refused.items())
    return RundownError(
        "the new index was not finished, and the old one answers as before",
        why=reasons,
        way_out="put that right and run `rundown index rebuild` again, which goes on where it was; "
        "a source that is gone for good: `rundown ingest --forget` it",
    )


def _unsound(shelf: Shelf, store: Store, building: Generation, verdict: Verdict) -> RundownError:
    """What is wrong with the new one. What a further run could not mend is dropped, so that it begins anew."""
    if not all(item.source for item in verdict.differences) or verdict.vectors:
        _drop(shelf, store, [building])
    kinds = Counter(item.what for item in verdict.differences)
    found = [f"{what} ({count})" for what, count in kinds.items()]
    return RundownError(
        "the new index is not whole, and the old one answers as before",
        why="; ".join([*found, *filter(None, [verdict.vectors])]),
        way_out="run `rundown index rebuild` again: it stores what is missing",
    )
