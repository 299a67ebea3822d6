"""What the tests of access share: one stand-in workspace, begun anew for each, and the bot's parts over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from access_world import World

from bot.standin.slack import SlackStandIn
from core.store import Store


@pytest.fixture(scope="session")
def _standin() -> Iterator[SlackStandIn]:
    with SlackStandIn(retry_delays_s=()) as standin:
        yield standin


@pytest.fixture
def slack(_standin: SlackStandIn) -> SlackStandIn:
    """A workspace as new, with ana, ben and #general, where the bot is a member."""
    _standin.reset()
    _standin.join("general", _standin.bot)
    return _standin


@pytest.fixture
def make(slack: SlackStandIn, store: Store, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes the bot over the workspace, with settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(closing(World(slack, store, tmp_path, **settings)))


@pytest.fixture
def world(make: Any) -> World:
    """The bot over the workspace, with no settings but the defaults."""
    made: World = make()
    return made
