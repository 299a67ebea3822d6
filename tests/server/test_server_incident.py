"""The whole server against both stand-ins: what people see when all is well, and when a part is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bot.demo_world import World, build_world
from bot.serve import Server
from bot.standin.pagerduty import PagerDutyStandIn
from bot.standin.slack import Fault, SlackStandIn
from bot.web import WebServer
from core.settings import read_settings
from ranking.scorer import read_weighing
from retrieval.embedding import open_embedder

SECRET = "webhook-secret"
#: In the shape of a Slack token; put together here so that no scanner finds one in the repository.
TOKEN = "-".join(("xoxb", "123456789012", "1234567890123", "abcdefABCDEF123456789012"))


@dataclass(kw_only=True)
class Scene:
    """A running server, and the people around it."""

    server: Server
    slack: SlackStandIn
    pagerduty: PagerDutyStandIn
    world: World
    channel: str

    def page(self, **more: Any) -> str:
        """Send the world's page; the incident's id."""
        given = {"service": self.world.service, "urgency": "high", "details": self.world.details, **more}
        return f"pd:{self.pagerduty.trigger(self.world.title, **given)['id']}"

    def wait(self, seen: Callable[[], Any]) -> Any:
        return self.slack.wait_for(seen, timeout_s=30)

    def whole(self, incident_id: str) -> dict[str, Any]:
        """The card as Slack shows it, once the investigation is over."""
        self.wait(lambda: self.server.steps.finished(incident_id))
        return self.shown(incident_id)

    def shown(self, incident_id: str) -> dict[str, Any]:
        message = self.server.store.message(f"card:{incident_id}")
        return next(posted for posted in self.slack.messages(message.channel) if posted.ts == message.ts).to_json()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), now=datetime.now(UTC))


@pytest.fixture
def scene(world: World, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes a running server; settings may be overridden."""
    with ExitStack() as stack:

        def make(**overrides: Any) -> Scene:
            return stack.enter_context(_scene(world, tmp_path / "home", overrides))

        yield make


@contextmanager
def _scene(world: World, home: Path, overrides: dict[str, Any]) -> Iterator[Scene]:
    with SlackStandIn(users=("dana",)) as slack, PagerDutyStandIn() as pagerduty:
        channel = slack.add_channel("checkout-oncall", members=("dana",))
        settings = {
            "home": home,
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_api_url": slack.api_url,
            "pagerduty_api_token": pagerduty.token,
            "pagerduty_api_url": pagerduty.url,
            "pagerduty_webhook_secrets": (SECRET,),
            "service_channels": {world.service: "checkout-oncall"},
            "repos": (world.repo,),
            "docs": (world.docs,),
            "http_port": 0,
            **overrides,
        }
        with Server(read_settings(**settings), embedder=open_embedder("hash")) as server:
            slack.wait_for(
                lambda: server.health().get("slack") == "ok" and server.health()["commits"] == "ok", timeout_s=30
            )
            pagerduty.subscribe(f"{server.web.url}/pagerduty/webhook", secrets=(SECRET,))
            yield Scene(server=server, slack=slack, pagerduty=pagerduty, world=world, channel=channel)


def text_of(message: Any) -> str:
    """Everything a message says, as one text."""
    return str(message)


def test_a_page_becomes_one_card_that_follows_its_incident(scene):
    """Triggered, acknowledged, annotated, given a priority and resolved: one message, edited."""
    on = scene()
    incident = on.page()
    opened = on.whole(incident)
    number = incident.removeprefix("pd:")
    on.pagerduty.acknowledge(number, user="Dana")
    on.pagerduty.annotate(number, "Rolled checkout back", user="Dana")
    on.pagerduty.set_priority(number, "P1", user="Dana")
    on.wait(lambda: "P1" in text_of(on.shown(incident)) and "Dana" in text_of(on.shown(incident)))
    on.pagerduty.resolve(number, user="Dana")
    on.wait(lambda: "🟢" in text_of(on.shown(incident)))

    assert on.world.culprit_sha[:10] in text_of(opened)
    assert "Rolled checkout back" in text_of(on.shown(incident))
    assert len(on.slack.messages(on.channel)) == 1


def test_an_index_that_is_down_delays_nothing_and_is_said(scene, closed_port):
    """The card names the commit, and says that documents could not be searched."""
    on = scene(qdrant_url=f"http://127.0.0.1:{closed_port}")
    card = text_of(on.whole(on.page()))

    assert on.world.culprit_sha[:10] in card
    assert "Document search is unavailable" in card


def test_a_model_that_hangs_leaves_the_extractive_card(scene):
    """Words come late or never; the card does not."""

    released = threading.Event()

    def hang(_request: Any) -> JSONResponse:
        released.wait(30)
        return JSONResponse({})

    with WebServer(Starlette(routes=[Route("/v1/chat/completions", hang, methods=["POST"])])) as endpoint:
        on = scene(llm_url=f"{endpoint.url}/v1", llm_model="hung", llm_timeout_s=0.5)
        card = text_of(on.whole(on.page()))
        released.set()
        for thread in [thread for thread in threading.enumerate() if thread.name.startswith("llm-")]:
            thread.join(10)

    assert "quoted from the sources" in card
    assert "rundown_model_failures_total" in on.server.metrics.page()[0].decode()


