"""Labels out of real histories: which commits make cases, what the cases say, and what is left out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add, merge

from core.model import from_unix
from ranking.history import open_history
from ranking.labels.mine import mine

EARLY = from_unix(0)
WHY = "Checkout answers 500 for every second customer, and the workers crash when sockets pile up."


@pytest.fixture(name="told")
def _told(make_repo, home):
    """What is mined from a repository of a culprit and later commits; {0} in a message is the culprit's id."""

    def tell(*later, since=EARLY, before=NOON, culprit=None, **window):
        first = culprit or Change(hours=50, message="pool: keep idle connections", files={"pool.py": "keep = 1\n"})
        path, (sha,) = make_repo("shop", [first])
        changes = [dataclasses.replace(change, message=change.message.format(sha)) for change in later]
        last = add(path, changes, onto=sha)[-1]
        history = open_history(path, home=home)
        history.refresh()
        return mine(history, since=since, before=before, **window), sha, last

    return tell


def fix(message, hours=2, files=None, author="bob"):
    return Change(hours=hours, message=message, files=files or {"pool.py": f"keep = {hours}\n"}, author=author)


def test_a_revert_with_a_reason_is_an_incident(told):
    """Its time, its words without the culprit's name, its window, and what is known of the answer."""
    mined, culprit, later = told(
        fix('Revert "pool: keep idle connections"\n\nThis reverts commit {0}.\n\n' + WHY), window_commits=300
    )

    (case,) = mined.cases
    assert (case.id, case.repos, case.title, case.description) == (f"shop:{later[:12]}", ("shop",), WHY, "")
    assert (case.created_at, case.window_commits, case.window_days) == (
        (NOON - timedelta(hours=2)).timestamp(),
        300,
        None,
    )
    assert (case.culprits, case.kind, case.lag_hours, case.same_author, case.hindsight) == (
        (culprit,),
        "revert",
        48.0,
        False,
        False,
    )
    assert culprit in case.raw


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('Revert "pool: keep idle connections" (#3)\n\nReverts o/shop#2\n\n' + WHY, "revert"),
        ("pool: fix a leak\n\n" + WHY + '\n\nFixes: {0} ("pool: keep idle connections")', "fix"),
        ("pool: fix a leak\n\n" + WHY + "\n\nThis was introduced by {0}.", "prose"),
    ],
)
def test_every_way_of_naming_a_culprit_makes_a_case(message, kind, told):
    """Even a forge's revert button, which writes only the subject."""
    mined, culprit, _ = told(fix(message, author="ada"))

    assert [(case.culprits, case.kind, case.same_author, case.hindsight) for case in mined.cases] == [
        ((culprit,), kind, True, kind != "revert")
    ]


def test_a_gerrit_change_id_finds_the_latest_commit_that_carries_it(told):
    """As it was when the message was written."""
    change = "I0123abc4567890def0123abc4567890def012345"
    culprit = Change(hours=50, message=f"pool: keep idle\n\nChange-Id: {change}", files={"pool.py": "1\n"})
    mined, sha, _ = told(fix(f"pool: fix leak\n\n{WHY}\n\nCaused by {change}."), culprit=culprit)

    assert [case.culprits for case in mined.cases] == [(sha,)]


