"""Services by every file that tells of them, what depends on what, and services named in an incident's words."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add

from core.model import Commit, FileChange, Incident
from ranking.history import open_history
from ranking.patterns import Patterns
from ranking.ranker import Ranker
from ranking.service_files import Entry, mistakes, read_entries
from ranking.services import MapCache, ServiceMap, map_service
from ranking.topology import Topology, key_of


def commit(*paths: str, repo: str = "mono") -> Commit:
    return Commit(
        sha="a" * 40,
        repo=repo,
        author="ada",
        author_email="ada@example.org",
        authored_at=NOON,
        committed_at=NOON,
        subject="x",
        files=tuple(FileChange(path=path) for path in paths),
    )


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "services.yaml",
            "services:\n  checkout:\n    paths: [a/, b.py]\n    repos: shop\n    owners: ['@acme/pay']\n    depends_on: [ledger]\n    aliases: [kassa]\n",
            [
                Entry(
                    name="checkout",
                    source="services.yaml",
                    paths=("a/", "b.py"),
                    repos=("shop",),
                    owners=("@acme/pay",),
                    depends_on=("ledger",),
                    aliases=("kassa",),
                )
            ],
        ),
        (
            "services.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: checkout}\nspec: {ports: [80]}\n---\nsearch: lib\n",
            [Entry(name="search", source="services.yaml", paths=("lib",))],
        ),
        (".rundown/services.yaml", "search: lib\n", [Entry(name="search", source="services.yaml", paths=("lib",))]),
        (
            "apps/pay/catalog-info.yaml",
            "kind: Component\nmetadata: {name: pay, title: Pay}\nspec:\n  owner: group:default/payers\n  system: shop\n  dependsOn: ['component:default/ledger', 'resource:pay-db']\n---\nkind: Location\nmetadata: {name: all}\n",
            [
                Entry(
                    name="pay",
                    source="catalog-info.yaml",
                    paths=("/apps/pay/",),
                    owners=("payers",),
                    depends_on=("ledger", "pay-db"),
                    aliases=("Pay",),
                    system="shop",
                )
            ],
        ),
        (
            "docker-compose.yml",
            "services:\n  web: {build: ./web, depends_on: [api]}\n  api: {build: {context: api/}, depends_on: {db: {condition: service_healthy}}}\n  db: {image: postgres}\n  up: {build: ../up}\n  here: {build: .}\n",
            [
                Entry(name="web", source="docker-compose.yml", paths=("/web/",), depends_on=("api",)),
                Entry(name="api", source="docker-compose.yml", paths=("/api/",), depends_on=("db",)),
                *(Entry(name=name, source="docker-compose.yml") for name in ("db", "up", "here")),
            ],
        ),
        ("services.yaml", "{broken", []),
        ("services.yaml", "services: 5\n", []),
        (
            "services.yaml",
            "services:\n- {name: pay, path: pay, dependencies: [{service: ledger}], team: payers}\n- {no: name}\n- 5\n",
            [Entry(name="pay", source="services.yaml", paths=("pay",), owners=("payers",), depends_on=("ledger",))],
        ),
        (
            "services.yaml",
            "- {service: pay, Repository: 'github.com/acme/pay.git', dependsOn: ledger, also-known-as: kasse}\n",
            [Entry(name="pay", source="services.yaml", repos=("pay",), depends_on=("ledger",), aliases=("kasse",))],
        ),
        (
            "services.yaml",
            "version: 1\npay: {directories: [a/, b/], calls: {ledger: {}}}\n",
            [Entry(name="pay", source="services.yaml", paths=("a/", "b/"), depends_on=("ledger",))],
        ),
        ("catalog-info.yaml", "kind: Component\nmetadata: [x]\n", []),
        ("docker-compose.yml", "services: [web]\n", []),
        ("README.md", "a: b\n", []),
    ],
)
def test_each_file_is_read_for_what_it_tells(path, text, expected):
    """Names, places, owners and dependencies; what is broken or strange says nothing."""
    assert read_entries(path, text) == expected


@pytest.mark.parametrize(
    ("patterns", "path", "closest", "last"),
    [
        (["/", "apps/pay/"], "apps/pay/x.py", ["apps/pay/"], "apps/pay/"),
        (["apps/pay/", "*"], "apps/pay/x.py", ["apps/pay/"], "*"),
        (["apps/*/x.py", "apps/pay/"], "apps/pay/x.py", ["apps/*/x.py"], "apps/pay/"),
        (["docs", "*.md"], "a/docs/b.md", ["docs", "*.md"], "*.md"),
        (["/docs/"], "a/docs/b.md", [], None),
        (["a/b", "a/c"], "a/bc/d", [], None),
    ],
)
def test_many_patterns_answer_as_each_would(patterns, path, closest, last):
    """The closest has the longest text; CODEOWNERS takes the last."""
    rules = Patterns([(pattern, pattern) for pattern in patterns])

    assert (
        rules.closest(path)[:1] if len(patterns[0]) != len(patterns[-1]) else rules.closest(path),
        rules.last(path),
    ) == (
        closest,
        last,
    )


@pytest.mark.parametrize("name", ["Check-Out API", "check_out_api", "checkOutApi", "check.out/api"])
def test_a_name_is_one_however_it_is_spelt(name):
    """Alerts, folders and flags each spell it their way."""
    assert key_of(name) == "check-out-api"


NOT_UNDERSTOOD = "it is not understood: it names no paths, repositories or dependencies"


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("services.yaml", "services:\n  checkout: [a\n", ["line 3: it is no YAML"]),
        ("services.yaml", "services:\n\tcheckout: x\n", ["line 2: it is no YAML"]),
        ("services.yaml", "services:\n  - name: checkout\n", [NOT_UNDERSTOOD]),
        (".rundown/services.yml", "checkout: {path: a/, owner: '@a', dependsOn: [b], tier: 1}\nblog: {alias: b}\n", []),
        ("services.yaml", "checkout: {paths: [a/], tier: 1}\n", []),
        ("services.yaml", "- name: of another tool\n", [NOT_UNDERSTOOD]),
        ("services.yaml", "apiVersion: v1\nkind: Service\n", []),
        ("docker-compose.yml", "services: [", []),
        ("services.yaml", "", []),
    ],
)
def test_a_mistake_in_services_yaml_is_told(path, text, said):
    """What cannot be read, and what tells nothing; other words for a key do as well, and another tool's files are passed over."""
    assert mistakes(path, text) == said


