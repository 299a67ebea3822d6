"""When an incident's words say that the trouble began, and what came later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranking_repos import NOON, Change

from core.model import Incident
from ranking.events import ChangeEvent
from ranking.history import open_history
from ranking.onset import told_onset
from ranking.ranker import Ranker

#: NOON is a Tuesday.
MAY = "%d %H:%M"


@pytest.mark.parametrize(
    ("text", "onset"),
    [
        # A clock whose zone is told is exact; letters that mean several zones give the latest of them.
        ("5xx on checkout since 09:40 UTC", "14 09:40"),
        ("HTTP 500 errors since 09:40 UTC", "14 09:40"),
        ("Started abruptly 09:40 UTC, all regions at once. No deploy of search today.", "14 09:40"),
        ("Fails since 0910Z", "14 09:10"),
        ("Logins fail since 23:10 UTC", "13 23:10"),
        ("Errors since 1:40 UTC", "14 01:40"),
        ("First noticed at 09:10 CEST by the night shift", "14 08:10"),
        ("Errors began at 09:05+02:00", "14 07:05"),
        ("Broken since 2 am EST", "14 07:00"),
        ("Errors since 03:00 CST", "14 09:00"),
        ("worked fine until 9:00 am CET", "14 08:00"),
        ("Errors since 2024-05-13T21:10:05.120Z", "13 21:10"),
        ("Timeouts since 06:00 UTC, and payments fail since 10:20 UTC", "14 10:20"),
        # People round.
        ("It started some 40 minutes ago", "14 11:30"),
        ("Errors started about 3 hours ago", "14 09:30"),
        ("Checkout has been failing for the last two hours", "14 10:30"),
        ("Slow for an hour now", "14 11:30"),
        ("First seen 3 days ago", "13 00:00"),
        ("images have failed to build for the last 3 days, reverting", "13 00:00"),
        # A day ends where the writer lives, who is awake by now.
        ("SPF permerror from yesterday on.", "14 06:00"),
        ("The graph looks flat before Monday", "14 06:00"),
        ("Slow since last Friday", "11 06:00"),
        ("Fails since 10 May", "11 08:00"),
        ("build failures from Friday, 10th May onwards", "11 08:00"),
        ("Fails since 2024-05-10 09:00", "10 17:00"),
        ("Fails since yesterday 13:40 UTC", "13 13:40"),
        ("Fails since 18:00 UTC on Sunday", "12 18:00"),
        # A writer in the far west may be on the day before.
        ("Fails since Sunday 14:00", "13 01:00"),
        # The night, day or week after the first of them.
        ("customer_360 failed 3 nights in a row", "13 00:00"),
        ("Fourth night running that the export fails", "12 00:00"),
        ("wrong for the third consecutive day", "13 11:00"),
        ("wrong for the second week in a row", "13 12:00"),
    ],
)
def test_the_latest_instant_that_the_words_allow(text, onset):
    """Computed by hand from what people mean."""
    found = told_onset(text, NOON)

    assert found is not None
    assert (found.year, found.month, found.astimezone(UTC).strftime(MAY)) == (2024, 5, onset)


@pytest.mark.parametrize(
    "text",
    [
        # Windows, limits and counts.
        "sum(rate(http_requests_total[5m])) over 10 minutes",
        "for: 10m",
        "connection timed out, timeout after 30 seconds, retry in 5 minutes",
        "OOMKilled 14 times in 24 h",
        "restarted 4 times in the last hour",
        "restarted 4 times since 05:00 UTC",
        "317 failures since Monday",
        "error rate for the last 2 hours is 7%",
        "The average latency has been 4 s for the last 3 hours",
        "the highest error rate since Monday",
        "the account has been locked for 24 hours",
        # Changes.
        "last deploy was 3 days ago",
        "No deploy since Sunday",
        "The new release is live since yesterday",
        "Since yesterday, deploys go elsewhere.",
        "on v2.3 since Sunday",
        "new-cart is at 50 % behind its flag since yesterday",
        "since the upgrade nothing works",
        "The report was due before Monday",
        "broken since version 2.3",
        "broken since 2015",
        "broken since May 10 2015",
        "broken since 10 January",
        # What starts or stays without any trouble.
        "The nightly job is stuck. It started 3 hours ago",
        "We began the backfill at 04:00 UTC",
        "We dropped the table at 04:00 UTC",
        "State: Waiting\nStarted: 2024-05-13T09:10:00Z",
        "Black Friday started 3 hours ago",
        "The match started at 09:00 UTC",
        "node has been running for 3 days",
        "node-3 up since Sunday",
        # Well again, or before.
        "no errors since 09:40 UTC",
        "fixed since 09:40 UTC",
        "was not working until yesterday",
        "the certificate should have been fine until Sunday",
        # More than one beginning.
        "Errors spiked at 06:00 UTC, again at 10:40 UTC",
        "First seen: 5 days ago. Last seen: now. 1200 events",
        # Reasons and plans.
        "queues are long since Monday is the day of invoices",
        "the import takes long from 9:00 UTC on weekdays",
        "From yesterday on, everybody works at home",
        # What cannot be placed.
        "errors since 09:40",
        "errors since 09:40 UTC-5",
        "errors since 12:20 UTC",
        "errors since 12:00 UTC",
        "slow since yesterday, errors since 12:20 UTC",
        "errors since today",
        "errors since Tuesday",
        "started 2-3 hours ago",
        "started less than 2 hours ago",
        "maybe down since maybe 3 hours",
        "since 31 June",
        "since 99:99 UTC",
        # Logs and commands.
        "2024-05-14 10:00:00 UTC worker: failing since 09:00 UTC",
        "kubectl logs --since=2h checkout",
        "x" * 4_000 + " errors since 09:40 UTC",
    ],
)
def test_other_times_are_no_onsets(text):
    """A wrong onset takes the culprit away: rather none."""
    assert told_onset(text, NOON) is None


def test_a_clock_of_twelve_hours_may_mean_the_afternoon():
    """Only where it is written so: "01:40" is the morning's."""
    evening = NOON + timedelta(hours=8)

    assert told_onset("Errors since 1:40 UTC", evening) == NOON + timedelta(hours=1, minutes=40)
    assert told_onset("Errors since 06:40 UTC", evening) == NOON - timedelta(hours=5, minutes=20)


