"""Incidents that no commit caused, by their own words and by what was deployed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from ranking_repos import NOON, Change

from core.model import Confidence, Incident
from ranking import outside
from ranking.events import ChangeEvent
from ranking.history import open_history
from ranking.outside import told_outside
from ranking.ranker import Ranker
from ranking.word_odds import read_words, terms

OUTSIDE = [
    "the wildcard certificate for *.shop.example expired at midnight",
    "AWS us-east-1 outage, EBS volumes stuck",
    "our payment provider is down, their status page says major incident",
    "Data centre FRA2 lost cooling: outage",
    "mce: uncorrectable ECC memory error on node 4",
    "DDoS against the login page",
    "SMS vendor: account suspended",
    "table dropped by mistake in psql",
    "Workers slow by half on one VM. The host our VM lives on was oversold, support moved it",
    "Topic payments gone, CloudTrail: DeleteTopic, identity a.novak, console",
    "OVH confirms a network incident in GRA11",
    "Carrier acknowledges a degraded link between Oslo and Hamburg",
]
COMMIT = [
    "clients refuse the chain: unable to get local issuer certificate",
    "TLS handshake error: bad certificate",
    "requests take 5x as long",
    "too many connections, pool exhausted",
    "OOMKilled, memory limit 2Gi",
    "429 Too Many Requests, quota of the client reached",
    "link failed: undefined reference",
    "stripe webhooks: signature invalid",
    "Users in 12 countries get the wrong currency",
    "Leaked connections: after 50 requests the pool is empty, passwords cannot be reset",
    "DELETE FROM sessions takes 90 s and blocks logins after the deploy",
    "kubectl apply of the chart fails: field selector is immutable",
    "Region selector is empty for admins in Europe",
    "Provider dashboard renders a blank page",
]


def test_words_tell_causes_that_are_no_commit_from_others():
    """A commit breaks certificates, quotas, regions and providers' calls too; none of these texts was learned from."""
    assert sum(told_outside(text) > 1.0 for text in OUTSIDE) >= len(OUTSIDE) - 3
    assert [text for text in COMMIT if told_outside(text) >= 0.3] == []


@pytest.mark.parametrize(
    "text", ["", "0x7f3a 500 503", "\u304a\u5e97\u306f\u9589\u307e\u3063\u3066\u3044\u307e\u3059", "\n" * 9]
)
def test_words_it_never_met_say_nothing(text):
    """Neither for a commit nor against one."""
    assert told_outside(text) == 0.0


@pytest.mark.parametrize(
    "title",
    [
        "High error rate on checkout",
        "API errors",
        "Site down",
        "API down",
        "checkout API down",
        "[FIRING:1] HighErrorRate",
        "Latency high on search",
        "OOMKilled: api",
        "API \u5fdc\u7b54\u306a\u3057",
        "die Kasse ist down",
    ],
)
def test_the_bare_title_of_an_everyday_alert_is_no_evidence(title):
    """One known word decides nothing: most pages say no more than this."""
    assert told_outside(title) < 1.0


def test_it_never_says_more_than_so_much():
    """However often the words are said; and what stands behind the first lines is not read."""
    said = "certificate has expired, the provider confirms an outage of the region; "

    assert told_outside(said * 40) <= 5.0
    assert told_outside("x " * 2_500 + said) == told_outside("x " * 2_500)


def test_none_of_the_texts_of_these_tests_was_learned_from():
    """They show what it makes of new ones."""
    lines = (Path(__file__).parents[2] / "learning" / "outside.jsonl").read_text(encoding="utf8").splitlines()
    learned = {" ".join(terms(f"{row['title']} {row['description']}")) for row in map(json.loads, lines)}

    assert len(learned) > 3_000
    assert [text for text in (*OUTSIDE, *COMMIT) if any(" ".join(_words(text)) in other for other in learned)] == []


def test_what_ships_is_what_the_texts_teach():
    """The terms are those that at least three of the texts hold, so that the file belongs to them."""
    lines = (Path(__file__).parents[2] / "learning" / "outside.jsonl").read_text(encoding="utf8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["outside"] is not None]
    held = Counter(term for row in rows for term in set(terms(f"{row['title']}\n{row['description']}")))

    assert read_words(outside.SHIPPED).terms.keys() == {term for term, count in held.items() if count >= 3}
    assert read_words(outside.SHIPPED).notes["texts"] == len(rows)


def _words(text):
    """The single words of a text, as they are learned from."""
    return [term for term in terms(text) if " " not in term]


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
        "pay: an operator dropped the table by mistake, by hand in psql",
        "pay: cloud region outage, the provider's status page says degraded, other customers see it too",
    ],
)
def test_what_the_words_put_down_to_something_else_is_inconclusive(title, shop):
    """Though the affected service was deployed hours before, and a commit says the same words."""
    incident = Incident(id="local:1", title=title, created_at=NOON, service="pay")

    ranking = shop[0].rank(incident, events=deployed(shop, 3))

    assert ranking.confidence is Confidence.INCONCLUSIVE
    assert ranking.elsewhere
    assert not shop[0].rank(replace(incident, title="pay: answers 500"), events=deployed(shop, 3)).elsewhere


def test_the_longer_nothing_was_deployed_the_likelier_it_was_no_commit(shop):
    """The same incident and the same commits; where no deploy is told, nothing changes."""
    incident = Incident(id="local:1", title="pay: answers 500", created_at=NOON, service="pay")
    sure = [
        sum(culprit.confidence for culprit in shop[0].rank(incident, events=deployed(shop, hours)).culprits)
        for hours in (0.05, 1, 8, 40)
    ]

    assert sure == sorted(sure, reverse=True)
    assert sure[0] - sure[-1] > 0.05
