"""`rundown ingest` where a source refuses: each is told, and --watch goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import local
from bot.local import ingest_sources
from core.errors import RundownError
from core.settings import read_settings
from core.store import open_store


@pytest.fixture(name="_hash", autouse=True)
def _hash_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNDOWN_EMBEDDING_MODEL", "hash")


def ingest(*specs: str, watch: bool = False) -> None:
    ingest_sources(specs, watch=watch, workers=1, progress=lambda *_: None, show=None)


def page(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "disk.md").write_text(f"# {folder.name}\n\nfull")
    return folder


def take_away(folder: Path) -> None:
    (folder / "disk.md").unlink()


def test_every_source_that_refuses_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Not the first alone: whoever mends that one would learn of the next only then."""
    kept, *gone = (str(page(tmp_path / name)) for name in ("kept", "one", "two"))
    ingest(kept, *gone)
    for folder in gone:
        take_away(Path(folder))

    with pytest.raises(RundownError, match="/two'"):
        ingest(*gone, kept)

    assert [message for message in caplog.messages if "/one'" in message]


def test_watching_outlasts_a_source_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A service that is down for a minute ended it."""
    folder, told = page(tmp_path / "docs"), list[dict[str, int]]()

    def sleep(seconds: float) -> None:
        told.append(dict(open_store(read_settings().store_url).sources()))
        if len(told) == 1:
            take_away(folder)
        elif len(told) == 2:
            page(folder)
            (folder / "more.md").write_text("# More\n\nmemory")
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(local.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        ingest(str(folder), watch=True)

    name = f"folder:{folder}"
    assert told == [{name: 1}, {name: 1}, {name: 2}]
    assert [message for message in caplog.messages if "holds no document any more" in message]
