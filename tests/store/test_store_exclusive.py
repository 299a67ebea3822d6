"""One at a time under a name, across processes that share a Postgres."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from core.errors import StoreError
from core.store import open_store


@pytest.fixture
def stores(postgres_url):
    """Two stores on one database, as two processes have them."""
    opened = [open_store(postgres_url), open_store(postgres_url)]
    yield opened
    for store in opened:
        store.close()


def test_nobody_is_in_twice(stores):
    """Eight threads over two stores take turns, and may use the store while they are in."""
    inside, most, guard = 0, 0, threading.Lock()

    def act(number):
        nonlocal inside, most
        with stores[number % 2].exclusively("deliver:card"):
            with guard:
                inside, most = inside + 1, max(most, inside + 1)
            stores[number % 2].set_cursor("last", str(number))
            with guard:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(32)))

    assert most == 1


def test_more_holders_than_a_small_pool_has_connections(stores):
    """Thirty hold thirty names at the same moment, and each still gets a connection to work with."""
    together = threading.Barrier(30)

    def act(number):
        with stores[0].exclusively(f"name-{number}"):
            together.wait(60)
            stores[0].set_cursor(f"c{number}", "1")
        return 1

    with ThreadPoolExecutor(30) as pool:
        assert sum(pool.map(act, range(30))) == 30


def test_a_killed_holder_lets_go(stores, postgres_url):
    """The lock belongs to the connection, and that dies with the process."""
    program = (
        "import os, signal, sys; from core.store import open_store; store = open_store(sys.argv[1])\n"
        "with store.exclusively('deliver:card'): print('in', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, postgres_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    holder.kill()
    holder.communicate()

    with stores[0].exclusively("deliver:card"):
        assert stores[0].inbox_counts() == {}


def test_a_failure_inside_lets_go(any_store):
    """An exception passes through, and the name is free again."""
    with pytest.raises(ValueError, match="inside"), any_store.exclusively("n"):
        raise ValueError("inside")
    with any_store.exclusively("n"):
        any_store.set_cursor("c", "1")

    assert any_store.cursor("c") == "1"


def test_a_lock_whose_connection_was_cut_is_gone_without_a_fuss(stores):
    """Postgres restarting inside the block must not break what the block did."""
    with stores[0].exclusively("n"), stores[1].engine.connect() as other:
        other.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    with stores[1].exclusively("n"):
        assert stores[1].inbox_counts() == {}


def test_no_database_is_a_store_error(postgres_url):
    """Named, with a way out, before anything was begun."""
    store = open_store(postgres_url)
    store.close()
    store.engine = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2")

    with pytest.raises(StoreError, match="the store refused"), store.exclusively("n"):
        pass
