"""`rundown train ranker`: gathers a team's labels, has the ranker learn from them, and says what came of it.

Does: open repositories, mine labels, read labelled files and Slack's feedback, write weights where ranking finds them, train a
Llama on the same incidents when asked; the report in plain words and as JSON.
Does not: fit or compute (`ranking.training`, `ranking.llama.train`), or create a store.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot import train_llama
from bot.app import own_weights
from bot.investigation import Ranked
from bot.train_llama import LlamaDone, LlamaJob
from core.errors import UsageError
from core.model import from_json, from_unix
from core.settings import Settings, read_settings
from core.text import strip_hidden
from ranking.evaluation import Evaluation, paired_difference
from ranking.labels.cases import Labelled
from ranking.labels.feedback import feedback_cases, join_cases, origin_of
from ranking.scorer import read_weighing
from ranking.training import Learned, Measured, Move, check_weighing_path, learn, write_weighing

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bot.local import Progress
    from ranking.history import History
    from ranking.votes import VoteWeight

_ORIGINS = {
    "feedback": "named in Slack",
    "given": "given with --cases",
    "revert": "reverted with a reason",
    "fix": "repaired with a `Fixes:` trailer",
    "prose": "blamed in a commit message",
}
_SHOWN = {"top1": "Top-1", "top5": "Top-5", "mrr": "MRR"}
_TOLD_MOVES = 5


@dataclass(frozen=True, kw_only=True)
class Past:
    """Which incidents of a team are learned from; see `run`."""

    repos: Sequence[str]
    cases: Sequence[Path] = ()
    since: datetime | None = None
    before: datetime | None = None
    window_days: float | None = None
    limit: int = 500
    feedback: bool = True


@dataclass(frozen=True, kw_only=True)
class Written:
    """A Llama's material in files."""

    out: Path
    #: File name -> lines.
    lines: dict[str, int]
    #: Incidents learned from, and held out.
    incidents: tuple[int, int]
    left_out: int
    gaps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A training as it is told."""

    learned: Learned
    #: Where the new weights were written, None when they were not; and where they are used.
    written: Path | None
    used_at: Path
    #: Whether weights of an earlier training lie there and stay.
    earlier: bool
    llama: LlamaDone | None
    gaps: tuple[str, ...]


def run(
    repos: Sequence[str],
    *,
    cases: Sequence[Path],
    since: datetime | None,
    before: datetime | None,
    window_days: float | None,
    limit: int,
    feedback: bool,
    out: Path | None,
    force: bool,
    llama: LlamaJob | None,
    progress: Progress,
) -> Done:
    """Fit the ranker to a team's own past incidents.

    Args:
        repos: paths, or "NAME=PATH".
        cases: files of labelled cases.
        since, before: only incidents, blaming commits and votes in between; nothing later is read.
        window_days: days before an incident whose commits are candidates; that of the settings by default.
        limit: at most so many incidents, the newest.
        feedback: whether what people said in Slack counts.
        out: where the weights go; where ranking finds them by default.
        force: write them even if they did worse on the newest incidents.
        llama: train one too.

    Raises:
        RepositoryError: no repository can be read.
        UsageError: weights cannot be written where they go.
        RundownError: there are too few labels.
    """
    past = Past(
        repos=repos, cases=cases, since=since, before=before, window_days=window_days, limit=limit, feedback=feedback
    )
    settings = read_settings()
    check_weighing_path(out or own_weights(settings))
    learned, histories, gaps = _learned(past, settings, progress)
    trained = train_llama.train(llama, learned, histories, settings, progress) if llama else None
    vote = trained.vote if trained else None
    earlier, written = own_weights(settings).exists(), keep(learned, settings, out=out, force=force, vote=vote)
    return Done(
        learned=learned,
        written=written,
        used_at=own_weights(settings),
        earlier=earlier,
        llama=trained,
        gaps=gaps,
    )


def write_examples(past: Past, *, texts: Sequence[Path], out: Path, progress: Progress) -> Written:
    """Write what a Llama would learn from, for a training elsewhere (`ranking.llama.finetune`). No weights are written.

    Args:
        texts: folders or repositories of documents to read beside the commit messages.
        out: an empty or new folder.

    Raises:
        RepositoryError: no repository can be read.
        DocumentError: a folder of texts cannot be read.
        UsageError: the folder is not empty.
        RundownError: there are too few labels.
    """
    train_llama.refuse_full(out)  # before minutes of measuring
    learned, histories, gaps = _learned(past, read_settings(), progress)
    material = train_llama.gather(learned, histories, texts)
    return Written(
        out=out,
        lines=train_llama.write_material(material, out),
        incidents=(len(learned.fitted), len(learned.held_out)),
        left_out=material.left_out,
        gaps=gaps,
    )


def _learned(past: Past, settings: Settings, progress: Progress) -> tuple[Learned, list[History], tuple[str, ...]]:
    """What a team's past taught, its histories, and what could not be read, in words.

    Raises:
        RepositoryError: no repository can be read.
        RundownError: there are too few labels.
    """
    from ranking.history import open_histories
    from ranking.meaning import open_readers
    from ranking.ranker import Ranker

    histories, gaps = open_histories(past.repos, home=settings.home)
    # From the weights that ship, never from those of the last training: each label counts once, however often one trains.
    ranker = Ranker(
        histories, readers=open_readers(), weighing=read_weighing(), service_repos=settings.service_repos, gaps=gaps
    )
    gaps += ranker.refresh(progress)
    labels = _labels(histories, settings, past, progress)
    learned = learn(
        ranker, labels[-past.limit :], window_days=past.window_days or settings.window_days, progress=progress
    )
    # The same gap with other figures is told once.
    told = {re.sub(r"\d+", "", gap): gap for one in learned.measured for gap in one.gaps}
    return learned, histories, (*gaps, *told.values())


def keep(
    learned: Learned, settings: Settings, *, out: Path | None, force: bool, vote: VoteWeight | None = None
) -> Path | None:
    """Write the new weights unless they did worse than those that ship; where they went.

    Args:
        out: where they go; where ranking finds them by default.
        force: write them even if they did worse.
        vote: what a Llama's vote counts. It is written in any case, beside the weights that stay if the new ones did worse.
    """
    own = own_weights(settings)
    if learned.better or force:
        weighing = learned.weighing
    elif vote:
        weighing = read_weighing(own) if own.exists() else learned.shipped
    else:
        return None
    if vote:
        notes = {**weighing.notes, "model_weight": asdict(vote)}
        weighing = weighing.model_copy(update={"model_weight": vote.weight, "notes": notes})
    path = out or own
    write_weighing(path, weighing)
    return path


def llama_job(base: str | None, out: Path | None, texts: Sequence[Path]) -> LlamaJob | None:
    """The Llama that was asked for on a command line, if any.

    Raises:
        UsageError: where it goes or what it reads was told, but not which.
    """
    if base is not None:
        return LlamaJob(base=base, out=out, texts=texts)
    if out is not None or texts:
        raise UsageError(
            "there is no Llama to train",
            why="--adapter-out and --texts need --base-model",
            way_out="add --base-model with a hub id or a folder, for example meta-llama/Llama-3.2-1B",
        )
    return None


# -- labels ------------------------------------------------------------------------------------------------------


def _labels(histories: Sequence[History], settings: Settings, past: Past, progress: Progress) -> list[Labelled]:
    """What people said in Slack, then what was given, then what histories tell; oldest first."""
    from ranking.backtest import find_labels
    from ranking.labels.cases import read_labelled, with_whole_ids

    since, before = past.since or from_unix(0), past.before or datetime.now(UTC)
    days = past.window_days or settings.window_days
    names = [history.name for history in histories]
    given = with_whole_ids((case for file in past.cases for case in read_labelled(file, names)), histories)
    said = feedback_cases(_feedback(settings, before)) if past.feedback else []
    mined = find_labels(histories, since=since, before=before, window_days=days, progress=progress)
    joined = join_cases(said, given, mined.cases)
    return [case for case in joined if since.timestamp() <= case.created_at < before.timestamp()]


def _feedback(settings: Settings, before: datetime) -> list[dict[str, Any]]:
    """The votes of the configured store from before a moment; nothing when there is no store yet."""
    from core.store import open_store, revision_of

    url = settings.store_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return []
    if revision_of(url)[0] is None:
        return []
    store = open_store(url)
    try:
        rows = [row for row in store.feedback() if datetime.fromisoformat(row["at"]) < before]
        # A thumb up on "inconclusive" agrees that no commit stands out: it is no voice for the first one.
        return [row for row in rows if row["item"] != "cause" or _named(store.findings(row["incident_id"]))]
    finally:
        store.close()


def _named(findings: dict[str, Any]) -> bool:
    ranking = from_json(Ranked, findings["rank"]).ranking if "rank" in findings else None
    return ranking is not None and not ranking.abstained


# -- the report --------------------------------------------------------------------------------------------------


def show(done: Done, console: Console) -> None:
    """Print what was learned from, whether it helped, what moved, and where the weights are."""
    learned = done.learned
    console.print(_learned_from(learned.measured), highlight=False)
    if learned.lost:
        console.print(
            f"[yellow]Of {learned.lost} the culprit is not among the candidates; they count as not found.[/] "
            "A wider --window-days may hold it.",
            highlight=False,
        )
    console.print(
        f"\nThe newest {len(learned.held_out)} incidents, ranked by what the {len(learned.fitted)} older ones taught:"
    )
    console.print(_table(learned.before, learned.after))
    console.print(_verdict(learned), highlight=False)
    console.print("\nWhat moved most:")
    for line in _move_lines(learned):
        console.print(f"  {line}", highlight=False)
    console.print(f"\n{_outcome(done)}", highlight=False)
    if done.llama:
        for line in train_llama.told(done.llama):
            console.print(line, highlight=False, soft_wrap=True)
    for gap in done.gaps[:5]:
        console.print(f"[yellow]{_plain(gap)}[/]", highlight=False)


def show_written(written: Written, console: Console) -> None:
    """Print what was written, and what to do with it."""
    older, newest = written.incidents
    console.print(f"Wrote {older} past incidents to learn from and the newest {newest} to measure on:", highlight=False)
    for name, lines in written.lines.items():
        console.print(f"  {_plain(str(written.out / name))}: {lines} lines", highlight=False, soft_wrap=True)
    for line in train_llama.left_out_lines(written.left_out):
        console.print(line, highlight=False)
    console.print("\nTo train on them, here or where a GPU is:")
    console.print(f"  {_plain(train_llama.command(written.out))}", highlight=False, soft_wrap=True)
    for gap in written.gaps[:5]:
        console.print(f"[yellow]{_plain(gap)}[/]", highlight=False)


def _learned_from(measured: Sequence[Measured]) -> str:
    counts = Counter(origin_of(one.case) for one in measured)
    kinds = ", ".join(f"{counts[origin]} {words}" for origin, words in _ORIGINS.items() if counts[origin])
    first, last = (from_unix(measured[at].case.created_at) for at in (0, -1))
    return f"Learned from [bold]{len(measured)} past incidents[/] from {first:%Y-%m-%d} to {last:%Y-%m-%d}: {kinds}."


def _table(before: Evaluation, after: Evaluation) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "as shipped", "yours", "change"):
        table.add_column(heading, justify="right" if heading else "left")
    for metric, heading in _SHOWN.items():
        found = paired_difference(after, before, metric)
        change = f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
        table.add_row(
            heading,
            *(
                f"{one.value(metric):.2f} [{low:.2f}, {high:.2f}]"
                for one in (before, after)
                for low, high in [one.interval(metric)]
            ),
            change + ("" if found.certain else " may be chance"),
        )
    if before.ece is not None and after.ece is not None:
        missed = paired_difference(after, before, "miss")
        table.add_row(
            "confidence missed by, squared",
            f"{before.value('miss'):.2f}",
            f"{after.value('miss'):.2f}",
            f"{missed.mean:+.2f} [{missed.low:+.2f}, {missed.high:+.2f}]"
            + ("" if missed.certain else " may be chance"),
        )
        table.add_row(
            "confidence off by",
            f"{before.ece:.2f}",
            f"{after.ece:.2f}",
            f"{after.ece - before.ece:+.2f} (less is better)",
        )
    return table


def _verdict(learned: Learned) -> str:
    """How they rank, and how well they know when they are right: what decides whether they are kept."""
    ranking, miss = learned.verdict.ranking, learned.verdict.miss
    order = ("worse", "better")[ranking.mean > 0] if ranking.certain else "no differently, beyond chance,"
    sure = (
        ("closer to the truth", "further from the truth")[miss.mean > 0]
        if miss.certain
        else "no different, beyond chance"
    )
    return f"Yours rank {order} than those that ship; their confidence is {sure}."


def _move_lines(learned: Learned) -> list[str]:
    lines = [told(move) for move in learned.moves[:_TOLD_MOVES] if move.before != move.after]
    if not lines:
        lines = ["no weight: your incidents do not speak clearly for other ones"]
    own, shipped = learned.weighing.temperature, learned.shipped.temperature
    if own != shipped:
        lines.append(
            f"how sure it is: {'less' if own > shipped else 'more'} than as shipped (temperature {shipped:g} → {own:g})"
        )
    return lines


def told(move: Move) -> str:
    """One weight's change in plain words."""
    words = _WORDS.get(move.feature, move.feature.replace("_", " "))
    side = "for" if move.after >= 0 else "against"
    if move.before * move.after < 0:
        how = f"now counts {side} a commit"
    else:
        how = f"counts {'more' if abs(move.after) > abs(move.before) else 'less'} {side} a commit"
    return f"{words}: {how} ({move.before:+.2f} → {move.after:+.2f})"


