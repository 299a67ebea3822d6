"""`rundown ingest --forget`: it takes what `rundown ingest` took, and what a source is called in the index."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.app import open_library
from bot.local import forget_sources, ingest_sources
from core.errors import UsageError
from core.model import Document, Tier
from core.settings import read_settings
from core.store import open_store
from ingest.sources import ListSource
from ingest.workers import sync_source

RULES = "groups:\n- name: disk\n  rules:\n  - alert: DiskFull\n    expr: disk_free_bytes == 0\n"


@pytest.fixture(name="_hash", autouse=True)
def _hash_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNDOWN_EMBEDDING_MODEL", "hash")


def ingest(spec: str) -> None:
    ingest_sources([spec], watch=False, workers=1, progress=lambda *_: None, show=None)


@pytest.mark.parametrize("given", ["docs", "docs/", "folder:docs", "{here}/docs", "folder:{here}/docs"])
def test_a_folder_is_forgotten_by_any_way_to_write_it(tmp_path: Path, given: str):
    """Relative, absolute, with its kind or without."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/disk.md").write_text("# Disk\n\nfull")
    ingest("docs")

    assert forget_sources([given.format(here=tmp_path)]) == {f"folder:{tmp_path}/docs": 1}


@pytest.mark.parametrize("given", ["prometheus:pr", "prometheus:{here}/pr", "pr"])
def test_rules_are_forgotten_though_their_folder_is_gone(tmp_path: Path, given: str):
    """By the words that brought them in, or by their name."""
    (tmp_path / "pr").mkdir()
    (tmp_path / "pr/disk.yaml").write_text(RULES)
    ingest("prometheus:pr")
    (tmp_path / "pr/disk.yaml").unlink()
    (tmp_path / "pr").rmdir()

    assert forget_sources([given.format(here=tmp_path)]) == {f"prometheus:{tmp_path}/pr": 1}


def test_a_service_is_forgotten_by_what_opened_it():
    """Though its key was revoked and taken out of the settings."""
    settings, page = (
        read_settings(),
        Document(id="Q1", source="", title="500s", text="rolled back", tier=Tier.PAST_INCIDENT),
    )
    store = open_store(settings.store_url)
    with open_library(settings, store) as library:
        sync_source(store, library.ingestor, ListSource("pagerduty:api.pagerduty.com", page), spec="pagerduty:")

    assert forget_sources(["pagerduty:"]) == {"pagerduty:api.pagerduty.com": 1}


def test_what_was_never_ingested_is_told_with_what_was(tmp_path: Path):
    """And nothing is forgotten."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/disk.md").write_text("# Disk\n\nfull")
    ingest("docs")

    with pytest.raises(UsageError, match=r"'prometheus:docs'.*folder:.*/docs"):
        forget_sources(["prometheus:docs"])
    assert open_store(read_settings().store_url).sources() == {f"folder:{tmp_path}/docs": 1}
