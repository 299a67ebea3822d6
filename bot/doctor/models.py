"""Models: the endpoint that writes, the weights that rank, and the Llama that ranks too; and parts named by their classes. All optional.

Does: ask the endpoint what it serves, see that the Llama and the classes are here. Does not: have anything written; with `deep`,
one vote, and each part built.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

from bot.doctor.check import Check, fail, off, ok, refused, warn
from bot.doctor.documents import on_this_machine
from core.errors import ModelUnavailable, SettingsError, UsageError
from core.llm import open_model
from core.named import import_named
from core.settings import Settings

TIMEOUT_S = 5.0


def parts(settings: Settings, *, deep: bool) -> Sequence[Check]:
    """The retriever, the splitter and the reranker that settings name are there; with `deep`, that they can be built."""
    from ingest.chunking import open_cutter
    from retrieval.named_retriever import build_retriever
    from retrieval.rerank import open_reranker

    named: tuple[tuple[str, str | None, Callable[[Settings], object]], ...] = (
        ("Retriever", settings.retriever_class, lambda settings: build_retriever(settings, lambda *_, **__: [])),
        ("Splitter", settings.splitter_class, open_cutter),
        ("Reranker", settings.reranker_class, open_reranker),
    )
    return [
        _part(name, path, f"RUNDOWN_{name.upper()}_CLASS", partial(build, settings) if deep else None)
        for name, path, build in named
        if path
    ]


def _part(name: str, path: str, setting: str, build: Callable[[], object] | None) -> Check:
    """Whether a class is there; with `build`, whether it can be built, which may load a model."""
    try:
        import_named(path, what=name.lower(), setting=setting)
        if build is not None:
            build()
    except SettingsError as error:
        return refused(name, error)
    return ok(name, path if build else f"{path} (--deep builds it)")


def writer(settings: Settings, *, deep: bool = False) -> Sequence[Check]:
    """The OpenAI-compatible endpoint answers, and serves the model we ask for; or the class that is to write is there."""
    name = "Writing model"
    if settings.llm_class:
        build = partial(open_model, settings) if deep else None
        return [_part(name, settings.llm_class, "RUNDOWN_LLM_CLASS", build)]
    if not settings.llm_url:
        return [
            off(
                name,
                "none: the extractive drafter writes",
                "set RUNDOWN_LLM_URL and RUNDOWN_LLM_MODEL to have a model write",
            )
        ]
    import httpx

    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else "none"
    local = urlsplit(settings.llm_url).hostname in ("127.0.0.1", "localhost", "::1")
    try:
        answer = httpx.get(
            f"{settings.llm_url.rstrip('/')}/models",
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            trust_env=not local,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        found = f"{settings.llm_url} does not answer: {type(error).__name__}"
        return [fail(name, found, "start it or correct RUNDOWN_LLM_URL; until then the extractive drafter writes")]
    return [_served(name, answer.status_code, answer.text, settings)]


def _served(name: str, status: int, body: str, settings: Settings) -> Check:
    import json

    if status in (401, 403):
        return fail(name, f"{settings.llm_url} refuses the key", "set RUNDOWN_LLM_API_KEY")
    try:
        served = [str(model["id"]) for model in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        found = f"{settings.llm_url}/models answered {status} and no list of models"
        return fail(name, found, "RUNDOWN_LLM_URL is usually https://<host>/v1")
    wanted = settings.llm_model
    if wanted is None:
        return warn(name, f"{settings.llm_url} serves {', '.join(served)}", "set RUNDOWN_LLM_MODEL to one of them")
    if wanted not in served:
        return fail(name, f"{wanted} is not among what it serves: {', '.join(served)}", "correct RUNDOWN_LLM_MODEL")
    return ok(name, f"{wanted} at {settings.llm_url}")


def ranker(settings: Settings, *, deep: bool) -> Sequence[Check]:
    """What ranks culprits: the weights in use, and the Llama on this machine; with `deep`, that it votes."""
    return [_weights(settings), *_llama(settings, deep=deep)]


def _weights(settings: Settings) -> Check:
    """Which weights rank, and whether those of the team still stand on those that ship."""
    from bot.app import open_weighing, own_weights
    from ranking.scorer import read_weighing

    name, own, shipped = "Weights for ranking", own_weights(settings), read_weighing().release
    if not own.exists():
        return ok(name, f"{shipped}, as shipped; `rundown train ranker` fits them to your own incidents")
    try:
        release = open_weighing(settings).release
    except UsageError as error:
        return refused(name, error)
    if not release.startswith(f"{shipped}+"):
        return warn(
            name,
            f"{release} from {own}, fitted before {shipped} shipped",
            "run `rundown train ranker` again, or delete the file",
        )
    return ok(name, f"{release}, your own, from {own}")


def _llama(settings: Settings, *, deep: bool) -> Sequence[Check]:
    name, model = "Ranking model", settings.ranker_model
    if not model:
        return [off(name, "none: features alone rank", "set RUNDOWN_RANKER_MODEL to have a Llama vote too")]
    if not deep:
        checks = [on_this_machine(name, model, "RUNDOWN_RANKER_MODEL")]
        if settings.ranker_adapter:
            checks.append(_adapter(settings.ranker_adapter))
        return checks
    from ranking.llama import LlamaVoter

    voter, started = LlamaVoter(model, adapter=settings.ranker_adapter), time.monotonic()
    try:
        voter.vote("checkout answers 500", ["Fix a typo", "Rewrite checkout"], budget_s=120.0)
    except ModelUnavailable as error:
        return [refused(name, error)]
    return [ok(name, f"{voter.name}, loaded and voted in {time.monotonic() - started:.1f} s")]


def _adapter(adapter: str) -> Check:
    from pathlib import Path

    folder = Path(adapter).expanduser()
    if folder.is_dir() and not (folder / "adapter_config.json").is_file():
        return fail(
            "Ranking adapter", f"{adapter} holds no adapter_config.json", "set RUNDOWN_RANKER_ADAPTER to a LoRA folder"
        )
    return ok("Ranking adapter", adapter)