def test_mistakes_are_gaps_of_the_ranking(make_repo, home):
    """Whoever wrote it learns why the map says nothing, from the map of the incident's time."""
    broken = Change(hours=5, message="Break it", files={"services.yaml": "checkout: [a\n", "a": "1\n"})
    path, _ = make_repo(
        "shop", [broken, Change(hours=-1, message="Mend it", files={"services.yaml": "checkout: [a]\n"})]
    )
    ranking = Ranker([open_history(path, home=home)]).rank(Incident(id="1", title="checkout is down", created_at=NOON))

    assert ranking.gaps == ("services.yaml of repository 'shop': line 2: it is no YAML",)


GRAPH = """
web: {paths: [web/], depends_on: [checkout]}
checkout: {paths: [checkout/, lib/pool.py], depends_on: [payments, redis], aliases: [kassa]}
payments: {paths: [payments/], depends_on: [Ledger]}
ledger: {paths: [ledger/]}
blog: {paths: [blog/]}
"""


def graph() -> Topology:
    return Topology({"mono": read_entries("services.yaml", GRAPH)}, {}, {})


@pytest.mark.parametrize(
    ("service", "paths", "strength", "why"),
    [
        ("checkout", ["checkout/a"], 1, "touches `checkout/a`, which services.yaml gives to checkout"),
        ("Kassa", ["x", "lib/pool.py"], 1, "touches `lib/pool.py`, which services.yaml gives to Kassa"),
        (
            "checkout",
            ["payments/a"],
            0.5,
            "touches `payments/a` of payments, which checkout depends on (services.yaml)",
        ),
        (
            "checkout",
            ["blog/b", "ledger/a"],
            0.25,
            "touches `ledger/a` of ledger, which checkout depends on through payments (services.yaml)",
        ),
        ("checkout", ["web/a"], 0.2, "touches `web/a` of web, which depends on checkout (services.yaml)"),
        ("ledger", ["web/a"], 0.05, "touches `web/a` of web, which depends on ledger (services.yaml)"),
        ("checkout", ["blog/a"], 0, ""),
        (
            "checkout",
            ["modules/redis/a"],
            0.3,
            "touches `modules/redis/a`, named like the service redis, which checkout depends on (services.yaml)",
        ),
        ("", ["checkout/a"], 0, ""),
    ],
)
def test_the_runtime_graph_spreads_suspicion(service, paths, strength, why):
    """To what a service depends on, by steps; less to its callers; to nobody else."""
    match = ServiceMap(graph(), service).match(commit(*paths))

    assert (round(match.strength, 3), match.why) == (strength, why)


