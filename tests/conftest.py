"""What every test stands on: a clean environment, no network but loopback, a store, and a real Postgres.

Does: run each test in its own folder with no `RUNDOWN_*` variable and no `.env`; refuse and report any connection that
leaves this machine; hand out stores over SQLite and Postgres.
Does not: hold fixtures of one package only; those live beside their tests.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from bot import standin

sys.path.append(str(Path(__file__).with_name("vendor")))
import published  # only now can it be found

#: Read at import by the libraries, so set before any test module is imported: no test reaches a model hub.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis_settings.register_profile("rundown", deadline=None, database=None, derandomize=True)
hypothesis_settings.load_profile("rundown")


def pytest_report_header() -> str:
    """Whether stand-ins are held against what the vendors publish, and how they are."""
    if published.FOLDER is None:
        return "stand-ins: not held against the vendors' files; RUNDOWN_PUBLISHED=FOLDER does it, see tests/vendor/published.py"
    return f"stand-ins: held against the vendors' files in {published.FOLDER}"


def pytest_configure() -> None:
    """A folder that is named holds all that is needed: else a test would pass that nothing has judged."""
    if missing := published.missing():
        raise pytest.UsageError(
            f"RUNDOWN_PUBLISHED={published.FOLDER} has no {', '.join(missing)}; see tests/vendor/published.py"
        )


# -- the world around a test -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """No setting, no `.env` and no git identity of this machine reaches a test; all it writes by default is its own."""
    for name in [name for name in os.environ if name.startswith(("RUNDOWN_", "GIT_"))]:
        monkeypatch.delenv(name)
    aside = tmp_path_factory.mktemp("aside")
    identity = aside / "gitconfig"
    identity.write_text("[user]\n\tname = Test\n\temail = test@example.com\n[init]\n\tdefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(identity))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("RUNDOWN_HOME", str(aside / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def home() -> Path:
    """The test's RUNDOWN_HOME. Nobody has made the folder yet."""
    return Path(os.environ["RUNDOWN_HOME"])


class LeftTheMachine(RuntimeError):
    """A test tried to reach an address that is not loopback."""


def _stays_home(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(autouse=True)
def attempts_to_leave(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Refuses every connection and look-up beyond loopback, and fails the test even if its code swallowed the refusal."""
    attempts: list[Any] = []
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse_unless_home(host: Any) -> None:
        if not _stays_home(host):
            attempts.append(host)
            raise LeftTheMachine(f"a test tried to reach {host!r}: use a stand-in or a closed port on 127.0.0.1")

    def guarded(real: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                refuse_unless_home(address[0])
            return real(self, address)

        return call

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_unless_home(host)
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
    yield attempts
    assert attempts == [], f"the test tried to leave this machine: {attempts}"


@pytest.fixture
def closed_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on 127.0.0.1 where every connection is taken and none is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.fixture(autouse=True)
def as_published() -> Iterator[dict[str, list[Any]]]:
    """Holds what is asked of stand-ins, and what they answer, against the vendors' files if they are there (`tests/vendor/published.py`)."""
    told: dict[str, list[Any]] = {}

    def listen(api: str, *exchange: Any) -> None:
        told.setdefault(api, []).append(exchange)

    standin.listeners.append(listen)
    yield told
    standin.listeners.remove(listen)
    problems = [problem for api, exchanges in told.items() for problem in published.problems_of(api, exchanges)]
    assert problems == [], "not as the vendor publishes it:\n" + "\n".join(problems)


# -- stores ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real Postgres for this worker, and a connection that makes databases in it.

    Not under pytest's folder: run as root, the server is another user's, and each starting pytest closes that folder to others.
    """
    import psycopg

    with tempfile.TemporaryDirectory(prefix="rundown-postgres-", ignore_cleanup_errors=True) as folder:
        # pgserver keeps its lock here, also while Python exits.
        os.environ["XDG_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("lock"))
        try:
            import pgserver

            server = pgserver.get_server(Path(folder, "data"), cleanup_mode="stop")
        except Exception as error:
            pytest.skip(f"no Postgres here: {error}")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # Nothing in it outlives the run, so no commit need wait for the disk.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
            yield server, connection
        server.cleanup()


@pytest.fixture
def postgres_url(_postgres: Any) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty Postgres database."""
    server, connection = _postgres
    name = f"test_{uuid.uuid4().hex}"
    connection.execute(f"CREATE DATABASE {name}")
    yield server.get_uri(name).replace("postgresql://", "postgresql+psycopg://", 1)
    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SQLAlchemy URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'rundown.sqlite'}"


@pytest.fixture(params=["sqlite", "postgres"])
def any_store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, once on SQLite and once on Postgres."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Any]:
    """An open store on SQLite."""
    from core.store import open_store

    opened = open_store(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def any_store(any_store_url: str) -> Iterator[Any]:
    """An open store, once on SQLite and once on Postgres."""
    from core.store import open_store

    opened = open_store(any_store_url)
    yield opened
    opened.close()
