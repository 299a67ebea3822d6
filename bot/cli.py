"""The `rundown` command: parse, call, print, and an exit code that means something.

Does: 0 done, 1 failed, 2 wrong usage; `--json` wherever results are printed. Heavy libraries are imported inside the commands,
so that `rundown --help` is instant. Does not: hold logic; each command is a call into a module beside it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.index_commands import index_app
from bot.source_help import NamesSources

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="rundown",
    help="Rundown: what is going on, which commit most likely caused it, what to do next.",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(index_app, name="index")

Repos = Annotated[
    list[Path] | None,
    typer.Option("--repo", help="A git repository, work tree or bare. May be repeated.", metavar="PATH"),
]
NamedRepos = Annotated[
    list[str],
    typer.Option(
        "--repo", help="A git repository, or NAME=PATH to give it a name. May be repeated.", metavar="[NAME=]PATH"
    ),
]
Docs = Annotated[
    list[Path] | None,
    typer.Option("--docs", help="A folder or git repository of documents. May be repeated.", metavar="DIR"),
]
Since = Annotated[str | None, typer.Option("--since", help="Only labels from commits since then.", metavar="DATE")]
Before = Annotated[str | None, typer.Option("--before", help="Read nothing committed then or later.", metavar="DATE")]
WindowDays = Annotated[
    float | None,
    typer.Option(
        "--window-days", min=0.01, max=36_500, help="Days of commits that are candidates. Default: RUNDOWN_WINDOW_DAYS."
    ),
]
LabelledCases = Annotated[
    list[Path] | None,
    typer.Option("--cases", help="Labelled cases of your own, a line each. May be repeated.", metavar="FILE.jsonl"),
]
Newest = Annotated[int, typer.Option("--limit", min=1, help="At most so many incidents, the newest.")]
NoFeedback = Annotated[bool, typer.Option("--no-feedback", help="Leave out what people said in Slack.")]
Texts = Annotated[
    list[Path] | None, typer.Option("--texts", help="Documents it reads too. May be repeated.", metavar="DIR")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main() -> None:
    """The console script: run a command, and turn a failure with a way out into a line and an exit code."""
    from core.errors import RundownError

    # Two waiting threads must not spin away the core that the other one needs: query p95 went from 509 to 12 ms.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(standalone_mode=True)
    except RundownError as error:
        _console(stderr=True).print(f"[bold red]rundown:[/] {_plain(str(error))}", highlight=False)
        sys.exit(error.exit_code)
    except OSError as error:
        # A disk that is full, a folder that is a file: the system's own words name both the reason and the path.
        _console(stderr=True).print(
            f"[bold red]rundown:[/] {_plain(str(error))}. Check the path, its permissions and the disk.",
            highlight=False,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback(epilog="Begin with: rundown demo")
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        sys.stdout.write(f"rundown {installed('rundown')}\n")
        raise typer.Exit()


@app.command()
def demo(
    browser: Annotated[
        bool, typer.Option("--browser", help="Open the card as Slack lays it out, in the browser.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep the demo's repository, documents and databases here.", metavar="DIR"),
    ] = None,
) -> None:
    """The whole job on this machine: no account, no network.

    Builds a small real repository and a knowledge folder, starts the real server with a stand-in Slack on loopback, sends a
    signed PagerDuty page, shows the card as it fills in, presses a thumb and asks a question. Exit code 0 only if the culprit
    was ranked first, the right runbook was found and the thumb is in the store.

    Example: rundown demo --browser
    """
    from bot.demo import run_demo

    raise typer.Exit(run_demo(_console(), browser=browser, keep=keep))


@app.command()
def investigate(
    title: Annotated[str, typer.Option("--title", help="What is wrong, in the alert's words.")],
    repo: Repos = None,
    docs: Docs = None,
    description: Annotated[
        str, typer.Option("--description", help="More of what is known: error lines, symptoms.")
    ] = "",
    service: Annotated[str | None, typer.Option("--service", help="The affected service's name.")] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="When it began: unix seconds, or ISO 8601 in UTC unless it names a zone. Default: now.",
            metavar="TIME",
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="Open the card as Slack lays it out, in the browser.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Investigate one incident on local repositories and documents; no server, no Slack.

    Example: rundown investigate --repo ~/src/shop --docs ~/runbooks --service checkout --title "checkout answers 500"
    """
    from bot.local import investigate_locally, parse_time

    with _progress(quiet=as_json) as progress:
        found = investigate_locally(
            repos=repo or [],
            docs=docs or [],
            title=title,
            description=description,
            service=service,
            at=parse_time(at),
            progress=progress,
        )
    if as_json:
        _print_json(found.to_json())
        return
    found.show(_console())
    if browser:
        found.open_in_browser()