@pytest.mark.parametrize(
    ("service", "paths", "foreign"),
    [
        ("checkout", ["blog/a"], (1, "touches only blog, which checkout does not depend on")),
        ("checkout", ["web/a"], (0.3, "touches only web, which checkout does not depend on")),
        ("payments", ["web/a"], (0.5, "touches only web, which payments does not depend on")),
        ("checkout", ["blog/a", "web/b"], (0.3, "touches only blog, web, which checkout does not depend on")),
        ("checkout", ["blog/a", "README.md"], (0, "")),
        ("checkout", ["blog/a", "payments/b"], (0, "")),
        ("checkout", ["ledger/b"], (0, "")),
        ("checkout", [], (0, "")),
        ("unheard-of", ["blog/a"], (0, "")),
        ("", ["blog/a"], (0, "")),
    ],
)
def test_a_commit_of_another_service_speaks_against_it(service, paths, foreign):
    """Only where all of it is surely others', and the map knows the affected one; less for those who call it."""
    worth, why = ServiceMap(graph(), service).foreign(commit(*paths))

    assert (round(worth, 3), why) == foreign


@pytest.mark.parametrize(
    ("guesses", "foreign"),
    [
        ([("checkout", 0.6)], (0.6, "touches only blog, which checkout does not depend on")),
        ([("checkout", 0.6), ("web", 0.4)], (0, "")),
    ],
)
def test_a_single_guess_can_be_told_from_others(guesses, foreign):
    """Less surely than a given service; of several guesses none is sure enough."""
    assert ServiceMap(graph(), "", guesses).foreign(commit("blog/a")) == foreign


@pytest.mark.parametrize(
    ("service", "paths", "foreign"),
    [
        ("checkout", ["blog/a"], (0.4, "touches only @acme/blog-team, not checkout")),
        ("checkout", ["blog/a", "checkout/a"], (0, "")),
        ("checkout", ["README.md"], (0, "")),
        ("checkout", ["nobody/a"], (0, "")),
        ("ledger", ["blog/a"], (0, "")),
        ("", ["blog/a"], (0, "")),
    ],
)
def test_owners_alone_tell_another_team_s_commit(service, paths, foreign):
    """Where CODEOWNERS knows the affected service too; whoever owns all the rest is nobody in particular."""
    rules = [
        ("*", ("@acme/platform",)),
        ("/nobody/", ()),
        ("/checkout/", ("@acme/checkout-team",)),
        ("/blog/", ("@acme/blog-team",)),
    ]

    assert ServiceMap(Topology({}, {"mono": rules}, {}), service).foreign(commit(*paths)) == foreign


