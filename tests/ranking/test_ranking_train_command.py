"""`rundown train ranker`: what it learns from, what it writes and says, and who ranks with it afterwards."""

from __future__ import annotations

import dataclasses
import io
import json
from datetime import timedelta
from functools import partial

import pytest
from llama_world import make_llama
from ranking_repos import NOON
from rich.console import Console
from team_world import LAG, PARTS, add_incidents, make_repo_in, make_team
from typer.testing import CliRunner

from bot import train, train_llama
from bot.app import open_ranker, own_weights
from bot.cli import app
from bot.doctor.models import ranker as examine
from bot.investigation import Ranked
from bot.local import rank_in_bulk
from core.errors import RepositoryError, RundownError, UsageError
from core.model import Confidence, Feedback, Incident, Ranking, Vote, from_unix, to_json
from core.settings import read_settings
from core.store import open_store
from ranking.backtest import find_labels
from ranking.evaluation import Evaluation
from ranking.history import open_history
from ranking.labels.cases import write_cases
from ranking.labels.feedback import origin_of
from ranking.llama.examples import read_examples, read_texts
from ranking.llama.pretrain import commit_texts
from ranking.llama.prompt import TRAINING_FILE
from ranking.llama.recipe import Recipe
from ranking.scorer import read_weighing
from ranking.training import write_weighing
from ranking.votes import VoteWeight

#: Incidents of the team: hardly more than it takes.
COUNT = 22


def go(path, **more):
    asked = {
        "cases": (),
        "since": None,
        "before": NOON,
        "window_days": None,
        "limit": 500,
        "feedback": True,
        "out": None,
        "force": False,
        "llama": None,
        "progress": lambda *said: None,
    }
    return train.run([f"shop={path}"], **{**asked, **more})


def invoke(*arguments, width="200"):
    return CliRunner().invoke(app, ["train", "ranker", *map(str, arguments)], env={"COLUMNS": width})


def vote(store, incident, sha, *, item=None, at=NOON - timedelta(hours=1), hours=20.0, vote=Vote.CULPRIT):
    word = Feedback(
        incident_id=incident, item=item or f"commit:{sha}", person="ada", vote=vote, at=at, release="features-1"
    )
    told = {"title": "checkout is down", "description": "", "service": None}
    told["created_at"] = (NOON - timedelta(hours=hours)).timestamp()
    finding = {"ranking": [{"sha": sha, "repo": "shop", "score": 1.0}]}
    store.record_feedback(word, training_row={"incident": told, "finding": finding})


@pytest.fixture(name="team")
def _team(make_repo):
    return make_team(make_repo, COUNT)


@pytest.fixture(name="trained", scope="module")
def _trained(tmp_path_factory):
    """One training that many tests look at: what came of it, and the repository."""
    aside = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNDOWN_HOME", str(aside / "home"))
        path, _ = make_team(partial(make_repo_in, aside), COUNT)
        return go(path, force=True), path


@pytest.fixture(name="own")
def _own(trained):
    """The same, its weights lying where this test's ranking finds them."""
    done, path = trained
    train.keep(done.learned, read_settings(), out=None, force=True)
    return done, path


def shown(done):
    console = Console(record=True, width=400, file=io.StringIO())
    train.show(done, console)
    return console.export_text()


def origins(done):
    return [origin_of(one.case) for one in done.learned.measured]


# -- what it learns from -----------------------------------------------------------------------------------------


def test_slack_s_labels_join_the_same_training_set(team, home):
    """What people named before the moment asked for; a thumb on "inconclusive" names nothing."""
    path, culprits = team
    store = open_store(read_settings().store_url)
    vote(store, "pd:Q1", culprits[-1], hours=1)
    vote(store, "pd:Q2", culprits[5], hours=40)
    vote(store, "pd:Q3", culprits[6], at=NOON)
    for incident, confidence in (("pd:Q4", Confidence.LIKELY), ("pd:Q5", Confidence.INCONCLUSIVE)):
        vote(store, incident, culprits[7], item="cause", vote=Vote.UP, hours=50 + 30 * (incident == "pd:Q5"))
        ranking = Ranking(
            culprits=(), confidence=confidence, considered=1, repos=("shop",), window_from=NOON, window_to=NOON
        )
        store.save_finding(incident, "rank", to_json(Ranked(ranking=ranking)))
    store.close()
    found = [one.case.id for one in go(path).learned.measured if one.case.id.startswith("feedback:")]

    assert found == ["feedback:pd:Q4", "feedback:pd:Q2", "feedback:pd:Q1"]
    assert origins(go(path, feedback=False)) == ["revert"] * COUNT


