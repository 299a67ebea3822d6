"""Doctor finds what is wrong, says what to do, changes nothing and never hangs."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from bot.demo_world import build_world
from bot.doctor import exit_code, show, to_dict
from bot.doctor import run_doctor as run_doctor_in_time
from bot.doctor.check import Check
from bot.standin.pagerduty import PagerDutyStandIn
from bot.standin.slack import SlackStandIn
from core.settings import read_settings
from core.store import open_store
from ingest.sources import open_source


def run_doctor(settings, *, deep: bool = False) -> list[Check]:
    """Doctor with more patience than a person has: the machine that tests may be busy."""
    return run_doctor_in_time(settings, deep=deep, patience_s=90)


def found(name: str, **overrides) -> Check:
    """The check of that name."""
    checks = {check.name: check for check in run_doctor(read_settings(**overrides))}
    assert name in checks, f"there are {sorted(checks)}"
    return checks[name]


def states(prefix: str, **overrides) -> dict[str, str]:
    """What the checks whose names begin so say, by the rest of the name."""
    checks = run_doctor(read_settings(**overrides))
    return {check.name.removeprefix(prefix).strip(): check.state for check in checks if check.name.startswith(prefix)}


@contextmanager
def answering(status: int = 200, body: object = "", headers: dict[str, str] | None = None) -> Iterator[str]:
    """A server that answers everything the same; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(raw)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world"), now=datetime.now(UTC))


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn(channels=("general", "checkout-oncall")) as standin:
        yield standin


@pytest.fixture
def pagerduty() -> Iterator[PagerDutyStandIn]:
    with PagerDutyStandIn() as standin:
        yield standin


# -- as a whole --------------------------------------------------------------------------------------------------


def test_a_fresh_machine_is_well(home):
    """Nothing configured: what is there works, the rest is off, and looking made nothing."""
    checks = run_doctor(read_settings(http_port=0))

    assert {check.state for check in checks} == {"ok", "off"}
    assert exit_code(checks) == 0
    assert not home.exists()


def test_everything_configured_is_well(slack, pagerduty, world, home):
    """Both accounts, a repository and documents: no failure, each part looked at."""
    pagerduty.subscribe("https://rundown.example/pagerduty/webhook", secrets=("s",))
    settings = read_settings(
        slack_bot_token=slack.bot_token,
        slack_app_token=slack.app_token,
        slack_api_url=slack.api_url,
        default_channel="#general",
        service_channels={"checkout": "checkout-oncall"},
        pagerduty_api_token=pagerduty.token,
        pagerduty_api_url=pagerduty.url,
        pagerduty_webhook_secrets=("s",),
        repos=(world.repo,),
        docs=(world.docs,),
        http_port=0,
    )
    store = open_store(settings.store_url)
    store.set_indexed(open_source(world.docs).name, "runbooks/checkout.md", digest="1", chunks=1)
    store.note_sync(open_source(world.docs).name, spec=str(world.docs), began_at=time.time())
    store.close()
    checks = {check.name: check for check in run_doctor(settings)}

    assert {name: check for name, check in checks.items() if check.state in ("fail", "warn")} == {}
    assert [name for name, check in checks.items() if check.state == "off"] == [
        "Slack signing secret",
        "Writing model",
        "Ranking model",
    ]
    assert checks["Documents knowledge"].found.startswith("1 indexed")
    assert checks["Repository shop"].found.startswith("45 commits in the last 14 days, the latest 2")
    assert slack.called("chat.postMessage") == slack.called("conversations.join") == []


def test_everything_that_is_not_well_says_what_to_do(closed_port, tmp_path):
    """No failure and no warning without a way out, and no secret in either."""
    checks = run_doctor(
        read_settings(
            database_url=f"postgresql+psycopg://u:hunter2@127.0.0.1:{closed_port}/db?connect_timeout=2",
            slack_bot_token="xoxb-123456789012-123456789012-AbCdEfGhIjKlMnOpQrStUvWx",
            slack_app_token="xapp-1-A0123456789-1234567890123-0123456789abcdef0123456789abcdef",
            slack_api_url=f"http://127.0.0.1:{closed_port}/api/",
            pagerduty_api_token="u+PagerDutyKey12345x",
            pagerduty_api_url=f"http://127.0.0.1:{closed_port}",
            qdrant_url=f"http://127.0.0.1:{closed_port}",
            llm_url=f"http://127.0.0.1:{closed_port}/v1",
            llm_api_key="hunter2",
            ranker_model=str(tmp_path),
            embedding_model="no such model!",
            repos=(tmp_path / "gone",),
            docs=(tmp_path / "gone",),
            http_host="192.0.2.1",
        )
    )
    printed = json.dumps([to_dict(check) for check in checks])

    assert [check.name for check in checks if check.state in ("fail", "warn") and not check.way_out] == []
    assert {check.name for check in checks if check.state == "fail"} == {
        "Store",
        "Port",
        "Slack bot token",
        "Slack app token",
        "PagerDuty REST key",
        "Documents gone",
        "Index",
        "Embedding model",
        "Repository gone",
        "Writing model",
        "Ranking model",
    }
    assert [word for word in ("hunter2", "AbCdEfGh", "PagerDutyKey", "0123456789abcdef") if word in printed] == []
    assert exit_code(checks) == 1


