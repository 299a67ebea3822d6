"""A source is added by one file: dropped into `ingest/`, or named by an installed package. Nothing else is told of it."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from core.errors import UsageError
from core.model import Document
from ingest.sources import Kind, kinds, open_source, what_is_read

ROOT = Path(__file__).parents[2]

#: A team's own source: pages of a JSON file, for whoever has the word that its own setting holds.
NOTES = '''
"""Notes of one JSON file: {"id": ["version", "text"]}."""

import json
import os
from pathlib import Path

from core.model import Document, Tier
from ingest.sources import NOTHING, Held

USAGE = "notes:FILE"
READS = "notes (.json)"


def open(rest, settings):
    return Notes(Path(rest).absolute(), os.environ["RUNDOWN_NOTES_WORD"])


class Notes:
    def __init__(self, path, word):
        self.path, self.word, self.name = path, word, f"notes:{path}"

    def documents(self, held=NOTHING):
        for doc_id, (version, text) in json.loads(self.path.read_text()).items():
            if held.get(doc_id) == version:
                yield Held(doc_id=doc_id)
            else:
                yield Document(id=doc_id, source=self.name, title=doc_id, text=f"{self.word} {text}", tier=Tier.WIKI, version=version)
'''


@pytest.fixture(name="path")
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is looked for packages in; what was found in it is forgotten afterwards."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    kinds.cache_clear()
    yield folder
    kinds.cache_clear()
    sys.modules.pop("team_notes", None)


def install(path: Path, **named: str) -> None:
    """A package whose entry points are sources."""
    told = path / "team_notes-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: team-notes\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {module}" for name, module in named.items())
    (told / "entry_points.txt").write_text(f"[rundown.sources]\n{lines}\n")


def rundown(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("rundown")), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join((str(packages), str(ROOT))),
            "RUNDOWN_EMBEDDING_MODEL": "hash",
            "RUNDOWN_NOTES_WORD": "Runbook:",
            "COLUMNS": "300",
        },
    )


def test_a_file_dropped_among_the_sources_is_one(tmp_path: Path):
    """It is in the help, its pages come into the index, one that changes comes again, and one that goes is taken out.

    Another file whose library nobody has installed is listed too, and harms nobody.
    """
    packages, file = tmp_path / "packages", tmp_path / "notes.json"
    shutil.copytree(ROOT / "ingest", packages / "ingest")
    (packages / "ingest/notes.py").write_text(NOTES)
    (packages / "ingest/heavy.py").write_text('import not_installed_here\n\nUSAGE = "heavy:THING"\n')
    helped = rundown(packages, "ingest", "--help")
    runs = []
    for notes in (
        {"a": ["1", "broker"], "b": ["1", "disk"], "c": ["1", "dns"]},
        {"a": ["1", "broker"], "b": ["2", "disks"]},
    ):
        file.write_text(json.dumps(notes))
        ran = rundown(packages, "ingest", "notes:notes.json", "--json")
        assert ran.returncode == 0, ran.stderr
        runs += [
            {key: run[key] for key in ("source", "added", "updated", "deleted", "unchanged")}
            for run in json.loads(ran.stdout)
        ]

    assert "heavy:THING, mediawiki:ADDRESS, notes:FILE, pagerduty:" in " ".join(helped.stdout.split())
    assert runs == [
        {"source": f"notes:{file}", "added": 3, "updated": 0, "deleted": 0, "unchanged": 0},
        {"source": f"notes:{file}", "added": 0, "updated": 1, "deleted": 1, "unchanged": 1},
    ]


def test_a_module_of_an_installed_package_is_a_source(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A team's private one needs no fork."""
    monkeypatch.setenv("RUNDOWN_NOTES_WORD", "Runbook:")
    (path / "team_notes.py").write_text(NOTES)
    (path / "notes.json").write_text('{"a": ["1", "broker"]}')
    install(path, notes="team_notes")
    known = kinds()["notes"]
    listed = list(open_source(f"notes:{path / 'notes.json'}").documents())

    assert known == Kind(usage="notes:FILE", module="team_notes")
    assert what_is_read("notes:x") == "notes (.json)"
    assert [(item.id, item.text) for item in listed if isinstance(item, Document)] == [("a", "Runbook: broker")]


def test_nothing_of_a_source_is_loaded_before_it_is_named(path: Path):
    """Neither to list it nor to open another."""
    (path / "team_notes.py").write_text("raise RuntimeError('loaded')\n" + NOTES.strip())
    install(path, notes="team_notes")

    assert open_source(path).name == f"folder:{path}"
    assert "notes" in kinds()
    assert "team_notes" not in sys.modules


def test_two_sources_of_one_kind_are_refused(path: Path):
    """Neither is taken for the other in silence."""
    (path / "team_notes.py").write_text('USAGE = "git:URL"\n')
    install(path, git="team_notes")

    with pytest.raises(UsageError, match=r"which source git: is.*ingest\.git_docs and team_notes"):
        open_source(path)


@pytest.mark.parametrize("module", ["team_gone", "team_gone.below"])
def test_a_package_that_names_no_module_is_told(path: Path, module: str):
    """By the name of the module."""
    install(path, notes=module)

    with pytest.raises(UsageError, match=f"cannot find the source {module}.*rundown.sources"):
        kinds()


def test_every_source_is_opened_in_the_same_way():
    """With what follows the colon, and the settings."""
    told = {
        kind: list(inspect.signature(import_module(known.module).open).parameters) for kind, known in kinds().items()
    }

    assert list(told) == ["confluence", "folder", "git", "mediawiki", "pagerduty", "prometheus"]
    assert set(map(tuple, told.values())) == {("rest", "settings")}