def test_a_store_is_never_made_for_it(team, home):
    """No database, or one without tables, has no votes."""
    path, _ = team
    done = go(path)

    assert (origins(done), (home / "rundown.sqlite").exists()) == (["revert"] * COUNT, False)


def test_given_cases_count_beside_mined_ones(team, home, tmp_path):
    """A given case stands for the mined one of its id, its culprit told as git prints it; those out of the time asked for are left out."""
    path, _ = team
    history = open_history(path, home=home)
    history.refresh()
    known = find_labels([history], since=from_unix(0), before=NOON, window_days=14.0).cases
    given = [
        known[0].model_copy(update={"kind": None, "culprits": (known[0].culprits[0][:8],)}),
        known[1].model_copy(update={"id": "later", "created_at": NOON.timestamp()}),
    ]
    write_cases(tmp_path / "own.jsonl", given)
    done = go(path, cases=[tmp_path / "own.jsonl"])

    assert origins(done) == ["given", *["revert"] * (COUNT - 1)]
    assert done.learned.lost == 0


def test_a_limit_keeps_the_newest(team):
    """Of all origins together."""
    done = go(team[0], limit=21)

    assert [one.case.culprits[0] for one in done.learned.measured] == team[1][-21:]


def test_what_came_later_changes_nothing(team, home):
    """Later commits, labels and votes leave the weights as they are."""
    path, culprits = team
    first = go(path).learned.weighing
    add_incidents(path, [f"late_{part}" for part in PARTS[:3]], last_hours=-LAG * 10)
    store = open_store(read_settings().store_url)
    vote(store, "pd:Q1", culprits[0], at=NOON + timedelta(days=1), hours=-5)
    vote(store, "pd:Q2", culprits[1], at=NOON + timedelta(days=1), hours=30)
    store.close()

    assert go(path).learned.weighing == first


# -- what it writes and who uses it ------------------------------------------------------------------------------


def test_everything_that_ranks_uses_the_team_s_weights(own, tmp_path):
    """`investigate`, `serve` and `rank`; `doctor` says so."""
    (done, path), settings = own, read_settings()
    learned, out = done.learned, tmp_path / "out.jsonl"
    write_cases(tmp_path / "cases.jsonl", [learned.measured[-1].case])
    rank_in_bulk(repos=[f"shop={path}"], cases=tmp_path / "cases.jsonl", out=out, progress=lambda *said: None)
    first = json.loads(out.read_text())["ranking"][0]
    check = examine(settings, deep=False)[0]

    assert [open_ranker(settings, [path], serving=how).weighing for how in (False, True)] == [learned.weighing] * 2
    assert first["score"] == pytest.approx(max(learned.measured[-1].scored(learned.weighing)), abs=1e-2)
    assert (check.state, learned.weighing.release in check.found) == ("ok", True)


def test_a_second_training_starts_from_what_ships_again(own):
    """No label counts twice."""
    done, path = own
    again = go(path)

    assert (again.learned.weighing, again.earlier, done.earlier) == (done.learned.weighing, True, False)


def test_broken_weights_are_an_error_for_a_person_and_a_gap_while_serving(trained, tmp_path):
    """Never silence: a command stops, a served card says which weights ranked."""
    path, settings = trained[1], read_settings()
    own_weights(settings).parent.mkdir(parents=True)
    own_weights(settings).write_text("{}")
    ranker = open_ranker(settings, [path], serving=True)
    told = ranker.rank(Incident(id="a", title="cart_worker is down", created_at=NOON)).gaps

    with pytest.raises(UsageError, match="cannot read the ranker's weights"):
        open_ranker(settings, [path])
    with pytest.raises(UsageError, match="cannot read the ranker's weights"):
        rank_in_bulk(repos=[path], cases=tmp_path / "c", out=tmp_path / "o", progress=lambda *said: None)
    assert (ranker.weighing, told[0].startswith("Ranked by the weights that ship: cannot read")) == (
        read_weighing(),
        True,
    )
    assert examine(settings, deep=False)[0].state == "fail"


def test_weights_fitted_to_others_than_those_that_ship_are_noticed(own):
    """After an upgrade they are worth fitting again."""
    file = own_weights(read_settings())
    file.write_text(file.read_text().replace(f'"release": "{read_weighing().release}', '"release": "features-0'))
    check = examine(read_settings(), deep=False)[0]

    assert (check.state, "run `rundown train ranker` again" in check.way_out) == ("warn", True)