def test_slack_down_when_the_page_comes(scene):
    """Three calls fail, two of them after taking effect; in the end there is one card, whole."""
    on = scene()
    for nth, fault in enumerate((Fault(how="status"), Fault(how="drop", committed=True), Fault(how="html")), start=1):
        on.slack.fault("chat.postMessage", fault, nth=nth)
    incident = on.page()
    on.wait(lambda: (message := on.server.store.message(f"card:{incident}")) and message.ts)
    on.whole(incident)

    assert len(on.slack.messages(on.channel)) == 1


def test_the_poll_finds_what_no_webhook_told(scene):
    """No subscription reaches us; the second source does."""
    with PagerDutyStandIn() as silent:
        on = scene(pagerduty_api_token=silent.token, pagerduty_api_url=silent.url, pagerduty_poll_s=0.2)
        incident = f"pd:{silent.trigger(on.world.title, service=on.world.service)['id']}"
        on.wait(lambda: on.server.store.message(f"card:{incident}"))
        on.whole(incident)

    assert len(on.slack.messages(on.channel)) == 1


def test_a_service_without_a_channel_gets_one_of_its_own(scene):
    """Named after the incident, with the prefix that the bot listens to; whoever was paged is invited."""
    on = scene()
    paged = on.slack.workspace.add_user("eve")
    on.slack.workspace.user(paged).email = "on.call@example.com"
    incident = on.page(service="warehouse")
    on.wait(lambda: on.server.store.channel_of(incident))
    channel = on.slack.workspace.channel(on.server.store.channel_of(incident))
    on.wait(lambda: paged in channel.members)

    assert channel.name.startswith("inc-")


def test_what_people_said_is_found_again_under_their_names(scene):
    """Once the incident is over: the words in its thread, and who said them, as Slack tells."""
    on = scene(sync_s=0.3)
    incident = on.page()
    on.whole(incident)
    thread = on.server.store.message(f"card:{incident}").ts
    on.slack.say(on.channel, "dana", "the reservoir pump had lost its prime", thread_ts=thread)
    on.wait(lambda: "reservoir" in text_of(on.server.store.incident_events(incident)))
    on.pagerduty.resolve(incident.removeprefix("pd:"), user="Dana")

    def told() -> str:
        found = on.server.library.current().retriever.search("the reservoir pump had lost its prime", limit=5)
        return next((item.text for item in found if "lost its prime" in item.text and "dana (" in item.text), "")

    assert "somebody in Slack" not in on.wait(told)


def test_a_secret_in_the_alert_is_nowhere_to_be_read(scene):
    """Neither on the card, nor in an answer, nor in the training row of a thumb."""
    on = scene()
    incident = on.page(details={"description": f"login failed with token {TOKEN}"})
    card = on.whole(incident)
    on.slack.click(on.channel, card["ts"], "vote.up.summary", "dana")
    rows = on.wait(lambda: on.server.store.feedback(incident))

    assert TOKEN not in text_of((card, [reply.to_json() for reply in on.slack.thread(on.channel, card["ts"])], rows))


def test_a_vote_is_kept_once_a_person_with_what_it_judged(scene):
    """A change of mind replaces the first word; the row says which release and commits were on show."""
    on = scene()
    incident = on.page()
    card = on.whole(incident)
    on.slack.click(on.channel, card["ts"], "vote.up.cause", "dana")
    on.wait(lambda: on.server.store.feedback(incident))
    on.slack.click(on.channel, card["ts"], "vote.down.cause", "dana")
    on.wait(lambda: on.server.store.feedback(incident)[0]["vote"] == "down")
    (row,) = on.server.store.feedback(incident)

    assert row["release"].startswith(read_weighing().release)
    assert f"commit:{on.world.culprit_sha}" in row["evidence"]
    assert row["judged"]["finding"]["ranking"][0]["sha"] == on.world.culprit_sha


def test_this_is_the_culprit_settles_the_card(scene):
    """A responder's word comes before the ranking's."""
    on = scene()
    incident = on.page()
    card = on.whole(incident)
    on.slack.click(on.channel, card["ts"], f"vote.culprit.commit:{on.world.culprit_sha}", "dana")

    on.wait(lambda: "Confirmed" in text_of(on.shown(incident)))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("help", "/rundown investigate"),
        ("", "/rundown investigate"),
        ("status", "No open incident"),
        ("postmortem", "I know no incident in this channel"),
        ("postmortem 999", "'999'"),
        ("investigate", "Say what is wrong"),
    ],
)
def test_every_command_is_answered(scene, command, said):
    """To the person who typed it, and to nobody else."""
    on = scene()
    on.slack.command(on.channel, "dana", command)
    answer = on.wait(lambda: on.slack.ephemerals)[-1]

    assert said in text_of((answer.text, answer.blocks))