def test_an_examination_that_hangs_is_given_up():
    """A server that accepts and never answers costs the patience given, not more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = read_settings(llm_url=url, qdrant_url=url, http_port=0)
        started = time.monotonic()
        checks = {check.name: check for check in run_doctor_in_time(settings, patience_s=1.0)}

    assert time.monotonic() - started < 30
    assert (checks["Writing model"].state, checks["Writing model"].found) == ("fail", "no answer within 1 s")
    assert len(checks) > 10


def test_the_table_shows_each_check_and_sums_up():
    """On a terminal: a mark, a name, what was found, what to do; markup in it stays text."""
    checks = [
        Check(name="git", state="ok", found="2.39"),
        Check(name="Home", state="fail", found="[/red] full", way_out="make room"),
        Check(name="Index", state="warn", found="old", way_out="rebuild it"),
        Check(name="Slack", state="off", found="no token"),
    ]
    console = Console(file=io.StringIO(), width=60)
    console.print(show(checks))
    told = console.file.getvalue()

    assert [line for line in told.splitlines() if "[/red] full" in line or "→ make room" in line] != []
    assert told.rstrip().endswith("1 to mend, 1 to look at, 1 well, 1 not in use.")


# -- this machine ------------------------------------------------------------------------------------------------


def test_a_misspelt_setting_is_noticed(monkeypatch, tmp_path):
    """In the environment and in .env, with the name that was meant."""
    monkeypatch.setenv("RUNDOWN_SLAK_BOT_TOKEN", "x")
    (tmp_path / ".env").write_text("RUNDOWN_REPO=/srv/shop\n")
    check = found("Settings")

    assert check.state == "warn"
    assert "RUNDOWN_SLAK_BOT_TOKEN (did you mean RUNDOWN_SLACK_BOT_TOKEN?)" in check.found
    assert "RUNDOWN_REPO (did you mean RUNDOWN_REPOS?)" in check.found


def test_git_is_missing(monkeypatch, tmp_path):
    """Without git no commit can be ranked."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert found("git").state == "fail"


def test_a_home_that_cannot_be_written(tmp_path):
    """For example below a file."""
    (tmp_path / "file").write_text("")

    assert found("Home", home=tmp_path / "file" / "home").state == "fail"


def test_a_new_store_is_well_and_not_made(home):
    """The first start makes it, not doctor."""
    assert found("Store").state == "ok"
    assert not home.exists()


def test_requests_that_were_given_up_are_reported():
    """Something a person should look at, though the store is well."""
    store = open_store(read_settings().store_url)
    row_id, _ = store.receive(source="slack", event_id="e", kind="k", raw=b"")
    store.finish_inbox(row_id, error="not JSON")
    store.close()
    check = found("Store")

    assert (check.state, check.found.split("accepted: ")[1]) == ("warn", "1 failed")


@pytest.mark.parametrize(("revision", "state"), [("0000", "warn"), ("9999", "fail")])
def test_tables_of_another_version(revision, state):
    """Older ones are brought up to date by a start; newer ones refuse."""
    store = open_store(read_settings().store_url)
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    store.close()

    assert found("Store").state == state


def test_postgres_is_looked_into(postgres_url):
    """An empty database is fine: the first start makes its tables."""
    assert found("Store", database_url=postgres_url).found == "Postgres, empty: the first start makes its tables"