def test_weights_that_did_worse_are_not_written(trained, tmp_path):
    """What ships stays, or what was there, and that is said; unless it is forced."""
    done, settings = trained[0], read_settings()
    found_last = tuple(dataclasses.replace(one, place=9.0) for one in done.learned.after.outcomes)
    worse = dataclasses.replace(done.learned, after=Evaluation(found_last))
    nothing = train.keep(worse, settings, out=None, force=False)
    forced = train.keep(worse, settings, out=tmp_path / "w.json", force=True)
    told = [shown(dataclasses.replace(done, learned=worse, written=None, earlier=earlier)) for earlier in (False, True)]

    assert (nothing, forced, own_weights(settings).exists()) == (None, tmp_path / "w.json", False)
    assert read_weighing(forced) == worse.weighing
    assert "Not better on the newest incidents, so nothing was written: the ones that ship stay." in told[0]
    assert f"your earlier ones in {done.used_at} stay" in told[1]


@pytest.mark.parametrize(
    ("worse", "earlier", "release"),
    [(False, False, "the new ones"), (True, False, "those that ship"), (True, True, "earlier")],
)
def test_what_a_vote_counts_lies_beside_the_weights_that_rank(trained, worse, earlier, release):
    """Whichever these are: the new ones, those that ship, or those of an earlier training."""
    learned, settings = trained[0].learned, read_settings()
    if earlier:
        write_weighing(own_weights(settings), read_weighing().model_copy(update={"release": "earlier"}))
    places = 9.0 if worse else 1.0
    outcomes = tuple(dataclasses.replace(one, place=places) for one in learned.after.outcomes)
    learned = dataclasses.replace(learned, after=Evaluation(outcomes))
    train.keep(learned, settings, out=None, force=False, vote=VoteWeight(weight=0.31, low=0.1, high=0.6, incidents=7))
    kept = read_weighing(own_weights(settings))
    releases = {"the new ones": learned.weighing.release, "those that ship": read_weighing().release}

    assert (kept.release, kept.model_weight) == (releases.get(release, release), 0.31)
    assert kept.notes["model_weight"] == {"weight": 0.31, "low": 0.1, "high": 0.6, "incidents": 7}


# -- what it says ------------------------------------------------------------------------------------------------


def test_the_report_says_what_came_of_it(team, home):
    """From what, whether it helped, what moved, where it is and who uses it; a markup of ours is not one of theirs."""
    said = " ".join(invoke("--repo", f"shop={team[0]}", "--before", NOON.isoformat(), "--force").stdout.split())

    assert [
        words
        for words in (
            "Learned from 22 past incidents from 2024-05-07 to 2024-05-14: 22 reverted with a reason.",
            "The newest 7 incidents, ranked by what the 15 older ones taught:",
            "as shipped yours change",
            "Top-1",
            "confidence missed by, squared",
            "confidence off by",
            "than those that ship; their confidence is ",
            "What moved most:",
            " → ",
            f"to {home}/ranker/weights.json. `rundown rank` and `rundown investigate` use it from now on",
        )
        if words not in said
    ] == []


def test_json_holds_what_the_report_says(team, home, tmp_path):
    """For a script that trains every week."""
    ran = invoke(
        "--repo", f"shop={team[0]}", "--before", NOON.isoformat(), "--json", "--out", tmp_path / "w.json", "--force"
    )
    found = json.loads(ran.stdout)

    assert sorted(found) == ["better", "data", "gaps", "held_out", "moves", "release", "used_from", "written"]
    assert (found["data"]["incidents"], found["written"]) == (22, str(tmp_path / "w.json"))


def test_every_weight_is_told_in_plain_words():
    """No name of a variable on a screen."""
    assert sorted(set(read_weighing().weights) - set(train._WORDS)) == []


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (0.2, 0.5, "being recent: counts more for a commit (+0.20 → +0.50)"),
        (-0.5, -0.2, "being recent: counts less against a commit (-0.50 → -0.20)"),
        (0.5, -0.2, "being recent: now counts against a commit (+0.50 → -0.20)"),
    ],
)
def test_a_move_is_told_by_its_side_and_direction(before, after, says):
    """For or against, more or less, or turned round."""
    assert train.told(train.Move(feature="recent", before=before, after=after, worth=0.1)) == says


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["--before", "2024-05-06"], RundownError, "too few past incidents to learn from"),
        (["--adapter-out", "x"], UsageError, "--adapter-out and --texts need --base-model"),
        (["--since", "soon"], UsageError, "cannot read the time 'soon'"),
        (["--repo", "shop=gone"], RepositoryError, "gone"),
        (["--out", "/"], UsageError, "it is a folder"),
        (["--out", "/dev/null/weights.json"], UsageError, "'/dev/null' is no folder"),
        (["--since", "1999"], UsageError, "cannot use the time '1999'"),
    ],
)
def test_what_cannot_work_says_so(arguments, error, says, team):
    """With what to do about it; nothing is written."""
    repo = [] if "--repo" in arguments else ["--repo", f"shop={team[0]}"]
    ran = invoke(*repo, *arguments)

    assert (type(ran.exception), says in str(ran.exception)) == (error, True), ran.output
    assert not own_weights(read_settings()).exists()


