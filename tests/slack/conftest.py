"""What the Slack tests share: a stand-in workspace, a client of it, and a clock whose seconds cost nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.slack_web import open_client
from bot.standin.slack import SlackStandIn
from core.store import Store, open_store


@pytest.fixture(scope="session")
def _standin() -> Iterator[SlackStandIn]:
    with SlackStandIn(retry_delays_s=(0.02, *(0.2,) * 20)) as standin:
        yield standin


@pytest.fixture
def slack(_standin: SlackStandIn) -> SlackStandIn:
    """A workspace as new, with ana, ben and #general, where the bot is a member."""
    _standin.reset()
    _standin.workspace.channel("general").members.add(_standin.bot)  # so that no event tells of it
    return _standin


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "rundown.sqlite"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def store(_migrated: Path, tmp_path: Path) -> Iterator[Store]:
    """An empty store on SQLite, copied from one that was migrated already."""
    path = tmp_path / "store" / "rundown.sqlite"
    path.parent.mkdir()
    shutil.copy(_migrated, path)
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def client(slack):
    """The bot's client of it."""
    return open_client(slack.bot_token, slack.api_url)


class Clock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """A clock to hand to whatever waits."""
    return Clock()
