"""Switched flags and settings, in every spelling, and the commits behind them however old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, git

from core.model import Commit, FileChange, Incident
from ranking.events import ChangeEvent
from ranking.flags import find_flagged, find_switches
from ranking.history import open_history
from ranking.ranker import Ranker
from ranking.service_files import Entry
from ranking.services import ServiceMap
from ranking.topology import Topology

NOBODY = ServiceMap(Topology({}, {}, {}), "")


def switched(name: str, hours: float = 1, service: str | None = None, kind: str = "flag") -> ChangeEvent:
    return ChangeEvent(kind=kind, at=NOON - timedelta(hours=hours), service=service, name=name)


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("new-cart", "if flags.enabled('new_cart'):", True),
        ("new-cart", "if (isNewCartEnabled()) {", True),
        ("new-cart", "NEW_CART=true", True),
        ("new-cart", "feature.newCart", True),
        ("new-cart", "a new cart for everyone", True),
        ("new-cart", "renew cartons", False),
        ("new-cart", "new_cartography", False),
        ("ff_new_cart_enabled", "const NewCart = 1", True),
        ("FEATURE_NEW_CART", "new-cart: on", True),
        ("checkout.pool.maxSize", "max_size = 5", True),
        ("checkout.pool.maxSize", "checkout pool max size", True),
        ("checkout.pool.maxSize", "maximum_size", False),
        ("timeout", "timeout", True),
        ("service", "service", False),
        ("flag", "flag", False),
    ],
)
def test_a_switch_is_known_in_every_spelling(name, text, known):
    """Kebab, snake, camel, with a tool's prefix or without; a word inside another word is another word."""
    found = find_switches([switched(name)], NOBODY, NOON)

    assert any(switch.known_to(text.lower()) for switch in found) is known


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("terraform apply prod", "the script runs terraform apply prod", False),
        ("argocd sync web", "argocd-sync-web", False),
        ("push core-sw3", "push to core-sw3", False),
        ("terraform", "terraform fmt", False),
        ("production", "for production", False),
        ("prod/payments", "payments", False),
        ("edge/service.properties", "properties", False),
        ("shop.timeout", "timeout = 5", True),
        ("kubectl apply -f deploy/web-tier.yaml", "see deploy/web-tier.yaml", True),
        ("set checkout.pool_size", "pool_size: 9", True),
        ("pool-size", "pool_size: 9", True),
        ("poolSize = 9", "POOL_SIZE=9", True),
        ("edge/limits.yaml", "edge/limits.yaml", True),
    ],
)
def test_what_was_pushed_has_a_name_in_code_only_where_it_is_one(name, text, known):
    """A path or a key; not the words of the command that pushed it."""
    found = find_switches([switched(name, kind="config")], NOBODY, NOON)

    assert any(switch.known_to(text.lower()) for switch in found) is known


def test_a_file_may_be_told_without_its_ending():
    """As tools name what they render from it."""
    (switch,) = find_switches([switched("push/config-prod", kind="config")], NOBODY, NOON)
    touched = [
        switch.touched_by(
            Commit(
                sha="a" * 40,
                repo="r",
                author="a",
                author_email="",
                authored_at=NOON,
                committed_at=NOON,
                subject="",
                files=(FileChange(path=path, status="M"),),
            )
        )
        for path in ("deploy/push/config-prod.yaml", "deploy/push/config-prod-eu.yaml", "config-prod.yaml")
    ]

    assert touched == [True, False, False]


def test_switches_are_those_of_before_that_may_matter():
    """The latest first, each once; not those of the incident's time, of weeks ago, or of services that have nothing to do with it."""
    graph = Topology(
        {
            "r": [
                Entry(name="a", source="s", depends_on=("b",)),
                Entry(name="b", source="s"),
                Entry(name="c", source="s"),
            ]
        },
        {},
        {},
    )
    events = [
        switched("flag-one", 3, "a"),
        switched("flag-two", 1, "B"),
        switched("flag_one", 2, "a"),
        switched("flag-three", 2, "c"),
        switched("flag-four", 0, "a"),
        switched("flag-five", 24 * 20, "a"),
        switched("pool.size", 5, None, "config"),
        switched("v12", 1, "a", "deploy"),
    ]
    found = find_switches(events, ServiceMap(graph, "a"), NOON)

    assert [(switch.name, round(switch.value(NOON), 3)) for switch in found] == [
        ("flag-two", 0.25),
        ("flag_one", 0.333),
        ("pool.size", 0.167),
    ]


def test_the_code_behind_a_flag_is_found_however_old(make_repo, home):
    """The commits that brought and changed it, newest first; not one of the incident's time or later."""
    days = 24
    path, shas = make_repo(
        "shop",
        [
            Change(hours=500 * days, message="Ancient", files={"a.py": "old\n", "other.py": "x\n"}),
            Change(hours=90 * days, message="Bring it", files={"cart.py": "if on('new_cart'):\n    go()\n"}),
            Change(hours=40 * days, message="Elsewhere", files={"other.py": "y\n"}),
            Change(hours=30 * days, message="Use it again", files={"b.py": "NEW = flag('new_cart')\n"}),
            Change(hours=2, message="Unrelated", files={"cart.py": "if on('new_cart'):\n    go(1)\n"}),
            Change(hours=-1, message="Later", files={"c.py": "new_cart\n"}),
        ],
    )
    history = open_history(path, home=home)
    history.refresh()
    switches = find_switches([switched("new-cart"), switched("no-such-flag")], NOBODY, NOON)

    found, gaps = find_flagged([history], switches, NOON, stop_after_s=30)
    nothing, told = find_flagged([history], switches, NOON, stop_after_s=0)

    assert ({sha: switch.name for sha, (_, switch) in found.items()}, gaps) == (
        {shas[3]: "new-cart", shas[1]: "new-cart"},
        [],
    )
    assert (nothing, told) == ({}, ["the code behind `new-cart` was not looked for in every repository"])


