"""`rundown backtest`: runs it with the settings of this machine, and says what came of it.

Does: open the repositories, find labels, rank them, save and draw what was asked for; the report in plain words and as JSON.
Does not: mine, rank or compute: that is `ranking.backtest`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import RundownError, UsageError
from core.model import from_unix
from core.settings import Settings, read_settings
from core.text import strip_hidden
from ranking import backtest
from ranking.backtest import FEW, OURS, Backtest, Labels, Miss
from ranking.baselines import BM25_RECENCY
from ranking.charts import check_chart_path, draw_reliability
from ranking.evaluation import METRICS, Difference, Evaluation, paired_difference

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bot.local import Progress

_SHOWN = {"top1": "Top-1", "top5": "Top-5", "mrr": "MRR"}
_KINDS = {
    "revert": "reverts that say why",
    "fix": "`Fixes:` trailers",
    "prose": "messages that blame a commit",
}


def run(
    repos: Sequence[str],
    *,
    since: datetime | None,
    before: datetime | None,
    window_days: float | None,
    window_commits: int | None,
    pooled: bool,
    limit: int,
    save_cases: Path | None,
    chart: Path | None,
    progress: Progress,
) -> Backtest:
    """Backtest the ranker on repositories' own histories.

    Args:
        repos: paths, or "NAME=PATH".
        since, before: only later commits committed in between are read for blame; all by default.
        window_days: days before an incident whose commits are candidates; that of the settings by default.
        window_commits: instead, so many commits.
        pooled: rank each incident among the commits of all repositories.
        limit: at most so many incidents, the newest.
        save_cases: where the labelled cases go, one a line.
        chart: where the reliability diagram goes.

    Raises:
        RepositoryError: no repository can be read.
        RundownError: their histories hold no label.
    """
    from bot.app import make_ranker
    from ranking.history import open_histories
    from ranking.labels.cases import write_cases

    if chart is not None:
        check_chart_path(chart)
    _check_span(since, before)
    settings = read_settings()
    histories, gaps = open_histories(repos, home=settings.home)
    # The weights that ship: a team's own were fitted to these very incidents.
    ranker = make_ranker(_without_adapter(settings), histories, gaps)
    ranker.refresh(progress)
    days = window_days or settings.window_days
    labels = backtest.find_labels(
        histories,
        since=since or from_unix(0),
        before=before or datetime.now(UTC),
        window_days=days,
        window_commits=window_commits,
        pooled=pooled,
        limit=limit,
        progress=progress,
    )
    if not labels.cases:
        raise _no_labels(labels, days, window_commits)
    if save_cases is not None:
        write_cases(save_cases, labels.cases)
    done = backtest.run_backtest(ranker, labels, progress=progress)
    if chart is not None:
        draw_reliability(chart, done.ours.bins, title=f"{done.ours.n} past incidents", ece=done.ours.ece)
    return done


def _without_adapter(settings: Settings) -> Settings:
    """An adapter was trained on these very incidents too, as far as anyone can tell."""
    return (
        settings.model_copy(update={"ranker_model": None, "ranker_adapter": None})
        if settings.ranker_adapter
        else settings
    )


def _check_span(since: datetime | None, before: datetime | None) -> None:
    if since is not None and before is not None and since >= before:
        raise UsageError(
            f"no time lies between --since {since:%Y-%m-%d %H:%M} and --before {before:%Y-%m-%d %H:%M}",
            why="the first is not earlier than the second",
            way_out="swap them, or leave one out",
        )


def _no_labels(labels: Labels, days: float, commits: int | None) -> RundownError:
    window = f"the last {commits} commits" if commits else f"{days:g} days"
    seen = sum(labels.left_out.values())
    why = "no commit message says which earlier commit it reverts or repairs"
    if labels.too_old:
        why = f"{labels.too_old} messages name a culprit, each older than the window of {window}"
    elif seen:
        why = f"{seen} messages name a commit, but none tells a failure in words that could stand for a page"
    way_out = "widen it: --window-commits 300" if labels.too_old else _MORE
    return RundownError("no labels to test on", why=why, way_out=way_out)


_MORE = (
    "add repositories with --repo, or an earlier --since. From now on `git revert` with a sentence why, or `Fixes: <id>` in "
    "the commit that repairs, gives a label each time"
)


def show(done: Backtest, console: Console, *, wrong: int) -> None:
    """Print the report.

    Args:
        wrong: how many of the incidents it got wrong are told, the newest.
    """
    ours, labels = done.ours, done.labels
    console.print(_labels_line(labels), highlight=False)
    if labels.too_old:
        hint = " --window-commits 300 takes more of them in." if labels.too_old > labels.found else ""
        console.print(
            f"[dim]{labels.too_old} more name a culprit that is older than the window; the bot would not have found it.{hint}[/]",
            highlight=False,
        )
    if labels.left_out:
        reasons = ", ".join(f"{reason} {count}" for reason, count in labels.left_out.most_common(4))
        console.print(f"[dim]Messages that name a commit and were left out: {reasons}.[/]", highlight=False)
    if ours.n < FEW:
        console.print(
            f"[yellow]Only {ours.n}: too few to tell methods apart.[/] To get more, {_MORE[0].lower()}{_MORE[1:]}.",
            highlight=False,
        )
    console.print(_table(done.methods))
    console.print(f"Against {BM25_RECENCY}: {_gain(done)}.", highlight=False)
    for line in (*_confidence_lines(ours), _probe_line(done)):
        console.print(line, highlight=False)
    for gap in done.gaps[:3]:
        console.print(f"[yellow]{_plain(gap)}[/]", highlight=False)
    if wrong and done.misses:
        chosen = done.misses[-wrong:]
        console.print(f"\n[bold]Not first[/] in {len(done.misses)} of {ours.n}; the newest {len(chosen)}:")
        for miss in reversed(chosen):
            console.print(_told(miss), highlight=False)


def _labels_line(labels: Labels) -> str:
    kinds = Counter(case.kind for case in labels.cases)
    told = ", ".join(f"{kinds[kind]} {words}" for kind, words in _KINDS.items() if kinds[kind])  # type: ignore[index]
    first, last = (from_unix(labels.cases[at].created_at) for at in (0, -1))
    total = f" (the newest of {labels.found})" if labels.found > len(labels.cases) else ""
    return f"[bold]{len(labels.cases)} past incidents[/]{total} from {first:%Y-%m-%d} to {last:%Y-%m-%d}: {told}."


def _table(methods: dict[str, Evaluation]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for heading in _SHOWN.values():
        table.add_column(heading, justify="right")
    table.add_column("seconds", justify="right")
    for name, found in methods.items():
        cells = [_with_interval(found, metric) for metric in _SHOWN]
        spent = f"{found.seconds[0]:.2f}" if found.seconds else "-"
        table.add_row(name, *cells, spent, style="bold" if name == OURS else None)
    return table


def _with_interval(found: Evaluation, metric: str) -> str:
    low, high = found.interval(metric)
    return f"{found.value(metric):.2f} [{low:.2f}, {high:.2f}]"


def _gain(done: Backtest) -> str:
    told = []
    for metric, heading in _SHOWN.items():
        found = paired_difference(done.ours, done.methods[BM25_RECENCY], metric)
        told.append(f"{heading} {found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]{_doubt(found)}")
    return ", ".join(told)


def _doubt(found: Difference) -> str:
    return "" if found.certain else " (may be chance)"


def _confidence_lines(ours: Evaluation) -> list[str]:
    if ours.ece is None:
        return []
    answered = f"{ours.answered_top1:.0%}" if ours.answered_top1 is not None else "none"
    named = f"A commit was named in {1 - ours.abstained:.0%}; of those, {answered} were right."
    sure = f"The surest quarter was right {ours.coverage[25]:.0%} of the time."
    lines = [
        f"Confidence is off by {ours.ece:.2f} on average (0 is honest). {named} {sure}",
        "",
        "How sure    how often right",
    ]
    for held in ours.bins:
        if held.count:
            bar = "█" * round(held.right * 20)
            lines.append(f"{held.low:>4.0%}-{held.high:<4.0%}  {bar:<20} {held.right:>4.0%} of {held.count}")
    return [*lines, ""]


def _probe_line(done: Backtest) -> str:
    probe = done.probe
    said = (
        f"Leakage probe: a plain word search puts the culprit first in {probe.raw:.0%} of the messages as written and in "
        f"{probe.scrubbed:.0%} after scrubbing; the gap is what naming the commit gave away, and no method was shown it."
    )
    if probe.leaky and done.ours.n >= FEW:
        said += " [yellow]After scrubbing that is still unusually often: these messages may tell the change rather than the failure, so expect less on real pages.[/]"
    return said


def _told(miss: Miss) -> str:
    named = "named no commit; first stood" if miss.abstained else f"named, {miss.confidence:.0%} sure,"
    where = (
        f"stood at {miss.place} of {miss.considered}"
        if miss.place
        else f"was not among the {miss.considered} candidates"
    )
    if not miss.first:
        named = "had no candidate"
    return (
        f"\n  [bold]{_plain(miss.title[:110])}[/] [dim]{miss.at:%Y-%m-%d}, {_plain(miss.id)}[/]\n"
        f"    {named} {_plain(miss.first)}\n    culprit {where}: {_plain(miss.culprit)}"
    )


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(strip_hidden(text))


def to_json(done: Backtest, *, wrong: int) -> dict[str, Any]:
    """The report as JSON values; intervals as [value, low, high]."""
    ours = done.ours
    return {
        "labels": {
            "n": len(done.labels.cases),
            "found": done.labels.found,
            "kinds": dict(Counter(case.kind for case in done.labels.cases)),
            "older_than_window": done.labels.too_old,
            "left_out": dict(done.labels.left_out),
        },
        "methods": {
            name: {metric: [found.value(metric), *found.interval(metric)] for metric in METRICS}
            for name, found in done.methods.items()
        },
        "gain": {metric: _gain_json(done, metric) for metric in METRICS},
        "calibration": {
            "ece": ours.ece,
            "coverage": ours.coverage,
            "abstained": ours.abstained,
            "answered_top1": ours.answered_top1,
            "bins": [vars(held) for held in ours.bins if held.count],
        },
        "seconds": ours.seconds,
        "probe": {"raw": done.probe.raw, "scrubbed": done.probe.scrubbed, "leaky": done.probe.leaky},
        "wrong": [vars(miss) | {"at": miss.at.isoformat()} for miss in reversed(done.misses[-wrong:] if wrong else ())],
        "gaps": done.gaps,
    }


def _gain_json(done: Backtest, metric: str) -> list[float]:
    found = paired_difference(done.ours, done.methods[BM25_RECENCY], metric)
    return [found.mean, found.low, found.high]
