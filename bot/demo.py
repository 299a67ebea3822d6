"""`rundown demo`: the whole job on this machine, seen from the responder's chair.

Does: build a small world, start the real server against stand-ins of Slack and PagerDuty on loopback, page it, show the card as it
fills in, press a thumb, ask a question, and check what came of it. Does not: shortcut any part; only Slack and PagerDuty are stood in.
"""

from __future__ import annotations

import secrets
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import RundownError

if TYPE_CHECKING:
    from rich.console import Console

    from bot.demo_world import World
    from bot.serve import Server
    from bot.standin.pagerduty import PagerDutyStandIn
    from bot.standin.slack import SlackStandIn

RESPONDER, CHANNEL = "dana", "checkout-oncall"
#: Seconds after which the demo gives up waiting for a step.
PATIENCE_S = 60.0


@dataclass(kw_only=True)
class Stage:
    """Everything the demo acts with."""

    console: Console
    world: World
    slack: SlackStandIn
    pagerduty: PagerDutyStandIn
    server: Server
    channel: str

    def messages(self) -> list[Any]:
        """What Slack shows in the incident's channel."""
        return self.slack.messages(self.channel)

    def wait(self, seen: Callable[[], Any], what: str) -> Any:
        """What `seen` returns once it is true.

        Raises:
            RundownError: it took too long.
        """
        try:
            return self.slack.wait_for(seen, timeout_s=PATIENCE_S)
        except TimeoutError:
            raise RundownError(
                f"the demo waited {PATIENCE_S:g} s for {what}",
                way_out="run it again with RUNDOWN_LOG_LEVEL=debug and report what it says",
            ) from None


def run_demo(console: Console, *, browser: bool = False, keep: Path | None = None) -> int:
    """Run the demo; 0 if every check held.

    Args:
        browser: open the channel as Slack lays it out.
        keep: a folder for the world and the databases, instead of one thrown away.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        folder = (
            keep.absolute() if keep else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rundown-demo-")))
        )
        stage = stack.enter_context(_stage(console, folder))
        incident = _page(stage)
        _thumb(stage, incident)
        _question(stage)
        checks = _checks(stage, incident)
        _report(console, checks, time.monotonic() - started)
        if browser:
            _open(stage, folder if keep else Path(tempfile.mkdtemp(prefix="rundown-card-")))
    return 0 if all(held for held, _ in checks) else 1


@contextmanager
def _stage(console: Console, folder: Path) -> Iterator[Stage]:
    """The world, the stand-ins and the real server, up and with the documents indexed."""
    from bot.demo_world import build_world
    from bot.serve import Server
    from bot.standin.pagerduty import PagerDutyStandIn
    from bot.standin.slack import SlackStandIn
    from core.settings import read_settings

    with console.status("building a repository and a knowledge folder"):
        world = build_world(folder / "world", now=datetime.now(UTC))
    with ExitStack() as stack:
        slack = stack.enter_context(SlackStandIn(users=(RESPONDER,)))
        channel = slack.add_channel(CHANNEL, members=(RESPONDER,))
        pagerduty = stack.enter_context(PagerDutyStandIn())
        secret = secrets.token_hex(16)
        settings = read_settings(
            home=folder / "home",
            slack_bot_token=slack.bot_token,
            slack_app_token=slack.app_token,
            slack_api_url=slack.api_url,
            pagerduty_api_token=pagerduty.token,
            pagerduty_api_url=pagerduty.url,
            pagerduty_webhook_secrets=(secret,),
            service_channels={world.service: CHANNEL},
            repos=(world.repo,),
            docs=(world.docs,),
            http_port=0,
        )
        console.print(
            f"[dim]world[/]   {world.commits} commits by {world.authors} people in {world.repo}, documents in {world.docs}"
        )
        with console.status("starting the server: Slack by Socket Mode, PagerDuty by webhook, workers"):
            server = stack.enter_context(Server(settings))
            stage = Stage(
                console=console, world=world, slack=slack, pagerduty=pagerduty, server=server, channel=channel
            )
            stage.wait(
                lambda: (
                    server.health().get("sync of documents") == "ok"
                    and server.health().get("commits") == "ok"
                    and server.health().get("slack") == "ok"
                ),
                "the server to be ready",
            )
        pagerduty.subscribe(f"{server.web.url}/pagerduty/webhook", secrets=(secret,))
        console.print(f"[dim]server[/]  {server.web.url}, Slack stand-in {slack.url}")
        yield stage


def _page(stage: Stage) -> str:
    """Send the page, and show the card until it is whole; the incident's id."""
    from rich.live import Live

    from bot.terminal import show

    world, paged = stage.world, time.monotonic()
    stage.console.rule("a page fires")
    page = stage.pagerduty.trigger(
        world.title, service=world.service, urgency="high", priority="P1", details=world.details
    )
    incident_id = f"pd:{page['id']}"
    card = stage.wait(lambda: next(iter(stage.messages()), None), "the first post")
    first_post_s = time.monotonic() - paged
    with Live(show(card.to_json()), console=stage.console, refresh_per_second=8) as live:

        def whole() -> bool:
            live.update(show(stage.messages()[0].to_json()))
            return stage.server.steps.finished(incident_id)

        stage.wait(whole, "the whole card")
        whole()
    stage.console.print()
    stage.console.print(
        f"[dim]first post after {first_post_s:.2f} s, whole card after {time.monotonic() - paged:.2f} s, {len(stage.messages()[0].edits) - 1} edits of one message[/]"
    )
    return incident_id