@pytest.mark.parametrize(
    ("message", "files", "reason"),
    [
        ('Revert "Revert "x""\n\nThis reverts commit {0}.\n\n' + WHY, None, "a re-land, or the revert of a revert"),
        ("Reland the pool\n\nThis reverts commit {0}.\n\n" + WHY, None, "a re-land, or the revert of a revert"),
        (
            "Revert it\n\nThis reverts commit {0}.\n\nIt is no longer needed, as the bug it worked around was fixed upstream.",
            None,
            "reverted without a failure",
        ),
        (
            "Revert it\n\nThis reverts commit {0}.\n\nNot sure whether it crashes the workers, but let us have a look at the graphs.",
            None,
            "its author doubts the culprit",
        ),
        (
            "Tidy up\n\nThis reverts commit {0}.\n\nThe new code reads better with the old shape of the pool, and is as short.",
            None,
            "tells no failure",
        ),
        ("Revert it\n\nThis reverts commit {0}.\n\nIt crashes.", None, "says too little without the culprit's name"),
        ("Describe it\n\n" + WHY + "\n\nFixes: {0}", {"README.md": "x\n"}, "only documents or tests"),
        ("Test it\n\n" + WHY + "\n\nFixes: {0}", {"tests/test_pool.py": "x\n"}, "only documents or tests"),
        ("Fix a typo in a message\n\n" + WHY + "\n\nFixes: {0}", None, "cosmetic"),
        ("Fix it\n\n" + WHY + "\n\nFixes: 0123abc4567890", None, "names no commit of this history"),
        ("Fix it\n\n" + WHY + "\n\nFixes: {0}\nFixes: 0123abc4567890", None, "names several commits"),
    ],
)
def test_what_is_no_incident_is_left_out_and_told(message, files, reason, told):
    """One reason each."""
    mined, _, _ = told(fix(message, files=files))

    assert (mined.cases, mined.left_out) == ((), Counter({reason: 1}))


def test_a_culprit_has_one_case(told):
    """The first message about it."""
    mined, _, _ = told(
        fix("Fix a\n\n" + WHY + "\n\nFixes: {0}", hours=3), fix("Fix b\n\n" + WHY + "\n\nFixes: {0}", hours=2)
    )

    assert ([case.title for case in mined.cases], mined.left_out) == (
        ["Fix a"],
        Counter({"its culprit has a case already": 1}),
    )


@pytest.mark.parametrize(
    ("window", "count"),
    [({"window_commits": 2}, 1), ({"window_commits": 1}, 0), ({"window_days": 3}, 1), ({"window_days": 1}, 0), ({}, 1)],
)
def test_a_culprit_older_than_the_window_is_counted_apart(window, count, told):
    """No ranker could have found it."""
    mined, _, _ = told(fix("Paint the shop", hours=4), fix("Fix\n\n" + WHY + "\n\nFixes: {0}"), **window)

    assert (len(mined.cases), mined.too_old) == (count, 1 - count)


@pytest.mark.parametrize(("since", "before"), [(NOON, NOON + timedelta(days=1)), (EARLY, NOON - timedelta(hours=2))])
def test_only_messages_of_the_asked_time_are_read(since, before, told):
    """Committed at `before` is later already."""
    mined, _, _ = told(fix("Fix\n\n" + WHY + "\n\nFixes: {0}"), since=since, before=before)

    assert (mined.cases, mined.left_out) == ((), Counter())


@pytest.mark.parametrize(("branch", "cases", "left_out"), [(1, 1, {}), (2, 0, {"takes back several commits": 1})])
def test_a_reverted_merge_blames_the_one_commit_it_brought(branch, cases, left_out, make_repo, home):
    """A team that merges branches takes back merges, which are no candidates; of a branch of several commits nobody knows which it was."""
    path, (first,) = make_repo("shop", [Change(hours=60, message="Begin", files={"README": "shop\n"})])
    direct = add(path, [Change(hours=52, message="Paint", files={"paint": "1\n"})], onto=first)[-1]
    wrote = [Change(hours=58 - n, message=f"Keep connections {n}", files={"pool.py": f"{n}\n"}) for n in range(branch)]
    waited = add(path, wrote, onto=first)
    merged = merge(path, 50, direct, waited[-1], message="Merge pull request #7 from o/pool")
    told = f'Revert "Merge pull request #7 from o/pool"\n\nThis reverts commit {merged}, reversing\nchanges made to {direct}.\n\n{WHY}'
    add(path, [fix(told)], onto=merged)
    history = open_history(path, home=home)
    history.refresh()
    mined = mine(history, since=EARLY, before=NOON)

    assert [(case.culprits, case.title, case.description) for case in mined.cases] == [((waited[0],), WHY, "")] * cases
    assert mined.left_out == Counter(left_out)


