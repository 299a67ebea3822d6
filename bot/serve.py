"""`rundown serve`: every part in one process, up in an order that never loses a page.

Does: open the store, then the edges, then the heavy parts, so that a page is accepted and posted while a model still loads; keep
whatever is down being tried again; stop in reverse. Does not: decide anything about incidents.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from bot.app import Every, open_drafter, open_live, open_ranker
from bot.audience import Audiences
from bot.changes import ChangeSources
from bot.channels import Channels
from bot.delivery import Delivery, make_client
from bot.desk import Desk
from bot.gate import Gate
from bot.http import make_http
from bot.intake import Intake
from bot.investigation import Investigator, attempt
from bot.library import OWN_INCIDENTS
from bot.metrics import Metrics
from bot.names import Names
from bot.pagerduty import PagerDutyWebhook
from bot.responders import Responders
from bot.steps import LiveSteps
from bot.workflow import Workflow
from core.errors import IndexUnavailable, SettingsError, Unavailable
from core.model import IncidentEvent
from core.redaction import RedactSecrets, redact
from core.settings import Settings
from core.store import open_store
from ingest import own_incidents
from ingest.workers import SyncQueue

if TYPE_CHECKING:
    from bot.http import Endpoint
    from bot.library import LiveLibrary
    from ranking.ranker import Ranker
    from retrieval.retriever import Retriever

log = logging.getLogger(__name__)

#: Seconds an investigation waits for a part that is still opening, before it goes on without it and comes back later.
OPENING_S = 20.0
#: Seconds between looks at which generation of the index answers.
POLL_S = 3.0
#: What opens PagerDuty's past incidents.
PAST_INCIDENTS = "pagerduty:"
#: Seconds between looks at what a kill or an outage left behind.
SWEEP_S = 5.0
#: Seconds between looks at who may read what is shown.
RECHECK_S = 10.0


class Server:
    """The whole bot on one port.

    Args:
        settings: everything configured.
        embedder: any `retrieval.embedding.Embedder`; the configured one unless told otherwise.

    Raises:
        SettingsError: Slack is not configured.
        StoreError: the database cannot be opened.
    """

    def __init__(self, settings: Settings, *, embedder: Any = None) -> None:
        _check(settings)
        self.settings, self._embedder = settings, embedder
        self.store = open_store(settings.store_url)
        self.metrics = Metrics()
        self.metrics.watch(self.store)
        self.client = make_client(settings)
        self.library: LiveLibrary | None = None
        self.ranker: Ranker | None = None
        self._down = dict.fromkeys(("documents", "commits"), "degraded: it is still being opened")
        self._opened = {"documents": threading.Event(), "commits": threading.Event()}
        self.investigator = Investigator(
            documents=self._documents,
            commits=self._commits,
            drafter=open_drafter(settings),
            window_days=settings.window_days,
        )
        self._rest = _pagerduty_client(settings)
        self._past_incidents = self._make_past_incidents()
        self._wire()
        self._stack, self._library_stack = ExitStack(), ExitStack()

    def _wire(self) -> None:
        """Connect the parts that need no network to be built."""
        from bot.slack import build_slack

        delivery = Delivery(self.store, self.client)
        self.channels = Channels(self.client, self.settings, self.store)
        self.audiences = Audiences(self.client, self.settings)
        self.names = Names(self.client)
        self._own_incidents = own_incidents.open(
            self.store, self.settings, is_public=self.audiences.is_public, name_of=self.names.of
        )
        gate = Gate(self.audiences, self.investigator)
        self.steps = LiveSteps(
            store=self.store,
            investigator=self.investigator,
            channels=self.channels,
            delivery=delivery,
            gate=gate,
            metrics=self.metrics,
            enrich=self._enrich,
            recheck_days=self.settings.recheck_days,
            changes=ChangeSources(self._rest, self.settings.events_file).before,
            invite=Responders(self._rest, self.client).invite if self._rest is not None else None,
        )
        self.workflow = Workflow(self.steps, self.store, self.settings)
        # One a source: of two services that are read for the first time, neither holds up what a folder closed.
        workers = max(self.settings.sync_workers, len(self._document_specs()))
        self.syncs = SyncQueue(self._sync_source, workers=workers, worker=self.settings.worker)
        self.intake = Intake(self.store, self.workflow.wake, self.audiences.heed)
        self.poller = self._make_poller()
        desk = Desk(
            store=self.store,
            steps=self.steps,
            investigator=self.investigator,
            gate=gate,
            delivery=delivery,
            settings=self.settings,
            metrics=self.metrics,
            health=self.health,
        )
        self.steps.slack = build_slack(self.client, desk, self.store, self.channels)

    def _make_poller(self) -> Any:
        if self._rest is None:
            return None
        from bot.pagerduty_poller import PagerDutyPoller

        return PagerDutyPoller(self._rest, self.intake, self.store, self.settings, metrics=self.metrics)

    def _make_past_incidents(self) -> Any:
        """PagerDuty's resolved incidents as documents. One for the process, with its client."""
        if self._rest is None:
            return None
        from ingest.pagerduty import PagerDutySource

        return PagerDutySource(self._rest, services=self.settings.pagerduty_services)

    def _enrich(self, incident_id: str) -> IncidentEvent | None:
        """What PagerDuty's REST API adds to its webhook; nothing without a key."""
        if self._rest is None:
            return None
        from bot.pagerduty_poller import enrich
        from ingest.pagerduty_client import PagerDutyRefused

        try:
            return enrich(self._rest, incident_id)
        except PagerDutyRefused as error:  # asking again changes nothing
            log.warning("no details of %s: %s", incident_id, error)
            return None

    # -- up and down ---------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Take pages. Returns once the port answers; the heavy parts follow in the background.

        Raises:
            SettingsError: the port cannot be bound.
        """
        from bot.web import WebServer

        self._stack.callback(self.store.close)
        if self._rest is not None:
            self._stack.callback(self._rest.close)
        self._stack.callback(self._library_stack.close)
        self.workflow.launch()
        self.syncs.launch()
        self._stack.callback(self.workflow.close)
        self.web = self._stack.enter_context(
            WebServer(self._http(), host=self.settings.http_host, port=self.settings.http_port)
        )
        self._start_socket_mode()
        for seconds, act, name in self._chores():
            chore = Every(seconds, act, name)
            chore.start()
            self._stack.callback(chore.stop)
        return self

    def stop(self) -> None:
        """Stop taking pages, then close everything; what is under way is finished by the next process."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _http(self) -> Any:
        secrets = self.settings.pagerduty_webhook_secrets
        webhook = PagerDutyWebhook(self.intake, secrets=secrets, metrics=self.metrics)
        return make_http(pagerduty=webhook, metrics=self.metrics, ready=self.health, slack=self._slack_endpoint())

    def _slack_endpoint(self) -> Endpoint | None:
        secret = self.settings.slack_signing_secret
        if secret is None:
            return None
        from bot.slack_edge import SlackEndpoint

        return SlackEndpoint(self.intake, signing_secret=secret.get_secret_value(), metrics=self.metrics)

    def _start_socket_mode(self) -> None:
        self.socket: Any = None
        if self.settings.slack_app_token is None:
            return
        from bot.socket_mode import SocketEdge

        self.socket = SocketEdge(
            self.settings.slack_app_token.get_secret_value(), self.settings.slack_api_url, self.intake
        )
        self.socket.start()
        self._stack.callback(self.socket.close)

    # -- chores --------------------------------------------------------------------------------------------------

    def _chores(self) -> list[tuple[float, Callable[[], object], str]]:
        chores: list[tuple[float, Callable[[], object], str]] = [
            (SWEEP_S, self._sweep, "sweep"),
            (RECHECK_S, self.steps.recheck, "check of who may read what is shown"),
            (self.settings.sync_s, self._sync, "sync of histories"),
            (POLL_S, self._notice, "look at which index answers"),
            (min(POLL_S, self.settings.sync_s), self._sync_documents, "sync of documents"),
        ]
        if self.poller is not None:
            poller = self.poller
            chores.append(
                (self.settings.pagerduty_poll_s, lambda: poller.poll_once(datetime.now(UTC)), "PagerDuty poll")
            )
        return chores

    def _sweep(self) -> None:
        attempt("looking for unfinished work", self.workflow.sweep)
        attempt("sending what waits", self.steps.resend)

    def _sync(self) -> None:
        """Open what is not open yet, then read what changed in git and Slack. A part that is down is tried again next time."""
        self._keep("documents", self._open_documents)
        self._keep("commits", self._sync_commits)
        self._keep("channels", self.channels.join_listed)
        attempt("looking up names in Slack", self.names.look_up)
        if self.ranker:  # last, as nothing else waits for it
            attempt("reading changed lines ahead", partial(self.ranker.read_ahead, datetime.now(UTC)))

    def _open_documents(self) -> None:
        if self.library is None:
            self.library = self._library_stack.enter_context(
                open_live(self.settings, self.store, embedder=self._embedder)
            )
        self.library.current().retriever.warm()

    def _document_specs(self) -> list[str]:
        past = [] if self._past_incidents is None else [PAST_INCIDENTS]
        return [*self.settings.docs, *past, OWN_INCIDENTS]

    def _sync_documents(self) -> None:
        """Begin the sync of each source that is due, and remember whether all went well. It waits for none of them."""
        if self.library is None or self._down["documents"] != "ok":
            return
        begin = partial(self.syncs.keep_up, self._document_specs(), every_s=self.settings.sync_s)
        ended, gap = attempt("sync of documents", begin)
        refused = [f"{spec}: {why}" for spec, why in (ended or {}).items() if why]
        if gap or refused:
            self._down["sync of documents"] = f"degraded: {gap or '; '.join(refused)}"
        elif ended and None not in ended.values():  # before, nothing is known of it
            self._down["sync of documents"] = "ok"

    def _sync_source(self, spec: str) -> None:
        """One source, in a worker of the queue. What a killed process left there may come before the index is open."""
        if self.library is None:
            raise IndexUnavailable("the index of documents is not open", why="it is still being opened")
        open_now = {PAST_INCIDENTS: self._past_incidents, OWN_INCIDENTS: self._own_incidents}
        self.library.sync(spec, source=open_now.get(spec))

    def _notice(self) -> None:
        """Take up a rebuilt index, and bring it to what the sources hold now."""
        if self.library is not None and self.library.refresh():
            self.syncs.hurry()

    def _sync_commits(self) -> None:
        """Read new commits. A repository that could not be opened is tried again every time."""
        if self.ranker is None or len(self.ranker.repos) < len(self.settings.repos):
            opened = open_ranker(self.settings, serving=True)
            # One that reads no more than the old one would only forget what that one has read already.
            if self.ranker is None or (opened and len(opened.repos) > len(self.ranker.repos)):
                self.ranker = opened
        problems = self.ranker.refresh() if self.ranker else ()
        if self.ranker:
            attempt("reading ahead", partial(self.ranker.warm, datetime.now(UTC)))
        if problems:
            raise Unavailable("some commit histories could not be read", why="; ".join(problems))

    def _keep(self, part: str, act: Callable[[], object]) -> bool:
        """Do a chore, and remember for /readyz and the card whether its part is down; whether it is up."""
        _, gap = attempt(part, act)
        self._down[part] = f"degraded: {gap}" if gap else "ok"
        if part in self._opened:
            self._opened[part].set()
        return gap is None

    def _documents(self) -> Retriever | None:
        """The search over documents, waiting a moment while it opens."""
        self._opened["documents"].wait(OPENING_S)
        if self.library is None:
            raise IndexUnavailable(
                "the index of documents is not open",
                why=self._down.get("documents", "it is still being opened").removeprefix("degraded: "),
            )
        return self.library.current().retriever

    def _commits(self) -> Ranker | None:
        """The ranker, waiting a moment while histories are indexed for the first time."""
        if not self._opened["commits"].wait(OPENING_S):
            raise Unavailable("the commit histories are not ready", why="they are being indexed for the first time")
        if self.ranker is None and self.settings.repos:
            raise Unavailable(
                "the commit histories are not open", why=self._down.get("commits", "unknown").removeprefix("degraded: ")
            )
        return self.ranker

    def health(self) -> Mapping[str, str]:
        """Each part and how it is, for /readyz and `/rundown status`."""
        # A copy: other threads write down parts that are heard of for the first time.
        parts = {"store": "ok", **{part: redact(state) for part, state in self._down.copy().items()}}
        _, gap = attempt("store", self.store.inbox_counts)
        if gap:
            parts["store"] = gap
        if self.socket is not None:
            parts["slack"] = "ok" if self.socket.connected() else "degraded: no Socket Mode connection"
        return parts