def _thumb(stage: Stage, incident_id: str) -> None:
    """Press 👍 on the cause, as the responder would."""
    stage.console.rule("👍 on the likely cause")
    stage.slack.click(stage.channel, stage.messages()[0].ts, "vote.up.cause", RESPONDER)
    stage.wait(lambda: stage.server.store.feedback(incident_id), "the thumb to be kept")
    said = stage.wait(lambda: stage.slack.ephemerals, "the thumb to be answered")[-1]
    stage.console.print(f"{RESPONDER} pressed 👍; only {RESPONDER} sees: {said.text}", highlight=False)


def _question(stage: Stage) -> None:
    """Ask in the thread, and show the answer."""
    from bot.terminal import show

    stage.console.rule("a question in the thread")
    thread = stage.messages()[0].ts
    before = len(stage.slack.thread(stage.channel, thread))
    stage.console.print(f"{RESPONDER}: @Rundown {stage.world.question}", highlight=False)
    stage.slack.say(stage.channel, RESPONDER, f"<@{stage.slack.bot}> {stage.world.question}", thread_ts=thread)
    # The question itself is one message, the answer the next.
    replies = stage.wait(
        lambda: (found := stage.slack.thread(stage.channel, thread)) and len(found) >= before + 2 and found, "an answer"
    )
    stage.console.print(show(replies[-1].to_json()))


def _checks(stage: Stage, incident_id: str) -> list[tuple[bool, str]]:
    """What the demo promises, and whether it held."""
    card, world = stage.server.steps.card(incident_id), stage.world
    first = card.ranking.culprits[0].commit if card.ranking and card.ranking.culprits else None
    guides = [item for item in card.evidence if item.doc_id == world.runbook_doc_id]
    votes = stage.server.store.feedback(incident_id)
    answer = stage.messages() and stage.slack.thread(stage.channel, stage.messages()[0].ts)[-1]
    return [
        (
            bool(first and first.sha == world.culprit_sha),
            f"the culprit is ranked first: {first.short} {first.subject}" if first else "a culprit was ranked",
        ),
        (
            bool(guides),
            f"the right runbook was found: {world.runbook_doc_id}, {' › '.join(guides[0].section)}"
            if guides
            else f"the right runbook was found: {world.runbook_doc_id}",
        ),
        (
            len(votes) == 1 and votes[0]["vote"] == "up" and votes[0]["item"] == "cause",
            "the thumb is in the store, with the release and evidence it judged",
        ),
        (bool(answer and "nothing on this" not in answer.text), "the question was answered in its thread"),
        (len(stage.messages()) == 1, "one message in the channel, edited in place"),
    ]


def _report(console: Console, checks: list[tuple[bool, str]], seconds: float) -> None:
    console.rule("what came of it")
    for held, what in checks:
        console.print(f"[green]✓[/] {what}" if held else f"[red]✗[/] {what}", highlight=False)
    console.print(f"[dim]{seconds:.1f} s in all[/]", highlight=False)


def _open(stage: Stage, folder: Path) -> None:
    """Lay the channel out as Slack would, and open it."""
    from bot.preview import write_page

    root = stage.messages()[0]
    page = folder / "channel.html"
    shown = [message.to_json() for message in (root, *stage.slack.thread(stage.channel, root.ts))]
    write_page(page, CHANNEL, shown, people={stage.slack.bot: "Rundown", stage.slack.user(RESPONDER): RESPONDER})
    stage.console.print(f"[dim]{page}[/]")
    webbrowser.open(page.as_uri())
