"""The guards every other test relies on do guard."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from core.settings import read_settings


@pytest.mark.parametrize("address", [("192.0.2.1", 9), ("2001:db8::1", 9)])
def test_a_connection_beyond_loopback_is_refused_and_noted(address, attempts_to_leave):
    """A test that calls out is told so, and cannot hide it."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as out, pytest.raises(RuntimeError, match="use a stand-in"):
        out.connect(address)

    assert [address[0]] == attempts_to_leave
    attempts_to_leave.clear()


def test_a_name_is_not_even_looked_up(attempts_to_leave):
    """Looking up a host already leaves the machine."""
    with pytest.raises(RuntimeError, match="use a stand-in"):
        urllib.request.urlopen("http://slack.com/")

    assert attempts_to_leave == ["slack.com"]
    attempts_to_leave.clear()


def test_loopback_stays_open(closed_port):
    """Stand-ins on 127.0.0.1 are within reach, and a closed port refuses as it would outside a test."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", closed_port), timeout=5)


def test_settings_see_neither_the_environment_nor_a_dotenv_of_the_machine(home):
    """Every test starts from the defaults."""
    settings = read_settings()

    assert (home, None, ()) == (settings.home, settings.slack_bot_token, settings.repos)
    assert not Path(".env").exists()


def test_git_commits_without_an_identity_of_the_machine(tmp_path):
    """A fresh machine has no git identity; tests bring their own."""
    subprocess.run(["git", "init", "-q", str(tmp_path / "r")], check=True)
    subprocess.run(["git", "-C", str(tmp_path / "r"), "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    author = subprocess.run(
        ["git", "-C", str(tmp_path / "r"), "log", "-1", "--format=%an"], check=True, capture_output=True, text=True
    )

    assert author.stdout == "Test\n"


def test_no_test_may_reach_a_model_hub():
    """The switches are set before any library reads them, and programs a test starts inherit them."""
    seen = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ['HF_HUB_OFFLINE'], os.environ['TRANSFORMERS_OFFLINE'])"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert seen.stdout == "1 1\n"
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_store_opens_on_both_databases(any_store):
    """The fixture everyone uses works."""
    any_store.set_cursor("poll", "1")

    assert any_store.cursor("poll") == "1"