def test_the_port_is_free_ours_or_somebody_else_s():
    """A running Rundown answers /healthz; anything else on the port has to go."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0)
        port = taken.getsockname()[1]
        stranger = found("Port", http_port=port)
    with answering(body="ok") as url:
        ours = found("Port", http_port=int(url.rpartition(":")[2]))

    assert (stranger.state, ours.state) == ("fail", "ok")
    assert found("Port", http_port=port).state == "ok"


# -- Slack -------------------------------------------------------------------------------------------------------


def test_slack_is_well(slack):
    """Token, scopes, clock, channels and Socket Mode."""
    overrides = {"slack_bot_token": slack.bot_token, "slack_app_token": slack.app_token, "slack_api_url": slack.api_url}

    assert states("Slack", **overrides) == {
        "bot token": "ok",
        "scopes": "ok",
        "channels": "ok",
        "app token": "ok",
        "signing secret": "off",
    }


@pytest.mark.parametrize(
    ("bot", "app", "secret", "failing"),
    [
        ("xoxb-wrong", None, "s", {"bot token"}),
        ("xapp-swapped", "xoxb-swapped", None, {"bot token", "app token"}),
        (None, "xapp-stand-in", None, {"bot token"}),
        ("xoxb-stand-in", "xapp-wrong", None, {"app token"}),
        ("xoxb-stand-in", None, None, {"app token", "signing secret"}),
        ("xoxb-stand-in", None, "s", set()),
    ],
)
def test_wrong_slack_tokens(slack, bot, app, secret, failing):
    """Wrong, swapped or missing: exactly that one fails."""
    found_states = states(
        "Slack", slack_bot_token=bot, slack_app_token=app, slack_signing_secret=secret, slack_api_url=slack.api_url
    )

    assert {name for name, state in found_states.items() if state == "fail"} == failing


@pytest.mark.parametrize(
    ("scopes", "state", "says"),
    [
        (lambda wanted: wanted - {"chat:write"}, "fail", "missing: chat:write"),
        (lambda wanted: wanted | {"admin"}, "warn", "more than needed: admin"),
        (lambda wanted: wanted, "ok", "of the manifest"),
    ],
)
def test_scopes_are_compared_with_the_manifest(scopes, state, says):
    """Too few break it, too many are a risk."""
    from bot.doctor.slack import _manifest_scopes

    headers = {"X-OAuth-Scopes": ", ".join(scopes(_manifest_scopes())), "Date": format_datetime(datetime.now(UTC))}
    with answering(body={"ok": True, "user": "rundown", "team": "Shop"}, headers=headers) as url:
        check = found("Slack scopes", slack_bot_token="xoxb-1", slack_signing_secret="s", slack_api_url=f"{url}/api/")

    assert (check.state, says in check.found) == (state, True)


@pytest.mark.parametrize(("away_s", "state"), [(2, "ok"), (120, "warn"), (-400, "fail")])
def test_a_wrong_clock_is_noticed(away_s, state):
    """Signatures are refused five minutes from Slack's time."""
    headers = {"Date": format_datetime(datetime.now(UTC) + timedelta(seconds=away_s), usegmt=True)}
    with answering(body={"ok": True}, headers=headers) as url:
        check = found("Clock", slack_bot_token="xoxb-1", slack_signing_secret="s", slack_api_url=f"{url}/api/")

    assert check.state == state


def test_channels_that_are_not_there_are_named(slack):
    """A misspelt channel would swallow pages."""
    check = found(
        "Slack channels",
        slack_bot_token=slack.bot_token,
        slack_app_token=slack.app_token,
        slack_api_url=slack.api_url,
        default_channel="#generl",
        listen_channels=("checkout-oncall",),
    )

    assert (check.state, check.found) == ("fail", "cannot use: generl")


def test_an_answer_that_is_no_slack_s():
    """A proxy's page in place of Slack's answer."""
    with answering(status=502, body="<html>Bad gateway</html>") as url:
        check = found("Slack bot token", slack_bot_token="xoxb-1", slack_signing_secret="s", slack_api_url=f"{url}/")

    assert (check.state, check.found) == ("fail", f"{url}/ answered, and is not Slack")


# -- PagerDuty ---------------------------------------------------------------------------------------------------


def pagerduty_states(standin, **overrides):
    overrides = {"pagerduty_api_url": standin.url, "pagerduty_api_token": standin.token, **overrides}
    return states("PagerDuty", **overrides)


def test_pagerduty_without_a_webhook_is_worth_a_look(pagerduty):
    """Polling alone works, slower."""
    assert pagerduty_states(pagerduty) == {
        "REST key": "ok",
        "services": "ok",
        "webhook": "warn",
        "webhook secrets": "warn",
    }


def test_webhooks_without_a_key_are_worth_a_look():
    """They lose incidents when nobody polls."""
    assert states("PagerDuty", pagerduty_webhook_secrets=("s",)) == {"REST key": "warn", "webhook secrets": "ok"}


def test_a_wrong_pagerduty_key(pagerduty):
    """One failure, and nothing else is asked."""
    assert pagerduty_states(pagerduty, pagerduty_api_token="wrong") == {"REST key": "fail", "webhook secrets": "warn"}


def test_a_disabled_webhook_is_a_failure(pagerduty):
    """PagerDuty drops everything for a day, and tells nobody."""
    subscription = pagerduty.subscribe("https://rundown.example/pagerduty/webhook", secrets=("s",))
    subscription.disabled_at = pagerduty.clock()

    assert pagerduty_states(pagerduty)["webhook"] == "fail"


