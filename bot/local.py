"""The commands that need no server: investigate, rank, ingest and search on local repositories and documents.

Does: open the same parts as the server, run the same steps, and hand back what there is to print.
Does not: print, parse arguments, or talk to Slack.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import time
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot import blocks
from bot.app import open_culprit_model, open_drafter, open_library, open_live, open_ranker, open_weighing
from bot.card import Card, Step
from bot.changes import ChangeSources
from bot.investigation import Gathered, Investigator
from core.errors import RundownError, UsageError
from core.model import Incident, from_unix, to_json
from core.redaction import redact_json
from core.settings import Settings, read_settings
from core.store import Store, open_store

if TYPE_CHECKING:
    from rich.console import Console

    from ingest.sync import Ingestor, SyncReport
    from retrieval.retriever import Retriever

log = logging.getLogger(__name__)

#: (what, done, total or None): how long work is going.
Progress = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an investigation found, ready to be shown."""

    card: Card
    seconds: dict[str, float]

    def messages(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The card and the thread's detail, as Slack would be sent them."""
        return redact_json(blocks.card_message(self.card)), redact_json(blocks.detail_message(self.card))

    def to_json(self) -> dict[str, Any]:
        """Everything found, as JSON values."""
        card, detail = self.messages()
        found = {
            name: to_json(value) if value else None
            for name, value in (
                ("ranking", self.card.ranking),
                ("summary", self.card.summary),
                ("mitigation", self.card.mitigation),
            )
        }
        evidence = [to_json(item) for item in self.card.evidence]
        whole: dict[str, Any] = redact_json(
            {
                "incident": to_json(self.card.incident),
                "evidence": evidence,
                **found,
                "gaps": self.card.gaps,
                "seconds": self.seconds,
                "card": card,
                "detail": detail,
            }
        )
        return whole

    def show(self, console: Console) -> None:
        """Print the card, and under it the thread's detail."""
        from bot.terminal import show

        for message in self.messages():
            console.print(show(message, buttons=False))
        console.print(
            "[dim]" + " · ".join(f"{name} {spent:.1f} s" for name, spent in self.seconds.items()) + "[/]",
            highlight=False,
        )

    def open_in_browser(self) -> Path:
        """Lay the card out as Slack would, and open it; the page's path."""
        from bot.preview import write_page

        page = read_settings().home / "preview.html"
        messages = [
            {"user": "Rundown", "ts": str(self.card.incident.created_at.timestamp()), **message}
            for message in self.messages()
        ]
        write_page(page, "incident", messages)
        webbrowser.open(page.as_uri())
        return page


def investigate_locally(
    *,
    repos: Sequence[Path],
    docs: Sequence[Path],
    title: str,
    description: str,
    service: str | None,
    at: datetime | None,
    progress: Progress,
) -> Found:
    """Investigate one incident as the server would.

    Args:
        repos: git repositories whose commits may be culprits.
        docs: folders or repositories of documents; without any, what was ingested before is searched.
        at: when it began; now by default. Nothing later is read.

    Raises:
        UsageError: there is nothing to look at, or none of it can be read.
    """
    if not repos and not docs:
        raise UsageError(
            "nothing to investigate",
            why="neither --repo nor --docs was given",
            way_out="give at least one, for example --repo .",
        )
    if not title.strip():
        raise UsageError(
            "nothing to investigate", why="--title is empty", way_out="say what is wrong in the alert's words"
        )
    settings = read_settings()
    moment = at or datetime.now(UTC)
    incident = Incident(
        id=f"local:{hashlib.sha256(f'{title}{moment}'.encode()).hexdigest()[:12]}",
        title=title,
        description=description,
        service=service,
        created_at=moment,
    )
    ranker = open_ranker(settings, repos)
    if ranker is not None:
        ranker.refresh(progress)
    if docs:
        return _run_on_folders(incident, settings, docs, ranker, progress)
    return _run_on_ingested(incident, settings, ranker)


def _run_on_folders(
    incident: Incident, settings: Settings, docs: Sequence[Path], ranker: Any, progress: Progress
) -> Found:
    """Investigate with the documents that were given, in an index of their own that the next run finds again."""
    named = "\n".join(sorted(str(path.resolve()) for path in docs))
    home = settings.home / "local" / hashlib.sha256(named.encode()).hexdigest()[:12]
    with open_library(settings, open_store(f"sqlite:///{home / 'store.sqlite'}"), folder=home / "index") as library:
        reports = _sync(library.ingestor, [str(path) for path in docs], settings, progress)
        return _run(incident, settings, library.retriever, ranker, _unread(reports))


def _run_on_ingested(incident: Incident, settings: Settings, ranker: Any) -> Found:
    """Investigate with what `rundown ingest` brought in, if anything."""
    nothing = ("No documents were given: add --docs FOLDER, or run `rundown ingest FOLDER` once",)
    if settings.database_url is None and not (settings.home / "rundown.sqlite").exists():
        return _run(incident, settings, None, ranker, nothing)
    store = open_store(settings.store_url)
    if not store.sources():
        return _run(incident, settings, None, ranker, nothing)
    with open_library(settings, store) as library:
        return _run(incident, settings, library.retriever, ranker, ())


def _unread(reports: Sequence[SyncReport]) -> tuple[str, ...]:
    """What of the given documents could not be read, in one line."""
    skipped = [item for report in reports for item in report.skipped]
    if not skipped:
        return ()
    total = len(skipped) + sum(report.seen for report in reports)
    named = ", ".join(f"{item.doc_id} ({item.reason})" for item in skipped[:3])
    return (f"{len(skipped)} of {total} documents could not be read: {named}{', …' if len(skipped) > 3 else ''}",)


def _run(
    incident: Incident, settings: Settings, retriever: Retriever | None, ranker: Any, gaps: tuple[str, ...]
) -> Found:
    investigator = Investigator(
        documents=lambda: retriever,
        commits=lambda: ranker,
        drafter=open_drafter(settings),
        window_days=settings.window_days,
    )
    gathered = investigator.gather(incident) if retriever else Gathered()
    ranked = investigator.rank(incident, ChangeSources(None, settings.events_file).before(incident))
    gathered = investigator.compare(incident, gathered, ranked)
    drafted = investigator.draft(incident, gathered, ranked)
    card = Card(
        incident=incident,
        steps=tuple(Step(name=name, state="done") for name in ("gather", "rank", "draft")),
        evidence=gathered.evidence,
        ranking=ranked.ranking,
        summary=drafted.summary,
        mitigation=drafted.mitigation,
        gaps=(*gaps, *gathered.gaps, *(ranked.gaps if ranker else ("No repositories were given: add --repo PATH",))),
        release=ranked.ranking.release if ranked.ranking else "",
    )
    return Found(card=card, seconds={"gather": gathered.seconds, "rank": ranked.seconds, "draft": drafted.seconds})


def _sync(ingestor: Ingestor, specs: Sequence[str], settings: Settings, progress: Progress) -> list[SyncReport]:
    from ingest.sources import open_source

    reports = []
    for spec in specs:

        def tell(seen: int, name: str = spec) -> None:
            progress(f"reading {name}", seen)

        reports.append(ingestor.sync(open_source(spec, settings), tell))
    return reports


def parse_time(text: str | None) -> datetime | None:
    """A time as people write it on a command line: unix seconds or ISO 8601, UTC unless it says otherwise.

    Raises:
        UsageError: it is neither, or no time at which git or we existed.
    """
    if text is None:
        return None
    try:
        moment = _moment(text)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"cannot read the time {text!r}",
            why="it looks like milliseconds" if text.isdigit() else "it is neither unix seconds nor ISO 8601",
            way_out="write it as 1700000000 or 2026-11-20T03:12:00Z",
        ) from None
    if not EARLIEST <= moment <= datetime.now(UTC) + timedelta(days=1):
        year = f" a year is written {text}-01-01," if re.fullmatch(r"\d{4}", text) else ""
        raise UsageError(
            f"cannot use the time {text!r}",
            why=f"it would be {moment:%Y-%m-%d}",
            way_out=f"give a time since 2000 and not in the future:{year} anything else as unix seconds or ISO 8601",
        )
    return moment