_BEGINNINGS = [
    "since",
    "from",
    "errors started at",
    "was fine until",
    "first seen",
    "failing for the last",
    "since yesterday",
    "since Monday at",
]
_TIMES = [
    "09:10",
    "9pm",
    "0910 UTC",
    "23:59 Z",
    "11:59 CST",
    "00:00 PST",
    "7:30 +02:00",
    "midnight UTC",
    "yesterday",
    "Sunday",
    "2024-05-13",
    "May 13",
]
_TIMES += [
    "2024-05-13T09:10Z",
    "2024-06-30 23:59",
    "3 nights in a row",
    "an hour",
    "20 minutes ago",
    "2 days",
    "3 weeks",
    "Friday 10:00 UTC",
    "on",
]
_PARTS = st.tuples(
    st.sampled_from(_BEGINNINGS), st.sampled_from(_TIMES), st.sampled_from(["", " on", ".", " ago", " yesterday"])
)


@given(
    text=st.lists(_PARTS.map(" ".join), min_size=1, max_size=3).map(", ".join),
    moment=st.datetimes(datetime(2024, 4, 20), datetime(2024, 7, 1), timezones=st.just(UTC)),
)
def test_an_onset_is_before_the_incident(text, moment):
    """Whatever is said and whenever."""
    onset = told_onset(text, moment)

    assert onset is None or moment - timedelta(days=60) <= onset < moment


INCIDENT = Incident(
    id="local:1",
    title="Receipts land in spam",
    description="SPF permerror since 06:00 UTC, receipts bounce.",
    created_at=NOON,
)


@pytest.fixture(name="mail")
def _mail(make_repo, home):
    path, ids = make_repo(
        "mail",
        [
            Change(hours=300, message="Begin", files={"mail/send.py": "send()\n"}),
            Change(hours=20, message="New sender for the newsletter", files={"zones/a.zone": "v=spf1 include:news\n"}),
            Change(hours=2, message="Receipts: subject of receipts", files={"mail/send.py": "send('Your receipts')\n"}),
        ],
    )
    return Ranker([open_history(path, home=home)]), ids


def test_what_came_after_the_trouble_began_did_not_do_it(mail):
    """It has the incident's words and is the newest, and would be first."""
    ranker, ids = mail
    silent = replace(INCIDENT, description="SPF permerror, receipts bounce.")
    ranking = ranker.rank(INCIDENT)
    late = next(culprit for culprit in ranking.culprits if culprit.commit.sha == ids[2])

    assert [ranker.rank(silent).culprits[0].commit.sha, ranking.culprits[0].commit.sha] == [ids[2], ids[1]]
    assert "came 4 h after the trouble began, by the incident's words" in [reason.text for reason in late.reasons]


def test_what_went_live_after_the_trouble_began_did_not_do_it_either(mail):
    """It was made before, and deployed two hours before the incident."""
    ranker, ids = mail
    early = replace(INCIDENT, description="SPF permerror since 2024-05-13T17:00Z, receipts bounce.")
    told = {}
    for name, hours in (("before", 19.5), ("after", 18)):
        times = {ids[0]: 290, ids[1]: hours}
        deploys = [ChangeEvent(kind="deploy", at=NOON - timedelta(hours=at), sha=sha) for sha, at in times.items()]
        told[name] = [
            r.text for c in ranker.rank(early, events=deploys).culprits for r in c.reasons if c.commit.sha == ids[1]
        ]

    assert "came 1 h after the trouble began, by the incident's words" in told["after"]
    assert not [text for text in told["before"] if "trouble began" in text]


def test_a_few_minutes_are_not_clearly_after(mail):
    """Clocks differ, and a deploy is told when it is over."""
    ranker, ids = mail
    close = replace(INCIDENT, description="SPF permerror since 09:50 UTC, receipts bounce.")
    late = next(culprit for culprit in ranker.rank(close).culprits if culprit.commit.sha == ids[2])

    assert not [reason for reason in late.reasons if reason.feature == "onset"]