def test_what_a_message_quotes_is_not_its_claim(told):
    """The quoted original of a revert may be a revert itself."""
    quoted = "> Fix the pool\n>\n> This reverts commit 0123abc4567890.\n> Fixes: 0123abc4567890"
    message = f'Revert "pool: keep idle connections"\n\nThis reverts commit {{0}}.\n\n{WHY}\n\nOriginal change\'s description:\n{quoted}'
    mined, culprit, _ = told(fix(message))

    assert [(case.culprits, case.title) for case in mined.cases] == [((culprit,), WHY)]


@pytest.mark.parametrize("author", ["tools-autoroll", "Infra Autoroller", "dependabot[bot]"])
def test_the_notice_that_a_program_writes_blames_nobody(author, told):
    """It says so of every roll, whether anything broke or not. What a program reverts was told why."""
    roll = "Roll tools to {0}\n\nIf the roll to {0} has caused a breakage, revert it and tell the people who crash."
    notice, _, _ = told(fix(roll, author=author))
    revert, _, _ = told(fix("Revert it\n\nThis reverts commit {0}.\n\n" + WHY, author=author))

    assert (notice.cases, notice.left_out) == ((), Counter({"written by a program": 1}))
    assert [(case.kind, case.description) for case in revert.cases] == [("revert", WHY)]


@pytest.mark.parametrize(
    "subject", ["Reverts 0123abc4567890", "Automated rollback of commit 0123abc4567890", 'Revert "x"']
)
def test_the_revert_of_a_revert_is_no_incident(subject, told):
    """Copybara's roll-forward says "Reverts" of the revert, below what comes back; it describes a change, not a failure."""
    culprit = Change(hours=50, message=subject, files={"pool.py": "1\n"})
    mined, _, _ = told(fix(f"Pool connections\n\n{WHY}\n\nReverts {{0}}"), culprit=culprit)

    assert (mined.cases, mined.left_out["a re-land, or the revert of a revert"]) == ((), 1)


@pytest.mark.parametrize(
    ("later", "count"),
    [
        (f'Revert "Keep it" (#15)\n\nReverts o/shop#12\n\n{WHY}', 1),
        (f"Take the pool back (#15)\n\nReverts #12. {WHY}", 1),
        (f'Reverts "Keep it (#12)" (#15)\n\n{WHY}', 1),
        (f'Revert "Keep it" (#15)\n\nReverts o/shop#1\n\n{WHY}', 0),
        (f"Take the pool back (#15)\n\nReverts #1. {WHY}", 0),
    ],
)
def test_a_pull_request_is_found_by_its_number(later, count, told):
    """A forge's button quotes the title, without the number that stands behind it once it is a commit."""
    culprit = Change(hours=50, message="Keep it (#12)", files={"pool.py": "1\n"})
    mined, sha, _ = told(fix(later), culprit=culprit)

    assert [(case.culprits, case.kind) for case in mined.cases] == [((sha,), "revert")] * count


def test_the_number_of_an_issue_hides_no_blame(told):
    """ "#12" is a pull request only where a commit has it."""
    mined, culprit, _ = told(fix(f"Mend the pool\n\nThis reverts #12 in part.\n{WHY}\n\nFixes: {{0}}"))

    assert [(case.culprits, case.kind) for case in mined.cases] == [((culprit,), "fix")]


def test_a_culprit_that_speaks_of_reverting_is_none_itself(told):
    """A wrapped line may begin with the word."""
    culprit = Change(
        hours=50, message="Keep connections\n\nIt is a switch, to have an easy\nrevert path.", files={"a": "1\n"}
    )
    mined, sha, _ = told(fix(f"Revert it\n\nThis reverts commit {{0}}.\n\n{WHY}"), culprit=culprit)

    assert [case.culprits for case in mined.cases] == [(sha,)]