def test_help_shows_an_example():
    """And a repository is needed."""
    assert (invoke().exit_code, "Example: rundown train ranker --repo" in invoke("--help").stdout) == (2, True)


# -- a Llama -----------------------------------------------------------------------------------------------------


def test_a_llama_learns_from_the_same_incidents(team, home, tmp_path):
    """Trained on the older, measured on the newest; of documents only what was there before these."""
    path, _ = team
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "old.md").write_text("---\nupdated_at: 2024-05-01\n---\n# Queues\n\nRestart the worker.\n")
    (docs / "new.md").write_text("---\nupdated_at: 2024-05-14\n---\n# Queues\n\nThe router was it.\n")
    (docs / "undated.md").write_text("# Queues\n\nNobody knows when.\n")
    base = make_llama(tmp_path / "base", context=2048, hidden=16)
    recipe = Recipe(
        sampled_epochs=0.1, ranked_epochs=0.2, pretrain_epochs=0.2, arrangements=1, looks=1, measured=3, watched=0.0
    )
    done = go(path, llama=train.LlamaJob(base=base, texts=[docs], recipe=recipe))
    folder = next((home / "ranker").glob("llama-base-*"))
    kept, newest = json.loads((folder / TRAINING_FILE).read_text()), done.learned.held_out
    told = len(list(commit_texts([open_history(path, home=home)], before=from_unix(newest[0].case.created_at))))

    vote = done.llama.vote

    assert (done.llama.left_out, done.llama.trained.after.lists) == (2, 3)
    assert (vote.incidents, 0 <= vote.low <= vote.weight <= vote.high) == (3, True)
    assert open_ranker(read_settings(), [path]).weighing.model_weight == vote.weight
    assert f"Its vote counts {vote.weight:.2f} [{vote.low:.2f}, {vote.high:.2f}] beside the features" in shown(done)
    assert (kept["data"]["held out"]["incidents"], kept["data"]["texts"]["count"]) == (len(newest), told + 1)
    assert "held-out lists; before its training in" in shown(done)
    assert f"RUNDOWN_RANKER_MODEL={folder}" in shown(done)
    assert train.to_json(done)["llama"]["settings"] == {"RUNDOWN_RANKER_MODEL": str(folder)}


def test_the_files_of_a_training_can_be_written_instead(team, home, tmp_path):
    """Lists of the older incidents (the first has one candidate, so none) and of the newest, and texts; no weights."""
    path, _ = team
    docs, out = tmp_path / "docs", tmp_path / "material"
    docs.mkdir()
    (docs / "old.md").write_text("---\nupdated_at: 2024-05-01\n---\n# Queues\n\nRestart the worker.\n")
    (docs / "undated.md").write_text("# Queues\n\nNobody knows when.\n")
    past = train.Past(repos=[f"shop={path}"], before=NOON)
    written = train.write_examples(past, texts=[docs], out=out, progress=lambda *said: None)
    sampled, ranked, held_out = (
        read_examples(out / train_llama.FILES[name]) for name in ("examples", "ranked", "held-out")
    )
    console = Console(record=True, width=400, file=io.StringIO())
    train.show_written(written, console)
    said = console.export_text()

    assert written.lines == {file.name: len(file.read_text().splitlines()) for file in out.iterdir()}
    assert (written.incidents, written.left_out, len(ranked), len(held_out)) == ((15, 7), 1, 14, 7)
    assert max(example.at for example in (*sampled, *ranked)) < min(example.at for example in held_out)
    assert any("Restart the worker." in text for text in read_texts(out / train_llama.FILES["texts"]))
    assert f"--held-out {out / 'held-out.jsonl'}" in said
    assert not own_weights(read_settings()).exists()
    with pytest.raises(UsageError, match="not an empty folder"):
        train.write_examples(past, texts=(), out=out, progress=lambda *said: None)