def test_investigate_and_postmortem_from_slack(scene):
    """A typed investigation gets its card; the postmortem draft goes to the thread."""
    on = scene()
    on.slack.command(on.channel, "dana", f"investigate {on.world.title} PoolTimeout: no free connection")
    root = on.wait(lambda: on.slack.messages(on.channel))[0]
    incident = on.server.store.incident_in(on.channel)
    on.whole(incident.id)
    on.slack.command(on.channel, "dana", "postmortem")
    on.wait(lambda: any("Timeline" in text_of(reply.blocks) for reply in on.slack.thread(on.channel, root.ts)))

    assert on.world.culprit_sha[:10] in text_of(on.shown(incident.id))


def test_a_question_nothing_answers_is_told_so(scene):
    """Plainly, in the thread, with no invention."""
    on = scene()
    card = on.whole(on.page())
    on.slack.say(on.channel, "dana", f"<@{on.slack.bot}> how do I renew the zeppelin licence?", thread_ts=card["ts"])
    reply = on.wait(
        lambda: [
            r
            for r in on.slack.thread(on.channel, card["ts"])
            if "zeppelin" in r.text + text_of(r.blocks) and r.user == on.slack.bot
        ]
    )[-1]

    assert "nothing on this" in text_of(reply.to_json())


def test_a_part_that_is_heard_of_while_health_is_told_breaks_nothing(scene, monkeypatch):
    """The first sync of documents ends in another thread."""
    on = scene()

    def hear(state: str) -> str:
        on.server._down.setdefault("sync of wikis", "ok")
        return state

    monkeypatch.setattr("bot.serve.redact", hear)

    assert on.server.health()["commits"] == "ok"
    assert on.server.health()["sync of wikis"] == "ok"


def test_health_and_readiness_over_http(scene):
    """Alive, ready, and what Prometheus reads."""
    import httpx

    on = scene()
    on.wait(lambda: httpx.get(f"{on.server.web.url}/readyz").json()["status"] == "ready")
    answers = {path: httpx.get(on.server.web.url + path) for path in ("/healthz", "/readyz", "/metrics")}

    assert [answer.status_code for answer in answers.values()] == [200, 200, 200]
    assert "rundown_first_post_seconds" in answers["/metrics"].text


def test_slack_over_http_instead_of_a_socket(world, tmp_path, closed_port):
    """Signed requests to POST /slack/events do what Socket Mode does."""
    address = f"http://127.0.0.1:{closed_port}/slack/events"
    with SlackStandIn(users=("dana",), request_url=address) as slack:
        channel = slack.add_channel("checkout-oncall", members=("dana",))
        settings = read_settings(
            home=tmp_path / "home",
            slack_bot_token=slack.bot_token,
            slack_signing_secret=slack.signing_secret,
            slack_api_url=slack.api_url,
            http_port=closed_port,
        )
        with Server(settings, embedder=open_embedder("hash")):
            slack.command(channel, "dana", "help")
            answer = slack.wait_for(lambda: slack.ephemerals, timeout_s=30)[-1]

    assert "/rundown investigate" in text_of((answer.text, answer.blocks))


@pytest.fixture
def guarded(scene, tmp_path):
    """A server whose runbook is for the group sre, where dana is; its incidents go to a private channel with dana."""
    docs = tmp_path / "docs"
    docs.mkdir()
    steps = (
        "# Checkout is slow\n\n## Mitigation\n\n1. Drain the blue reservoir of connections, then restart checkout.\n"
    )
    (docs / "checkout.md").write_text(f"---\nreaders: [group:sre]\n---\n{steps}")

    def make() -> Scene:
        on = scene(docs=(str(docs),), service_channels={}, default_channel="war-room")
        on.slack.workspace.set_group("sre", ["dana"])
        on.channel = on.slack.add_channel("war-room", private=True, members=[on.slack.bot, "dana"])
        on.wait(lambda: on.server.library and on.server.library.current().index.count())
        return on

    return make


def test_a_newcomer_is_not_shown_what_they_may_not_read(guarded):
    """Card and thread lose it as soon as Slack tells of them, and say that something is missing."""
    on = guarded()
    incident = on.page()
    before = text_of(on.whole(incident))
    on.slack.join("war-room", "eve")
    on.wait(lambda: "blue reservoir" not in text_of(on.shown(incident)))

    assert "blue reservoir" in before
    assert "1 document, taken out" in text_of(on.shown(incident))


def test_what_the_asker_may_read_is_sent_to_them_alone(guarded):
    """Asked where others read along: an offer to one person, and on a press the answer in their direct messages."""
    on = guarded()
    on.slack.add_channel("lobby", members=[on.slack.bot, "dana", "eve"])
    on.slack.say("lobby", "dana", f"<@{on.slack.bot}> how do I drain the blue reservoir of checkout?")
    offer = on.wait(lambda: on.slack.ephemerals)[0]
    on.slack.click_ephemeral(offer, "private.answer", "dana")
    direct = on.slack.direct("dana")
    (answer,) = on.wait(lambda: on.slack.messages(direct))

    assert "restart checkout" in text_of(answer.to_json())
    assert "restart checkout" not in text_of(
        [m.to_json() for m in on.slack.workspace.channel("lobby").messages.values()]
    )