#: What a feature says of a commit.
_WORDS = {
    "after_onset": "coming after the trouble began, by the incident's words",
    "already_reverted": "having been reverted already",
    "cause": "a change that would explain the page, read beside it",
    "changed_again": "files that were changed again since",
    "closeness": "a meaning close to the incident's, as the small Llama reads it",
    "likeness": "a meaning close to the incident's, as MiniLM reads it",
    "file": "touching a file the incident names",
    "files": "touching many files",
    "folder": "touching a folder the incident names",
    "hunk": "one changed place that speaks of the incident",
    "kind_dependency": "updating a dependency",
    "kind_docs": "changing only documentation",
    "kind_empty": "changing no file",
    "kind_fix": "being a fix itself",
    "kind_reland": "applying an earlier change again",
    "kind_revert": "being a revert itself",
    "kind_robot": "being made by a robot",
    "kind_tests": "changing only tests",
    "kind_translation": "changing only translations",
    "message_and_lines": "message and changed lines that use the incident's words",
    "name_lines": "changed lines with a name from the incident",
    "name_message": "a message with a name from the incident",
    "newer_in_repo": "being among the latest of its repository",
    "owns_files": "an author who made most of the earlier changes there",
    "path_history": "files whose earlier commits speak of the incident",
    "paths": "paths that use the incident's words",
    "phrase": "changed lines with an error text from the incident",
    "recent": "being recent",
    "recent_brief": "being recent, when the incident says little",
    "repo_history": "a repository whose past speaks of the incident",
    "repo_named": "a repository the incident names",
    "reverts_here": "files in which changes were reverted before",
    "side_by_side": "words side by side as in the incident",
    "subject": "a subject that uses the incident's words",
    "unmerged": "not being merged yet",
    "within_hour": "being less than an hour old",
    "culprits_here": "files in which earlier changes broke something",
    "named_since": "being named by a later commit",
    "newer_in_repo_by_days": "being among the latest of its repository, when a page asks",
    "repaired_since": "having been repaired in part already",
    "within_hour_by_days": "being less than an hour old, when a page asks",
    "words_place": "being among the first by the incident's words",
}