def test_without_a_graph_another_service_may_still_be_a_dependency():
    """Who calls whom is then not known."""
    flat = Topology({"mono": read_entries("services.yaml", "checkout: [checkout/]\nblog: [blog/]\n")}, {}, {})

    assert ServiceMap(flat, "checkout").foreign(commit("blog/a")) == (0.4, "touches only blog, not checkout")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Payments is slow", ["payments"]),
        ("payment failures in checkout-7d9f4-x2b", ["checkout", "payments"]),
        ("KASSA down", ["checkout"]),
        ("prepayments and ledgers", ["ledger"]),
        ("the web is full of people", []),
        ("web: 500s", ["web"]),
        ("errors in `web`", ["web"]),
        ("web service restarts", ["web"]),
        ("nothing of ours", []),
    ],
)
def test_services_are_found_in_the_incident_s_words(text, named):
    """Whole names and aliases, plural or not; words of every alert only where written as a name."""
    assert graph().named_in(text) == named


def test_a_longer_name_hides_a_shorter_one_in_it():
    """ "payments-api" is no word about "payments"."""
    both = Topology({"mono": [Entry(name=name, source="s") for name in ("payments", "payments-api")]}, {}, {})

    assert (both.named_in("payments-api is down"), both.named_in("payments is down")) == (
        ["payments-api"],
        ["payments"],
    )


def test_a_service_named_in_the_words_is_a_guess(make_repo, home):
    """Worth less than a given one, and less in the text than in the title."""
    path, _ = make_repo("mono", [Change(hours=9, message="Map", files={"services.yaml": GRAPH})])
    history = open_history(path, home=home)
    history.refresh()

    def strength(title: str, text: str = "", service: str | None = None) -> float:
        found = map_service(service, [history], {}, NOON, title=title, text=text or title)
        return round(found.match(commit("payments/a")).strength, 2)

    assert [
        strength("payments down"),
        strength("down", "payments down"),
        strength("checkout down"),
        strength("down"),
    ] == [0.6, 0.4, 0.3, 0]
    assert [strength("payments down", service="blog"), strength("down", service="payments")] == [0.6, 1]


def test_the_operator_s_hint_and_owners_join_the_map(make_repo, home):
    """Repositories by setting; teams by services.yaml's owners; the last rule of CODEOWNERS counts."""
    owners = "* @acme/all\n/x/ @acme/pay-team\n/x/free/\n/y/ @acme/blog\n"
    services = "payments: {owners: ['@acme/pay-team']}\nblog: {paths: [x/blog/]}\n"
    path, _ = make_repo(
        "mono", [Change(hours=9, message="Map", files={"services.yaml": services, "CODEOWNERS": owners})]
    )
    history = open_history(path, home=home)
    history.refresh()
    found = map_service("Payments", [history], {"payments": ["pay-web"]}, NOON)

    assert [found.match(commit(name)).strength for name in ("x/a", "x/free/a", "x/blog/a", "y/a", "z")] == [
        1,
        0,
        0,
        0,
        0,
    ]
    assert (found.match(commit("z", repo="pay-web")).why, found.repos) == (
        "in `pay-web`, a repository of Payments",
        {"pay-web"},
    )


def test_maps_are_read_as_of_the_incident_and_kept(make_repo, home):
    """Each incident sees the map of its own time, through one cache, in any order."""
    path, shas = make_repo("mono", [Change(hours=9, message="Map", files={"services.yaml": "checkout: [old/]\n"})])
    shas += add(path, [Change(hours=5, message="Move", files={"services.yaml": "checkout: [new/]\n"})], onto=shas[-1])
    add(
        path,
        [Change(hours=1, message="Nested", files={"a/b/catalog-info.yaml": "kind: Component\nmetadata: {name: b}\n"})],
        onto=shas[-1],
    )
    history = open_history(path, home=home)
    history.refresh()
    cache = MapCache()

    def places(hours: float, service: str) -> list[str]:
        found = map_service(service, [history], {}, NOON - timedelta(hours=hours), cache=cache)
        return [name for name in ("old/x", "new/x", "a/b/x") if found.match(commit(name)).strength == 1]

    asked = [(7, "checkout"), (3, "checkout"), (0, "b"), (3, "b"), (7, "checkout")]
    assert [places(hours, service) for hours, service in asked] == [["old/x"], ["new/x"], ["a/b/x"], [], ["old/x"]]