def test_services_to_poll_are_looked_up(pagerduty):
    """An id that does not exist polls nothing."""
    assert pagerduty_states(pagerduty, pagerduty_services=("PNOSUCH",))["services"] == "fail"


# -- documents, commits, models ----------------------------------------------------------------------------------


def test_documents_that_were_never_read(world):
    """Configured, there, and not in the index yet."""
    check = found("Documents knowledge", docs=(world.docs,))

    assert (check.state, check.way_out.split(",")[0]) == ("warn", f"`rundown ingest {world.docs}`")


def test_a_shallow_clone_is_worth_a_look(world, tmp_path):
    """Commits before its cut cannot be candidates."""
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "5", f"file://{world.repo}", str(tmp_path / "clone")], check=True
    )
    check = found("Repository clone", repos=(tmp_path / "clone",))

    assert (check.state, "shallow" in check.found) == ("warn", True)


def test_a_repository_nobody_fetches_into(tmp_path):
    """No commit in the window: there is nothing to rank."""
    stale = build_world(tmp_path, now=datetime.now(UTC) - timedelta(days=90))

    assert found("Repository shop", repos=(stale.repo,)).state == "warn"


def test_a_repository_whose_clock_lies_is_checked(tmp_path):
    """A commit of the year 33658 is no reason to fail, nor one that has yet to be made."""
    path = tmp_path / "odd"
    git = ["git", "-C", str(path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    tree = subprocess.run([*git, "write-tree"], check=True, capture_output=True, text=True).stdout.strip()
    who = "a <a@example.org> 999999999999 +0000"
    text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nOdd\n"
    made = [*git, "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    sha = subprocess.run(made, input=text, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([*git, "update-ref", "HEAD", sha], check=True)

    assert found("Repository odd", repos=(path,)).found == "1 commits in the last 14 days, the latest 0 s ago"


def test_an_empty_folder_is_no_repository(tmp_path):
    """Git's refusal, with what to do."""
    (tmp_path / "empty").mkdir()

    assert found("Repository empty", repos=(tmp_path / "empty",)).state == "fail"


@pytest.mark.parametrize(
    ("status", "body", "model", "state"),
    [
        (200, {"data": [{"id": "llama"}]}, "llama", "ok"),
        (200, {"data": [{"id": "llama"}]}, "other", "fail"),
        (200, {"data": [{"id": "llama"}]}, None, "warn"),
        (401, {"error": "no"}, "llama", "fail"),
        (404, "not found", "llama", "fail"),
        (200, "<html>", "llama", "fail"),
        (200, [1, 2], "llama", "fail"),
    ],
)
def test_the_writing_model_is_asked_for(status, body, model, state):
    """The endpoint answers and serves the model by that name."""
    with answering(status=status, body=body) as url:
        assert found("Writing model", llm_url=f"{url}/v1", llm_model=model).state == state


def test_models_by_folder(tmp_path):
    """A folder must hold a model; an adapter's, an adapter."""
    (tmp_path / "config.json").write_text("{}")
    overrides = {"embedding_model": str(tmp_path), "ranker_model": str(tmp_path), "ranker_adapter": str(tmp_path)}

    assert found("Embedding model", **overrides).state == "ok"
    assert states("Ranking", **overrides) == {"model": "ok", "adapter": "fail"}


def test_a_model_that_was_never_downloaded():
    """Worth knowing before the first page waits for it."""
    assert found("Ranking model", ranker_model="somebody/some-llama").state == "warn"


@pytest.mark.model
def test_deep_loads_the_embedding_model():
    """Its weights are checked and it answers."""
    checks = {check.name: check for check in run_doctor(read_settings(http_port=0), deep=True)}

    assert checks["Embedding model"].found.startswith("all-MiniLM-L6-v2, 384 dimensions")


def test_an_index_of_another_model_is_noticed(home):
    """Vectors of two models are never compared."""
    from ingest.sync import Ingestor
    from retrieval.embedding import HashEmbedder
    from retrieval.index import EdgeIndex

    docs = Path.cwd() / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Restart\n\nTurn it off and on.\n")
    store, index = open_store(read_settings().store_url), EdgeIndex(home / "index" / "1")
    Ingestor(store, index, HashEmbedder()).sync(open_source(docs))
    held = found("Index")
    index.close()
    store.close()

    assert (held.state, "serve" in held.found) == ("ok", True)
    assert found("Index").state == "warn"
    assert found("Index", embedding_model="hash").state == "ok"
    assert found("Index", embedding_class="a.B").found.endswith("but a.B#44136fa355b3 is configured")
    assert found("Documents docs", docs=(docs,)).found.startswith(f"1 indexed from {docs}")
    assert os.listdir(docs) == ["a.md"]
