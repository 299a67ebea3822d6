"""The demo, as a newcomer runs it: the whole product's smoke test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.store import open_store


@pytest.mark.model
def test_the_demo_holds_what_it_promises(tmp_path):
    """Exit 0, every check held, one thumb in the store that outlived the process."""
    kept = tmp_path / "kept"
    ran = subprocess.run(
        [str(Path(sys.executable).with_name("rundown")), "demo", "--keep", str(kept)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
        check=False,
    )
    store = open_store(f"sqlite:///{kept / 'home' / 'rundown.sqlite'}")
    votes = [(row["item"], row["vote"]) for row in store.feedback()]
    store.close()

    assert (ran.returncode, "✗" in ran.stdout, votes) == (0, False, [("cause", "up")]), ran.stdout + ran.stderr
