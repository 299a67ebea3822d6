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


MACHINE, VOLUME = "another tenant took the machine", "traffic grew"
BY_HAND, PROVIDER = "somebody did it by hand", "a provider failed"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Workers slow by half on one VM. sar reports 30 in the st column, load of ours unchanged", MACHINE),
        ("vCPU ready time 18 % on esx-7, the other customers' machines there were started at 6", MACHINE),
        ("Half our CPU time is stolen: another VM on that box runs a benchmark", MACHINE),
        ("Host graphs show a busy batch customer beside us; steal climbed to 44 percent", MACHINE),
        ("The host our VM lives on was oversold, support moved it", MACHINE),
        ("API keys are guessed by scripts at 2000 tries a second, from hundreds of addresses", VOLUME),
        ("NTP amplification attack on the public range, 40 Gbit/s", VOLUME),
        ("Coupon endpoint probed through rotating proxies in dozens of countries", VOLUME),
        ("Comment form: spam wave, 50k posts from 8,300 IPs within ten minutes", VOLUME),
        ("Log-ins: pairs of e-mail and password of the Collection leak, each from another address", VOLUME),
        ("Index missing since 09:14. pg_audit: DROP INDEX orders_created_idx by user r.haddad", BY_HAND),
        ("Topic payments gone, CloudTrail: DeleteTopic, identity a.novak, console", BY_HAND),
        ("Bash history on the primary: rm -rf /var/lib/pg/wal at 03:02", BY_HAND),
        ("Scaled to zero. Kubernetes audit: kubectl scale --replicas=0 by lena@corp from her laptop", BY_HAND),
        ("OVH confirms a network incident in GRA11", PROVIDER),
        ("The provider's health dashboard lists zone 3 as impaired", PROVIDER),
        ("Carrier acknowledges a degraded link between Oslo and Hamburg", PROVIDER),
        ("Azure notice: networking trouble in West Europe zone 2, engineers engaged", PROVIDER),
        # What commits break, in neighbouring words.
        ("Search box steals focus while I type in another field", ""),
        ("Instances of other tenants are listed in my machine overview", ""),
        ("VM list sorts hosts by name instead of load", ""),
        ("Ban by IP address blocks whole offices", ""),
        ("Import of 20,000 addresses stops half way", ""),
        ("Users in 12 countries get the wrong currency", ""),
        ("User agent parser takes new Firefox for a bot", ""),
        ("Leaked connections: after 50 requests the pool is empty, passwords cannot be reset", ""),
        ("Stolen session cookies are not invalidated at logout", ""),
        ("Audit log page fails with 500 when filtered by user", ""),
        ("Audit log lacks entries for users deleted by an admin", ""),
        ("Audit log: kubectl apply by ci-deployer, then 500s", ""),
        ("History on the order page shows 'changed by Anna' twice", ""),
        ("DELETE FROM sessions takes 90 s and blocks logins after the deploy", ""),
        ("UPDATE jobs SET state = 1 ORDER BY j.id waits for a lock", ""),
        ("DeleteUser call answers 403 for admins", ""),
        ("kubectl apply of the chart fails: field selector is immutable", ""),
        ("Shipment status page shows an empty list", ""),
        ("Region selector is empty for admins in Europe", ""),
        ("Provider dashboard renders a blank page", ""),
    ],
)
def test_machines_attackers_people_and_providers_are_told_of_in_many_words(text, cause):
    """Each was written after patterns that did not have it in mind; those that they then missed widened them."""
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