@app.command()
def rank(
    repo: NamedRepos,
    cases: Annotated[
        Path, typer.Option("--cases", help="Case lines: one incident a line, as JSON.", metavar="CASES.jsonl")
    ],
    out: Annotated[Path, typer.Option("--out", help="Where ranked lines go.", metavar="RANKED.jsonl")],
) -> None:
    """Rank the culprit commits of many incidents.

    Example: rundown rank --repo curl=~/src/curl --cases cases.jsonl --out ranked.jsonl
    """
    from bot.local import rank_in_bulk

    with _progress() as progress:
        count = rank_in_bulk(repos=repo, cases=cases, out=out, progress=progress)
    _console(stderr=True).print(f"{count} incidents ranked into {out}")


@app.command()
def backtest(
    repo: NamedRepos,
    since: Since = None,
    before: Before = None,
    limit: Newest = 200,
    window_days: WindowDays = None,
    window_commits: Annotated[
        int | None, typer.Option("--window-commits", min=1, help="Instead, the last so many commits.")
    ] = None,
    alone: Annotated[
        bool,
        typer.Option("--alone", help="Rank each incident among its own repository's commits, not among those of all."),
    ] = False,
    save_cases: Annotated[
        Path | None, typer.Option("--save-cases", help="Keep the labelled cases here.", metavar="FILE.jsonl")
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", help="Draw how far the confidence can be believed.", metavar="FILE.png|FILE.svg"),
    ] = None,
    show_wrong: Annotated[int, typer.Option("--show-wrong", min=0, help="Tell so many of those it got wrong.")] = 5,
    as_json: Json = False,
) -> None:
    """Test the ranker on your own past: commits that revert or repair an earlier one and say why.

    Their messages, without what names the culprit, are ranked as if they were pages, with nothing later than them in view.

    Example: rundown backtest --repo ~/src/shop --repo infra=~/src/infra --since 2025-01-01 --chart calibration.png
    """
    from bot import backtest_report
    from bot.local import parse_time

    with _progress(quiet=as_json) as progress:
        done = backtest_report.run(
            repo,
            since=parse_time(since),
            before=parse_time(before),
            window_days=window_days,
            window_commits=window_commits,
            pooled=not alone,
            limit=limit,
            save_cases=save_cases,
            chart=chart,
            progress=progress,
        )
    if as_json:
        _print_json(backtest_report.to_json(done, wrong=show_wrong))
    else:
        backtest_report.show(done, _console(), wrong=show_wrong)
    for path in filter(None, (save_cases, chart)):
        _console(stderr=True).print(f"wrote {path}", highlight=False)


training = typer.Typer(help="Learn from your own incidents.", no_args_is_help=True)
app.add_typer(training, name="train")


@training.command("ranker")
def train_ranker(
    repo: NamedRepos,
    cases: LabelledCases = None,
    since: Since = None,
    before: Before = None,
    window_days: WindowDays = None,
    limit: Newest = 500,
    no_feedback: NoFeedback = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where the weights go. Default: where ranking finds them.", metavar="FILE"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write them even if they did worse.")] = False,
    base_model: Annotated[
        str | None, typer.Option("--base-model", help="Train this Llama on them too.", metavar="ID_OR_FOLDER")
    ] = None,
    adapter_out: Annotated[
        Path | None, typer.Option("--adapter-out", help="Where the Llama goes.", metavar="DIR")
    ] = None,
    texts: Texts = None,
    as_json: Json = False,
) -> None:
    """Fit the ranker to your own past: what history says, what people said in Slack, and cases you give.

    The newest 30 % are kept aside to compare on. Weights that do worse there than those that ship are not written.

    Example: rundown train ranker --repo ~/src/shop --repo infra=~/src/infra --since 2024-01-01
    """
    from bot import train
    from bot.local import parse_time

    with _progress(quiet=as_json) as progress:
        done = train.run(
            repo,
            cases=cases or (),
            since=parse_time(since),
            before=parse_time(before),
            window_days=window_days,
            limit=limit,
            feedback=not no_feedback,
            out=out,
            force=force,
            llama=train.llama_job(base_model, adapter_out, texts or ()),
            progress=progress,
        )
    if as_json:
        _print_json(train.to_json(done))
    else:
        train.show(done, _console())


