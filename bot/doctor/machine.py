"""This machine: tools, settings, home folder, database, port.

Does: look at what is installed and writable. Does not: create the home folder, migrate the database or keep the port.
"""

from __future__ import annotations

import difflib
import errno
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bot.doctor.check import Check, fail, ok, refused, warn
from core.errors import StoreError
from core.settings import Settings

#: Below this much free disk, in bytes, an index or a history may not fit.
ROOM = 1_000_000_000


def tools() -> Sequence[Check]:
    """Python, and git, which reads the histories."""
    version = platform.python_version()
    python = (
        ok("Python", version)
        if sys.version_info >= (3, 11)
        else fail("Python", f"{version}, too old", "install Python 3.11 or newer and run `make install PYTHON=…`")
    )
    git = shutil.which("git")
    if git is None:
        return [python, fail("git", "not found", "install git: it reads the histories that commits are ranked from")]
    told = subprocess.run([git, "--version"], capture_output=True, text=True, timeout=5, check=False)  # noqa: S603
    return [python, ok("git", told.stdout.strip().removeprefix("git version "))]


def unknown_variables(settings: Settings) -> Sequence[Check]:
    """Variables that look like settings and are none: a typing error would be ignored in silence."""
    from dotenv import dotenv_values

    known = [f"RUNDOWN_{name.upper()}" for name in type(settings).model_fields]
    given = {*os.environ, *dotenv_values(".env")}
    unknown = sorted(name for name in given if name.upper().startswith("RUNDOWN_") and name.upper() not in known)
    if not unknown:
        used = sorted(name for name in given if name.upper() in known)
        return [ok("Settings", f"{len(used)} set" if used else "all defaults")]
    guesses = {name: difflib.get_close_matches(name.upper(), known, n=1) for name in unknown}
    hints = ", ".join(f"{name} (did you mean {guess[0]}?)" if guess else name for name, guess in guesses.items())
    return [warn("Settings", f"ignored, no such setting: {hints}", "correct the name; `.env.example` lists them all")]


def home(settings: Settings) -> Sequence[Check]:
    """The home folder, or the place where it will be made, can be written and has room."""
    folder = settings.home
    there = next(path for path in (folder, *folder.parents) if path.exists())
    way_out = "give the user that runs Rundown that folder, or set RUNDOWN_HOME to another"
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"x")
    except OSError as error:
        return [fail("Home", f"{folder} cannot be written: {error.strerror}", way_out)]
    free = shutil.disk_usage(there).free
    state = "" if there == folder else ", made at the first start"
    found = f"{folder}{state}, {free / 1e9:.0f} GB free"
    if free < ROOM:
        return [warn("Home", found, "make room: a full disk refuses pages until there is some")]
    return [ok("Home", found)]


def store(settings: Settings) -> Sequence[Check]:
    """The database opens, its tables are this version's, and nothing in its inbox was given up."""
    from core.store import revision_of

    url, kind = settings.store_url, "Postgres"
    if url.startswith("sqlite:///"):
        kind = f"SQLite in {url.removeprefix('sqlite:///')}"
        if not Path(url.removeprefix("sqlite:///")).exists():
            return [ok("Store", f"{kind}, made at the first start")]
    try:
        current, newest = revision_of(url)
        if current is None:
            return [ok("Store", f"{kind}, empty: the first start makes its tables")]
        return [_inbox(url, kind)] if current == newest else [_other_revision(kind, current, newest)]
    except StoreError as error:
        return [refused("Store", error)]


def _other_revision(kind: str, current: str, newest: str) -> Check:
    if current < newest:
        return warn(
            "Store", f"{kind}, tables at {current} of {newest}", "restart `rundown serve`: it brings them up to date"
        )
    return fail("Store", f"{kind}, tables at {current}, which a newer Rundown wrote", "upgrade this Rundown")


def _inbox(url: str, kind: str) -> Check:
    from core.store import Store, open_engine

    opened = Store(open_engine(url))
    try:
        counts = opened.inbox_counts()
    finally:
        opened.close()
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none yet"
    found = f"{kind}, requests accepted: {told}"
    if counts.get("failed"):
        return warn("Store", found, "the log of `rundown serve` says why; table `inbox`, column `error`, too")
    return ok("Store", found)


def port(settings: Settings) -> Sequence[Check]:
    """`rundown serve` could listen where it is told to, or does already."""
    host, number = settings.http_host, settings.http_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return [_who_listens(host, number)]
            return [
                fail("Port", f"{host}:{number}: {error.strerror}", "correct RUNDOWN_HTTP_HOST and RUNDOWN_HTTP_PORT")
            ]
    return [ok("Port", f"{host}:{number} is free" if number else f"{host}, any free port")]


def _who_listens(host: str, number: int) -> Check:
    import httpx

    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  where to knock, not to listen
    address = f"[{reachable}]" if ":" in reachable else reachable
    try:
        answer = httpx.get(f"http://{address}:{number}/healthz", timeout=3, trust_env=False)
    except httpx.HTTPError:
        answer = None
    if answer is not None and answer.status_code == 200:
        return ok("Port", f"{host}:{number}: Rundown answers there already")
    return fail(
        "Port", f"{host}:{number} is taken by another program", "stop it, or set RUNDOWN_HTTP_PORT to another port"
    )