def _outcome(done: Done) -> str:
    if done.written is None:
        stay = f"your earlier ones in {done.used_at} stay" if done.earlier else "the ones that ship stay"
        return (
            f"Not better on the newest incidents, so nothing was written: {_plain(stay)}. "
            "More labels may change that; --force writes them all the same."
        )
    name = done.learned.weighing.release
    if done.written != done.used_at:
        return f"Wrote {name} to {_plain(str(done.written))}. To rank with it, put it at {_plain(str(done.used_at))}."
    return (
        f"Wrote {name} to {_plain(str(done.written))}. `rundown rank` and `rundown investigate` use it from now on, "
        "`rundown serve` from its next start. Delete the file to go back to the weights that ship."
    )


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(strip_hidden(text))


def to_json(done: Done) -> dict[str, Any]:
    """The report as JSON values; intervals as [value, low, high]."""
    learned = done.learned
    notes = learned.weighing.notes
    found: dict[str, Any] = {
        "release": learned.weighing.release,
        "data": notes["data"],
        "held_out": notes["held_out"],
        "better": learned.better,
        "moves": [asdict(move) for move in learned.moves],
        "written": str(done.written) if done.written else None,
        "used_from": str(done.used_at),
        "gaps": done.gaps,
    }
    if done.llama:
        found["llama"] = train_llama.to_json(done.llama)
    return found
