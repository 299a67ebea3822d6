"""What runs Rundown elsewhere: compose file, image, pins and make targets agree with the code."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core.settings import Settings

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
PINS = {
    canonicalize_name(name): version
    for name, _, version in (
        line.partition("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_the_compose_file_is_one():
    """By the compose specification's own schema."""
    check = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            str(ROOT / "docker-compose.yml"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (check.returncode, check.stderr) == (0, ""), check.stdout


def test_every_variable_of_the_deployment_is_a_setting():
    """A renamed setting would be ignored in silence."""
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "Dockerfile").read_text()
    known = {f"RUNDOWN_{name.upper()}" for name in Settings.model_fields}

    assert set(re.findall(r"RUNDOWN_[A-Z_]+", text)) - known == set()


def test_no_service_is_open_to_the_network():
    """Qdrant and Postgres come without locks by default; every published port is bound to loopback."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]

    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []
    assert COMPOSE["services"]["qdrant"]["environment"]["QDRANT__SERVICE__ENABLE_SNAPSHOT_URL_RECOVERY"] == "false"
    assert "RUNDOWN_QDRANT_API_KEY" in COMPOSE["services"]["qdrant"]["environment"]["QDRANT__SERVICE__API_KEY"]


def test_every_server_tells_whether_it_is_well():
    """The bot waits for the others; the image checks the bot itself."""
    servers = {name: service for name, service in COMPOSE["services"].items() if name != "bot"}

    assert [name for name, service in servers.items() if "healthcheck" not in service] == []
    assert "/healthz" in (ROOT / "Dockerfile").read_text()


def test_the_image_copies_what_is_there_and_every_package():
    """A package added to the project reaches the image."""
    copied = set()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            copied |= set(line.split()[1:-1])
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert packages - copied == set()
    assert copied == let_in


def test_pins_are_versions_and_nothing_else():
    """No address, no path, no build of one machine: the file means the same everywhere."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    assert PINS["torch"] == "2.13.0"


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]], ids=lambda text: text
)
def test_every_dependency_is_pinned_within_its_range(requirement):
    """What the project asks for and what it was tested with agree."""
    wanted = Requirement(requirement)

    assert wanted.specifier.contains(PINS[canonicalize_name(wanted.name)])


def test_everything_installed_is_pinned():
    """A dependency of a dependency that floats would break a fresh install one day."""
    installed = {canonicalize_name(one.metadata["Name"]) for one in distributions()}

    assert installed - set(PINS) - {"pip", "setuptools", "wheel", "rundown"} == set()


def test_make_explains_each_of_its_commands():
    """`make` alone lists what there is."""
    told = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", "help"], check=True, capture_output=True, text=True
    )
    commands = {line.split()[0] for line in told.stdout.splitlines()}

    assert {"help", "install", "demo", "test", "check", "format", "clean"} == commands


def test_ci_runs_what_a_person_runs():
    """`.ci/run` calls make's own targets and is executable."""
    script = ROOT / ".ci" / "run"

    assert re.findall(r"^make (\w+)$", script.read_text(), re.M) == ["check", "test"]
    assert script.stat().st_mode & 0o111


def test_an_installed_rundown_has_its_data_too():
    """Manifest, prompts, migrations and the demo's world go into the wheel, by the patterns of pyproject.toml."""
    packed = {
        file
        for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for file in (ROOT / package).glob(pattern)
        if file.is_file()
    }
    data = {
        file
        for package in ("bot", "core", "ingest", "prompts", "ranking", "retrieval")
        for file in (ROOT / package).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }

    assert data - packed == set()