@pytest.mark.parametrize(
    "setting", ["grep.lineNumber=true", "grep.column=true", "color.ui=always", "log.showSignature=true"]
)
@pytest.mark.parametrize("folder", ["", "web"])
def test_the_code_behind_a_flag_is_found_whatever_git_is_set_to(make_repo, home, monkeypatch, setting, folder):
    """And from a folder inside the work tree, also where a file's name looks like a pattern."""
    files = {"web/[id].py": "if on('new_cart'):\n    go()\n", "cart.py": "on('new_cart')\n"}
    path, shas = make_repo(
        "shop", [Change(hours=9, message=f"Bring {file}", files={file: files[file]}) for file in files]
    )
    git(path, "reset", "-q", "--hard")
    key, _, value = setting.partition("=")
    for name, told in {"COUNT": "1", "KEY_0": key, "VALUE_0": value}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", told)
    history = open_history(path / folder, home=home)
    history.refresh()
    switches = find_switches([switched("new-cart")], NOBODY, NOON)

    assert set(find_flagged([history], switches, NOON, stop_after_s=30)[0]) == set(shas)


def test_a_setting_is_followed_to_who_changed_its_value(make_repo, home):
    """Beside the key nothing is added or taken away; the commits of the last month that changed its line."""
    days = 24
    path, shas = make_repo(
        "shop",
        [
            Change(hours=90 * days, message="Bring it", files={"a.yaml": "x: 1\npool_size: 5\ny: 1\n"}),
            Change(hours=20 * days, message="Raise it", files={"a.yaml": "x: 1\npool_size: 9\ny: 1\n"}),
            Change(hours=2, message="Beside it", files={"a.yaml": "x: 2\npool_size: 9\ny: 2\n"}),
        ],
    )
    history = open_history(path, home=home)
    history.refresh()
    switches = find_switches([switched("shop.pool-size", kind="config")], NOBODY, NOON)

    assert list(find_flagged([history], switches, NOON, stop_after_s=30)[0]) == [shas[1]]


@pytest.mark.parametrize(
    "name",
    [
        "new-cart=on",
        "new-cart: 5% -> 100%",
        "new-cart on",
        "new_cart enabled for everyone",
        "new-cart (all users)",
        "newCart set to true",
        "new-cart → 100 %",
        "new-cart 25%",
    ],
)
def test_what_it_was_set_to_is_no_part_of_its_name(name):
    """Tools tell the value beside the name, in many ways."""
    (switch,) = find_switches([switched(name)], NOBODY, NOON)

    assert switch.known_to("if flags.is_on('new_cart'):")
    assert switch.name == name


@pytest.mark.parametrize(
    ("days", "name", "sha"),
    [
        (1, "edge/limits.yaml", False),
        (1, None, True),
        (1, "edge/limits.yaml", True),
        (20, None, True),
        (20, "edge/limits.yaml", True),
    ],
)
def test_a_setting_may_be_told_by_its_file_or_its_commit(days, name, sha, make_repo, home):
    """What was rolled out is a candidate and comes first, however its service is written down and whatever it says."""
    path, shas = make_repo(
        "settings",
        [
            Change(hours=900, message="Begin", files={"edge/limits.yaml": "rps: 900\n"}),
            Change(hours=24 * days, message="Audit", files={"edge/limits.yaml": "rps: 90\n"}),
            Change(hours=3, message="Turn shoppers away less", files={"shop/page.py": "1\n"}),
            Change(hours=2, message="Shoppers", files={"shop/page.py": "2\n"}),
        ],
    )
    told = shas[1][:10].upper() if sha else None
    event = ChangeEvent(kind="config", at=NOON - timedelta(minutes=5), name=name, sha=told)
    incident = Incident(id="local:1", title="Shoppers are turned away", created_at=NOON, service="shop")
    ranking = Ranker([open_history(path, home=home)]).rank(incident, events=[event])

    assert ranking.culprits[0].commit.sha == shas[1]
    # A commit alone is a tree that was applied, with all that was new in it.
    assert any(reason.feature == ("switch" if name else "deploy") for reason in ranking.culprits[0].reasons)


def test_a_commit_that_was_pushed_does_not_know_the_command_s_words(make_repo, home):
    """Beside told deploys of the service it is a change of settings, whatever the push was called."""
    path, shas = make_repo(
        "shop",
        [
            Change(hours=900, message="Begin", files={"shop/a.py": "1\n"}),
            Change(hours=3, message="Turn shoppers away", files={"shop/limits.yaml": "rps: 1\n"}),
        ],
    )
    events = [
        ChangeEvent(kind="deploy", at=NOON - timedelta(hours=90), service="shop", sha=shas[0]),
        ChangeEvent(kind="config", at=NOON - timedelta(hours=2), service="shop", sha=shas[1], name="argocd sync shop"),
    ]
    incident = Incident(id="local:1", title="Shoppers are turned away", created_at=NOON, service="shop")
    ranking = Ranker([open_history(path, home=home)]).rank(incident, events=events)
    told = [reason.text for reason in ranking.culprits[0].reasons if reason.feature == "switch"]

    assert (ranking.culprits[0].commit.sha, told) == (
        shas[1],
        ["was rolled out 2 h before, as a change of settings"],
    )
