"""The house rules a machine can check: docstrings, sizes, and documents that say what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted(
    file
    for package in ("benchmarks", "bot", "core", "ingest", "learning", "prompts", "ranking", "retrieval")
    for file in (ROOT / package).rglob("*.py")
)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in FILES}


def test_every_module_opens_by_saying_what_it_does(trees):
    """A reader learns from the first lines whether this is the file."""
    assert [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_no_function_outgrows_a_screen(trees):
    """Past 60 lines it is split."""
    functions = [
        (f"{name}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert [(where, lines) for where, lines in functions if lines > 60] == []


def test_no_file_outgrows_a_reader():
    """Past 500 lines it is two files."""
    sizes = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in FILES}

    assert {name: lines for name, lines in sizes.items() if lines > 500} == {}


def test_nothing_is_left_for_later():
    """No marker of unfinished work, no stand-in for a body."""
    markers = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")

    assert [str(file) for file in FILES if markers.search(file.read_text())] == []


def test_no_test_replaces_parts_with_mocks():
    """Real parts on loopback, or the fake that ships with a door."""
    tests = [file for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__)]

    assert [str(file) for file in tests if re.search(r"unittest.mock|MagicMock", file.read_text())] == []


def test_slack_manifests_are_readable():
    """Slack takes them as YAML; a bot token and the few scopes are in them."""
    manifests = [yaml.safe_load(file.read_text()) for file in (ROOT / "bot").rglob("*manifest*.yaml")]

    assert [sorted(one) for one in manifests if not {"display_information", "oauth_config"} <= set(one)] == []


def commands() -> set[str]:
    """Every command the console script has, groups as 'group command'."""
    import typer.main

    from bot.cli import app

    def walk(command, prefix=""):
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{prefix}{name} ") if getattr(child, "commands", None) else [f"{prefix}{name}"]

    return set(walk(typer.main.get_command(app)))


def test_the_readme_names_only_commands_that_exist():
    """In its code and in its sentences."""
    text = (ROOT / "README.md").read_text()
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.S))
    named = set(re.findall(r"(?<![/\w])rundown ([a-z]+)\b", code))
    targets = set(re.findall(r"\bmake ([a-z]+)\b", code))
    made = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))

    assert named - {command.split()[0] for command in commands()} == set()
    assert targets - made == set()


def test_the_readme_names_only_files_that_exist():
    """Paths in backticks that look like ours are there."""
    text = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.S)
    named = set(re.findall(r"`((?:bot|core|ingest|prompts|ranking|retrieval|tests|benchmarks)/[\w./-]*)`", text))

    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_readme_s_links_and_pictures_are_there():
    """Those that point into the repository."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / "README.md").read_text())

    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