#: Before this there was no git; a time before it is a slip.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def _moment(text: str) -> datetime:
    with contextlib.suppress(ValueError):
        return from_unix(float(text))
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def rank_in_bulk(*, repos: Sequence[str], cases: Path, out: Path, progress: Progress) -> int:
    """Rank every incident of a file, by the contract of `rundown rank`; how many there were."""
    from ranking.bulk import rank_cases

    settings = read_settings()
    return rank_cases(
        repos,
        cases,
        out,
        home=settings.home,
        model=open_culprit_model(settings),
        weighing=open_weighing(settings),
        window_days=settings.window_days,
        service_repos=settings.service_repos,
        progress=progress,
    )


def ingest_sources(
    specs: Sequence[str], *, watch: bool, workers: int, progress: Progress, show: Callable[[str], None] | None
) -> list[dict[str, Any]]:
    """Sync sources into the index, once or until interrupted; what each run did.

    Args:
        workers: sources synced at the same time.

    Raises:
        RundownError: a source could not be synced; the others were, and are told first. While watching that is only logged:
            what does not answer now may at the next look.
    """
    from ingest.sources import open_source
    from ingest.workers import sync_together

    settings = read_settings()
    for spec in specs:
        open_source(spec, settings)  # a wrong name is told before the model loads
    with open_live(settings, open_store(settings.store_url)) as live:
        while True:
            reports, refused = sync_together(
                specs,
                lambda spec: live.sync(spec, progress=lambda seen: progress(f"reading {spec}", seen)),
                workers=workers,
            )
            for report in reports if show else ():
                assert show is not None
                show(_told(report))
            for number, (spec, error) in enumerate(refused.items(), 1):
                if not watch and number == len(refused):
                    raise error
                log.warning("%s could not be synced: %s", spec, error)
            if any(report.added or report.updated for report in reports):
                live.current().index.settle()
            if not watch:
                return [to_json(report) | {"seen": report.seen} for report in reports]
            time.sleep(settings.sync_s)
            live.refresh()


