"""`rundown doctor`: look at every part Rundown stands on, and say what to do about each that is not well.

Does: run all examinations at once, each with a time limit, and hand back what they found in a fixed order.
Does not: change anything it looks at, or show a secret. What each examination looks at stands in the modules beside this one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bot.doctor.check import Check, fail, refused
from core.errors import RundownError
from core.redaction import redact
from core.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Check", "exit_code", "run_doctor", "show", "to_dict"]

#: Seconds all examinations together may take; loading models takes longer.
PATIENCE_S, DEEP_PATIENCE_S = 15.0, 180.0

Examination = Callable[[], Sequence[Check]]
_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "off": ("·", "dim")}


def run_doctor(settings: Settings, *, deep: bool = False, patience_s: float | None = None) -> list[Check]:
    """Examine everything the settings name.

    Args:
        deep: also load the embedding model and the ranking Llama.
        patience_s: seconds after which an examination is given up.

    Returns:
        The checks, in the order of reading: this machine, Slack, PagerDuty, documents, commits, models.
    """
    patience_s = patience_s or (DEEP_PATIENCE_S if deep else PATIENCE_S)
    examinations = _examinations(settings, deep)
    found: dict[str, Sequence[Check]] = {}
    threads = [
        threading.Thread(target=_examine, args=(name, act, found), name=f"doctor-{name}", daemon=True)
        for name, act in examinations.items()
    ]
    end = time.monotonic() + patience_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = f"no answer within {patience_s:g} s"
    return [
        check
        for name in examinations
        for check in found.get(name, [fail(name, late, "see whether it hangs: network, disk, or the server asked")])
    ]


def _examinations(settings: Settings, deep: bool) -> dict[str, Examination]:
    """Name to what it does; the name is shown when it does not come back."""
    from bot.doctor import commits, documents, machine, models, pagerduty, slack

    return {
        "Machine": machine.tools,
        "Settings": lambda: machine.unknown_variables(settings),
        "Home": lambda: machine.home(settings),
        "Store": lambda: machine.store(settings),
        "Port": lambda: machine.port(settings),
        "Slack": lambda: slack.examine(settings),
        "PagerDuty": lambda: pagerduty.examine(settings),
        "Documents": lambda: documents.folders(settings),
        "Index": lambda: documents.index(settings),
        "Embedding model": lambda: documents.embedding(settings, deep=deep),
        "Repositories": lambda: commits.repositories(settings),
        "Parts": lambda: models.parts(settings, deep=deep),
        "Writing model": lambda: models.writer(settings, deep=deep),
        "Ranking model": lambda: models.ranker(settings, deep=deep),
    }


def _examine(name: str, act: Examination, found: dict[str, Sequence[Check]]) -> None:
    try:
        found[name] = act()
    except RundownError as error:
        found[name] = [refused(name, error)]
    except Exception as error:  # one examination that stumbles must not hide what the others found
        found[name] = [
            fail(name, f"{type(error).__name__}: {error}", "this is a fault of doctor's own: please report it")
        ]


def exit_code(checks: Sequence[Check]) -> int:
    """1 if anything has to be mended, else 0: what is off or merely worth a look does not fail."""
    return int(any(check.state == "fail" for check in checks))


def to_dict(check: Check) -> dict[str, str]:
    """A check as `--json` prints it."""
    return {name: redact(value) for name, value in asdict(check).items()}


def show(checks: Sequence[Check]) -> RenderableType:
    """The checks as a table for a terminal, and a line that sums them up."""
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for check in checks:
        mark, colour = _MARKS[check.state]
        words = to_dict(check)
        found = escape(words["found"])
        if words["way_out"]:
            found += f"\n[dim]→ {escape(words['way_out'])}[/]"
        table.add_row(f"[{colour}]{mark}[/]", escape(words["name"]), found)
    return Group(table, "", _summary(checks))


def _summary(checks: Sequence[Check]) -> str:
    count: dict[str, Any] = {state: sum(check.state == state for check in checks) for state in _MARKS}
    if not count["fail"] and not count["warn"]:
        return f"[green]All well:[/] {count['ok']} checks, {count['off']} parts not in use."
    return f"{count['fail']} to mend, {count['warn']} to look at, {count['ok']} well, {count['off']} not in use."
