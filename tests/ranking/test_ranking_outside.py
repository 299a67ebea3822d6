"""Incidents that no commit caused, by their own words and by what was deployed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change

from core.model import Confidence, Incident
from ranking.events import ChangeEvent
from ranking.history import open_history
from ranking.outside import told_cause
from ranking.ranker import Ranker


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("the wildcard certificate for *.shop.example expired at midnight", "a certificate ran out"),
        ("curl: (60) SSL certificate problem: certificate has expired", "a certificate ran out"),
        ("write /data/wal: no space left on device", "a disk is full"),
        ("Disk usage of db-3: /var is 97 %", ""),
        ("DiskFull: volume data-0 is 99% full", "a disk is full"),
        ("AWS us-east-1 outage, EBS volumes stuck", "a provider failed"),
        ("our payment provider is down, their status page says major incident", "a provider failed"),
        ("Data centre FRA2 lost cooling: outage", "a provider failed"),
        ("mce: uncorrectable ECC memory error on node 4", "hardware failed"),
        ("traffic is 4x after the newsletter", "traffic grew"),
        ("DDoS against the login page", "traffic grew"),
        ("SMS vendor: account suspended", "an account or a licence ran out"),
        ("the licence key expired yesterday", "an account or a licence ran out"),
        ("table dropped by mistake in psql", "somebody did it by hand"),
        ("an operator accidentally removed the load balancer", "somebody did it by hand"),
        ("Stripe API outage, card payments fail", "a provider failed"),
        ("an undersea cable cut, latency from Asia 400 ms", "a provider failed"),
        ("an intern deleted the production namespace", "somebody did it by hand"),
        ("bots scrape the catalogue at 9000 rps", "traffic grew"),
        # What a commit causes is told in other words.
        ("x509: certificate signed by unknown authority", ""),
        ("TLS handshake error: bad certificate", ""),
        ("requests take 5x as long", ""),
        ("token expired for half of the users", ""),
        ("latency is three times the usual", ""),
        ("too many connections, pool exhausted", ""),
        ("OOMKilled, memory limit 2Gi", ""),
        ("region eu-west: checkout is down", ""),
        ("429 Too Many Requests, quota of the client reached", ""),
        ("link failed: undefined reference", ""),
        ("edits are shown as not being by bots", ""),
        ("engineer reports: build removed from CI", ""),
        ("stripe webhooks: signature invalid", ""),
        ("disk writes slow, iowait 60 %", ""),
    ],
)
def test_words_tell_of_causes_that_are_no_commit(text, cause):
    """Plainly told ones alone; a symptom that a commit may have is none."""
    assert told_cause(text) == cause


@pytest.fixture(name="shop")
def _shop(make_repo, home):
    """A service, an everyday commit of it, and one with an alert's words; two days old."""
    path, shas = make_repo(
        "shop",
        [
            Change(hours=99, message="Begin", files={"services.yaml": "pay: [pay/]\n", "pay/a.py": "1\n"}),
            Change(hours=50, message="Sort by name", files={"pay/b.py": "1\n"}),
            Change(hours=49, message="Show when the certificate expires", files={"pay/status.py": "certificate\n"}),
        ],
    )
    return Ranker([open_history(path, home=home)]), shas


def deployed(shop, hours: float) -> list[ChangeEvent]:
    at = NOON - timedelta(hours=hours)
    before = ChangeEvent(kind="deploy", at=NOON - timedelta(hours=90), service="pay", sha=shop[1][0])
    return [before, ChangeEvent(kind="deploy", at=at, service="pay", sha=shop[1][2])]


@pytest.mark.parametrize(
    "title",
    [
        "pay: certificate has expired for gateway.example",
        "pay: no space left on device",
        "pay: cloud region outage, see the provider's status page",
    ],
)
def test_what_the_words_put_down_to_something_else_is_inconclusive(title, shop):
    """Though the affected service was deployed hours before, and a commit says the same words."""
    incident = Incident(id="local:1", title=title, created_at=NOON, service="pay")

    assert shop[0].rank(incident, events=deployed(shop, 3)).confidence is Confidence.INCONCLUSIVE


def test_the_longer_nothing_was_deployed_the_likelier_it_was_no_commit(shop):
    """The same incident and the same commits; where no deploy is told, nothing changes."""
    incident = Incident(id="local:1", title="pay: answers 500", created_at=NOON, service="pay")
    sure = [
        sum(culprit.confidence for culprit in shop[0].rank(incident, events=deployed(shop, hours)).culprits)
        for hours in (0.05, 1, 8, 40)
    ]

    assert sure == sorted(sure, reverse=True)
    assert sure[0] - sure[-1] > 0.05