@training.command("examples")
def train_examples(
    repo: NamedRepos,
    out: Annotated[Path, typer.Option("--out", help="A new folder for the files.", metavar="DIR")],
    cases: LabelledCases = None,
    since: Since = None,
    before: Before = None,
    window_days: WindowDays = None,
    limit: Newest = 500,
    no_feedback: NoFeedback = False,
    texts: Texts = None,
) -> None:
    """Write what a Llama would learn from, to train it on another machine with ranking.llama.finetune.

    Example: rundown train examples --repo ~/src/shop --out examples
    """
    from bot import train
    from bot.local import parse_time

    past = train.Past(
        repos=repo,
        cases=cases or (),
        since=parse_time(since),
        before=parse_time(before),
        window_days=window_days,
        limit=limit,
        feedback=not no_feedback,
    )
    with _progress() as progress:
        written = train.write_examples(past, texts=texts or (), out=out, progress=progress)
    train.show_written(written, _console())


@app.command(cls=NamesSources)
def ingest(
    source: Annotated[list[str], typer.Argument(help="Folders or git repositories of documents", metavar="SOURCE…")],
    watch: Annotated[bool, typer.Option("--watch", help="Keep syncing until stopped.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Sources read at the same time.")] = 1,
    forget: Annotated[
        bool, typer.Option("--forget", help="Remove them instead; `rundown index status` names all.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring documents into the index; only what changed is read again, and what is gone is removed. Exit code 1: nothing there.

    Example: rundown ingest ~/runbooks ~/src/wiki.git pagerduty:
    """
    if forget:
        from bot.local import forget_sources

        gone = forget_sources(source)
        if as_json:
            _print_json(gone)
        else:
            for name, count in gone.items():
                _console(stderr=True).print(
                    f"{name}: {count} documents removed", highlight=False, markup=False, emoji=False
                )
        return
    from bot.local import ingest_sources

    with _progress(quiet=as_json) as progress:
        reports = ingest_sources(
            source,
            watch=watch,
            workers=workers,
            progress=progress,
            show=None if as_json else partial(_console(stderr=True).print, markup=False, emoji=False),
        )
    if as_json:
        _print_json(reports)
    raise typer.Exit(0 if any(report["seen"] or report["deleted"] for report in reports) else 1)


@app.command()
def search(
    query: Annotated[str | None, typer.Argument(help="What to look for.")] = None,
    queries: Annotated[
        Path | None, typer.Option("--queries", help="Query lines: one search a line, as JSON.", metavar="Q.jsonl")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where result lines go.", metavar="R.jsonl")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Documents a query.")] = 10,
    service: Annotated[str | None, typer.Option("--service", help="The affected service's name.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each stands where it stands.")] = False,
    as_json: Json = False,
) -> None:
    """Search the index for what everyone may read, once or in bulk. Without a question's answer it says so.

    Example: rundown search "connection pool exhausted" --limit 3 --explain
    """
    from bot import searching
    from core.errors import UsageError

    if query is not None and queries is None:
        found = searching.search_once(query, limit=limit, service=service)
        if as_json:
            _print_json(searching.as_json(found, explain=explain))
        else:
            searching.show(found, _console(), explain=explain)
    elif queries is not None and out is not None and query is None:
        with _progress() as progress:
            count = searching.search_in_bulk(queries, out, limit=limit, progress=progress)
        _console(stderr=True).print(f"{count} queries answered into {out}")
    else:
        raise UsageError(
            "cannot tell what to search",
            why="give either a QUERY, or --queries with --out",
            way_out='for example: rundown search "disk full"',
        )


@app.command()
def serve() -> None:
    """Run the bot: Slack, PagerDuty, workers, health and metrics, in one process.

    Settings come from RUNDOWN_* variables or .env; `rundown doctor` checks them. Example: rundown serve
    """
    from bot.serve import serve_forever
    from core.settings import read_settings

    raise typer.Exit(serve_forever(read_settings()))


@app.command()
def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Also load the configured models.")] = False,
    as_json: Json = False,
) -> None:
    """Check every token, scope, endpoint, index and model, and say what to do about each.

    Example: rundown doctor --deep
    """
    from bot import doctor as surgery
    from core.settings import read_settings

    checks = surgery.run_doctor(read_settings(), deep=deep)
    if as_json:
        _print_json([surgery.to_dict(check) for check in checks])
    else:
        _console().print(surgery.show(checks))
    raise typer.Exit(surgery.exit_code(checks))


@app.command()
def manifest() -> None:
    """Print the Slack app manifest: paste it at api.slack.com/apps to create the app.

    Example: rundown manifest > manifest.yaml
    """
    from importlib.resources import files

    sys.stdout.write(files("bot").joinpath("slack_manifest.yaml").read_text(encoding="utf-8"))


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@contextmanager
def _progress(*, quiet: bool = False) -> Iterator[Any]:
    """A callback (what, done, total or None) drawn as bars on a terminal, silent elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total=None: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int | None = None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield report
