"""Markdown as the passages a person would quote."""

from __future__ import annotations

import pytest

from prompts.passages import Passage, inline_code, passages, sentences


def test_steps_keep_their_commands_and_headings_their_steps():
    """A list item with the code block under it is one step; the heading path is known; markup is gone."""
    text = "## Fix\n1. **Check** the `pool`:\n\n   ```sh\n   $ pool-stats payments\n   used: 40\n   ```\n2. Wait.\n\nAll _good_."

    assert passages(text, ("Runbook",)) == (
        Passage(text="Check the `pool`:", kind="step", commands=("pool-stats payments",), section=("Runbook", "Fix"), ordered=True),
        Passage(text="Wait.", kind="step", section=("Runbook", "Fix"), ordered=True),
        Passage(text="All good.", section=("Runbook", "Fix")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("block", "commands"),
    [
        ("```sh\nkubectl get pods\n# a comment\nkubectl get nodes\n```", ("kubectl get pods", "kubectl get nodes")),
        ("```console\n$ kubectl get pods\nNAME READY\n```", ("kubectl get pods",)),
        ("```\nkubectl get pods\n```", ("kubectl get pods",)),
        ("```sh\ncurl -s \\\n  -o out localhost\n```", ("curl -s -o out localhost",)),
        ("```sh\n$ oc patch x -p '{\"a\":\n> 1}'\n```", ("oc patch x -p '{\"a\":\n1}'",)),
        ("```sh\nfor p in a b; do\n  echo $p\ndone\n```", ("for p in a b; do\n  echo $p\ndone",)),
        ("```sh\ncurl -s \\\n```", ()),
        ("```yaml\nreplicas: 3\n```", ()),
        ("```\nERROR pool exhausted\n```", ()),
    ],
    ids=[
        "shell",
        "prompt and output",
        "a known tool",
        "continued line",
        "open quote",
        "loop",
        "cut off",
        "yaml",
        "log",
    ],
)
def test_a_command_is_taken_whole_or_not_at_all(block, commands):
    """Output, comments and configuration are no commands; half a command would do something else."""
    found = [item.commands for item in passages(f"Run:\n\n{block}")]

    assert found[0] == commands


@pytest.mark.parametrize(
    ("markdown", "text", "cut"),
    [
        ("See [the graph](https://g.example/d/1) first.", "See the graph first.", False),
        ("The board is at https://g.example/d/1 today.", "The board is at today.", True),
        ("Read <https://g.example> now.", "Read now.", True),
        ("![shot](https://evil.example/x.png) Done.", "Done.", False),
        ("Open [Sentry][1] now.", "Open Sentry now.", False),
        ("A <b>bold</b> word.", "A bold word.", False),
    ],
)
def test_addresses_images_and_html_are_left_out(markdown, text, cut):
    """A label stays, an address never does; whether one was cut is told."""
    assert [(item.text, item.cut) for item in passages(markdown)] == [(text, cut)]


def test_a_table_row_reads_as_a_line():
    """Cells of one row stay together."""
    rows = passages("| Alert | Meaning |\n|---|---|\n| PoolFull | no connection left |")

    assert [(row.text, row.kind) for row in rows] == [
        ("Alert: Meaning", "row"),
        ("PoolFull: no connection left", "row"),
    ]


def test_sentences_end_where_people_end_them():
    """Abbreviations and versions do not end a sentence."""
    text = "Use e.g. Version 2.3 here. Then wait! Is `x` up? Yes."

    assert sentences(text) == ["Use e.g. Version 2.3 here.", "Then wait!", "Is `x` up?", "Yes."]


def test_inline_code_is_found_to_the_letter():
    """Every code span, blanks made one."""
    assert inline_code("Run `a  --b` and `c`.\n\n```\nd\n```") == {"a --b", "c"}
