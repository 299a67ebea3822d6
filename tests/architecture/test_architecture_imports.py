"""Importing does nothing, imports point down, and help needs none of the heavy libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "core", "ingest", "prompts", "ranking", "retrieval")
HEAVY = (
    "dbos",
    "grpc",
    "llama_index",
    "matplotlib",
    "nltk",
    "numpy",
    "peft",
    "qdrant_client",
    "qdrant_edge",
    "sentence_transformers",
    "slack_bolt",
    "torch",
    "transformers",
)


def modules() -> list[str]:
    """Every module of the product by its dotted name."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if "migrations" not in file.parts]
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)
    return sorted(name.removesuffix(".__init__") for name in names)


def in_a_bare_process(program: str, cwd: Path) -> dict:
    """What a program prints as JSON, run with an empty environment in an empty folder."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={"PATH": os.defpath, "HOME": str(cwd), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


IMPORT = """
import importlib, json, logging, os, signal, socket, sys, threading
heavy, threads, loud = {heavy!r}, [], []
before = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
real = socket.socket.connect
socket.socket.connect = lambda self, address: loud.append(str(address))
loaded = {{}}
for name in {modules!r}:
    importlib.import_module(name)
    for library in heavy:
        if library in sys.modules and library not in loaded:
            loaded[library] = name
print(json.dumps({{
    "heavy": loaded,
    "threads": threading.active_count(),
    "children": [line for line in os.listdir("/proc/self/task")][1:] if os.path.isdir("/proc") else [],
    "connections": loud,
    "changed": before != (dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)),
    "handlers": len(logging.getLogger().handlers),
}}))
"""


def test_importing_every_module_does_nothing(tmp_path):
    """With an empty environment: no file, no thread, no connection, no handler, no heavy library."""
    seen = in_a_bare_process(IMPORT.format(heavy=HEAVY, modules=modules()), tmp_path)

    assert seen == {
        "heavy": {},
        "threads": 1,
        "children": [],
        "connections": [],
        "changed": False,
        "handlers": 0,
    }
    assert list(tmp_path.rglob("*")) == []


HELP = """
import contextlib, io, json, sys
sys.argv = ["rundown", *{arguments!r}]
from bot.cli import main
out, code = io.StringIO(), 0
with contextlib.redirect_stdout(out):
    try:
        code = main()
    except SystemExit as leaving:
        code = leaving.code
print(json.dumps({{"code": code or 0, "said": len(out.getvalue()) > 100, "heavy": [n for n in {heavy!r} if n in sys.modules]}}))
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["investigate", "--help"], ["serve", "--help"], ["ingest", "--help"]]
)
def test_help_loads_no_heavy_library(tmp_path, arguments):
    """That is what makes it instant."""
    heavy = (*HEAVY, "sqlalchemy", "alembic", "git", "httpx", "slack_sdk", "starlette", "uvicorn")
    seen = in_a_bare_process(HELP.format(arguments=arguments, heavy=heavy), tmp_path)

    assert seen == {"code": 0, "said": True, "heavy": []}
    assert list(tmp_path.rglob("*")) == []


def test_imports_only_point_down():
    """The contracts of pyproject.toml, by import-linter."""
    linted = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert " 0 broken" in linted.stdout