def _check(settings: Settings) -> None:
    if settings.slack_bot_token is None:
        raise SettingsError(
            "cannot serve without Slack",
            why="RUNDOWN_SLACK_BOT_TOKEN is not set",
            way_out="see README, 'Run it for your team', or try `rundown demo`",
        )
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        raise SettingsError(
            "cannot hear Slack",
            why="neither RUNDOWN_SLACK_APP_TOKEN (Socket Mode) nor RUNDOWN_SLACK_SIGNING_SECRET (HTTP) is set",
            way_out="set the app-level token; Socket Mode needs no public address",
        )


def _pagerduty_client(settings: Settings) -> Any:
    if settings.pagerduty_api_token is None:
        return None
    from ingest.pagerduty_client import open_client

    return open_client(settings)


def set_up_logging(settings: Settings) -> None:
    """Log to standard error, with secrets taken out of every line."""
    handler = logging.StreamHandler()
    handler.addFilter(RedactSecrets())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for noisy in ("httpx", "httpx2", "httpcore", "slack_bolt", "slack_sdk", "alembic", "dbos", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def serve_forever(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    set_up_logging(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with Server(settings) as server:
        log.info("Rundown takes PagerDuty's pages at %s/pagerduty/webhook", server.web.url)
        stopping.wait()
        log.info("stopping; what is under way is finished by the next process")
    return 0
