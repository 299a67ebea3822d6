"""Opening the store: durable, at the newest tables, and clear about what is wrong when it cannot."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Timer

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from core.errors import StoreError
from core.store import open_store, revision_of
from core.store.tables import metadata


def tables_of(url):
    engine = sa.create_engine(url)
    try:
        return set(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_migrations_make_the_tables_the_code_knows(any_store):
    """Alembic finds nothing to change, types and indexes included."""
    with any_store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_a_commit_is_on_disk_before_it_is_acknowledged(store):
    """SQLite writes ahead and waits for the disk: neither a kill nor a power loss takes an accepted request back."""
    with store.engine.connect() as connection:
        answers = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }

    assert answers == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30000, "foreign_keys": 1}


def test_a_new_file_is_waited_for_while_another_writes_it(tmp_path):
    """SQLite itself would refuse at once: what switches a file to writing ahead does not wait for a lock."""
    file = tmp_path / "rundown.sqlite"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE others (a)")
    other.execute("BEGIN IMMEDIATE")
    Timer(0.5, other.execute, ["COMMIT"]).start()

    store = open_store(f"sqlite:///{file}")

    assert store.inbox_counts() == {}
    store.close()
    other.close()


def test_an_accepted_request_survives_a_kill(sqlite_url):
    """A process that dies at once after `receive` returned has kept the request."""
    program = (
        "import os, signal, sys; from core.store import open_store; store = open_store(sys.argv[1]);"
        "store.receive(source='slack', event_id='e1', kind='k', raw=b'x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", program, sqlite_url], check=False)
    store = open_store(sqlite_url)

    assert (died.returncode, store.inbox_counts()) == (-signal.SIGKILL, {"new": 1})
    store.close()


def test_many_may_open_a_new_store_at_once(any_store_url):
    """Serve, doctor and a command started together all find whole tables."""
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_store(any_store_url), range(6)))
    stores[0].set_cursor("c", "1")

    assert [store.cursor("c") for store in stores] == ["1"] * 6
    for store in stores:
        store.close()


def test_many_processes_may_open_a_new_store_at_once(sqlite_url):
    """The same from separate processes, as they are in life."""
    program = "import sys; from core.store import open_store; open_store(sys.argv[1]).set_cursor('c', '1')"
    starting = [subprocess.Popen([sys.executable, "-c", program, sqlite_url]) for _ in range(4)]

    assert [process.wait(60) for process in starting] == [0, 0, 0, 0]


def test_a_migration_killed_midway_leaves_nothing_behind(any_store_url, monkeypatch):
    """Its tables appear all together or not at all, so the next start finishes the job."""
    from alembic import op

    create_index, calls = op.create_index, []

    def fail_midway(*args, **kwargs):
        calls.append(args)
        if len(calls) == 3:
            raise OSError("killed here")
        return create_index(*args, **kwargs)

    monkeypatch.setattr(op, "create_index", fail_midway)
    with pytest.raises(StoreError, match="killed here"):
        open_store(any_store_url)
    assert tables_of(any_store_url) == set()

    monkeypatch.undo()
    open_store(any_store_url).close()
    assert set(metadata.tables) < tables_of(any_store_url)


def test_looking_at_a_store_s_revision_changes_nothing(any_store_url):
    """Without tables, with them, and never making any."""
    before = revision_of(any_store_url)
    assert tables_of(any_store_url) == set()
    open_store(any_store_url).close()
    after = revision_of(any_store_url)

    assert (before, after) == ((None, "0003"), ("0003", "0003"))


def test_a_store_written_by_a_newer_version_is_not_touched(any_store_url):
    """Going back a version is refused with what to do, not answered with a stack of Alembic's."""
    store = open_store(any_store_url)
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()

    with pytest.raises(StoreError, match="newer Rundown"):
        open_store(any_store_url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("not a url", "no SQLAlchemy URL"),
        ("nosuch://host/db", "nosuch"),
        ("sqlite:////dev/null/inside/rundown.sqlite", "RUNDOWN_HOME can be written"),
        ("postgresql+psycopg://u:hunter2@127.0.0.1:{closed_port}/db?connect_timeout=2", "check RUNDOWN_DATABASE_URL"),
        ("postgresql+psycopg://u:hunter2@127.0.0.1:many/db", "percent-encoded"),
    ],
)
def test_a_store_that_cannot_be_opened_says_what_to_do(url, says, closed_port):
    """Whatever is wrong with the address, and without showing the password in it."""
    with pytest.raises(StoreError, match=says) as refusal:
        open_store(url.format(closed_port=closed_port))

    assert "hunter2" not in str(refusal.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """And stays as it is."""
    file = tmp_path / "rundown.sqlite"
    file.write_text("this is a shopping list, not a database" * 50)

    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{file}")


def test_a_full_disk_refuses_and_recovers(store):
    """No request is acknowledged that was not kept; with room again, the same request is accepted."""
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    @sa.event.listens_for(store.engine, "checkout")
    def no_room(connection, *_):
        connection.execute(f"PRAGMA max_page_count={pages}")

    with pytest.raises(StoreError, match=r"full.*safe to repeat"):
        store.receive(source="slack", event_id="e1", kind="k", raw=b"x" * 1_000_000)
    sa.event.remove(store.engine, "checkout", no_room)
    store.engine.dispose()

    assert store.receive(source="slack", event_id="e1", kind="k", raw=b"x" * 1_000_000)[1] is True
    assert store.inbox_counts() == {"new": 1}


def test_a_read_only_database_refuses_with_the_way_out(store, sqlite_url):
    """As when the volume was mounted read-only."""

    @sa.event.listens_for(store.engine, "checkout")
    def read_only(connection, *_):
        connection.execute("PRAGMA query_only=1")

    with pytest.raises(StoreError, match=r"readonly.*check the disk"):
        store.set_cursor("c", "1")


def test_a_database_that_went_away_is_a_store_error(postgres_url):
    """Connections cut by a restart of Postgres are opened anew; the one that was cut is safe to repeat."""
    store = open_store(postgres_url)
    store.set_cursor("c", "1")
    other = sa.create_engine(postgres_url)
    with other.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    other.dispose()

    assert store.cursor("c") == "1"
    store.close()


def test_the_folder_of_a_new_store_is_made(tmp_path):
    """A first start on a fresh machine needs no mkdir."""
    open_store(f"sqlite:///{tmp_path / 'not' / 'there' / 'yet.sqlite'}").close()

    assert os.listdir(tmp_path / "not" / "there") == ["yet.sqlite"]