def forget_sources(specs: Sequence[str]) -> dict[str, int]:
    """Remove sources from the index; how many documents each had.

    Args:
        specs: as given to `ingest_sources`, or a source's own name; it need not exist any more.
    """
    settings = read_settings()
    store = open_store(settings.store_url)
    known = list(store.sources())
    with open_library(settings, store) as library:
        chosen = {spec: _names_of(spec, known, store, settings) for spec in specs}
        for spec, names in chosen.items():
            if not names:
                raise UsageError(
                    f"cannot forget {spec!r}",
                    why="nothing in the index came from there",
                    way_out=f"the index holds: {', '.join(known) or 'nothing'}",
                )
        gone = {name: library.ingestor.forget(name) for names in chosen.values() for name in names}
        for name in gone:
            store.forget_sync(name)
        return gone


def _names_of(spec: str, known: Sequence[str], store: Store, settings: Settings) -> list[str]:
    """Which of the indexed sources a spec means: by name, by a path however it was typed, or by what opened it."""
    from ingest.sources import open_source

    kind, _, rest = spec.partition(":")
    typed = {spec, f"{kind}:{Path(rest).expanduser().absolute()}"}
    path = f":{Path(spec).expanduser().absolute()}"
    synced = {name for name, last in store.syncs().items() if last.spec == spec}
    named = [name for name in known if name in typed | synced or name.endswith(path)]
    if named:
        return named
    with contextlib.suppress(RundownError):  # it may be gone, or configured no more
        opened = open_source(spec, settings).name
        return [name for name in known if name == opened]
    return []


def _told(report: SyncReport) -> str:
    """A run in words: what changed, then what was left out and why."""
    counts = f"{report.added} added, {report.updated} updated, {report.deleted} deleted, {report.unchanged} unchanged"
    lines = [f"{report.source}: {counts if report.seen or report.deleted else _nothing(report.source)}"]
    lines += [f"  skipped {item.doc_id}: {item.reason}" for item in report.skipped]
    lines += [f"  not shown to readers of {doc_id}, so taken out: {what}" for doc_id, what in report.hidden]
    return "\n".join(lines)


def _nothing(source: str) -> str:
    """That nothing was found, and what would have been."""
    from ingest.sources import what_is_read

    kinds = what_is_read(source)
    if not kinds:
        return "nothing readable was found there. Check that its account may read something"
    where = " committed at its HEAD" if source.startswith("git:") else ""
    return f"nothing readable was found there. Read are {kinds}{where}"
