"""Confluence over HTTP: what is waited for and for how long, what is given up, and what is said then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bot.standin.confluence import ConfluenceStandIn
from core.errors import SettingsError, Unavailable
from ingest.confluence_client import ConfluenceClient, ConfluenceRefused

PATH = "/rest/api/space/OPS"


@pytest.fixture(scope="module")
def _standin() -> Iterator[tuple[ConfluenceStandIn, ConfluenceClient]]:
    with ConfluenceStandIn(cloud=False) as standin:
        client = ConfluenceClient(standin.url, standin.token)
        yield standin, client
        client.close()


@pytest.fixture(name="waited")
def _waited() -> list[float]:
    return []


@pytest.fixture(name="wiki")
def _wiki(_standin: tuple[ConfluenceStandIn, ConfluenceClient]) -> ConfluenceStandIn:
    standin, _ = _standin
    standin.reset()
    standin.world.space("OPS")
    return standin


@pytest.fixture(name="client")
def _client(
    _standin: tuple[ConfluenceStandIn, ConfluenceClient], wiki: ConfluenceStandIn, waited: list[float]
) -> ConfluenceClient:
    """Writes down how long it would wait."""
    _, client = _standin
    client._sleep = waited.append
    return client


def in_a_minute() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "9"}, [9.0, 9.0, 9.0]),
        ({"Retry-After": "0"}, [0.5, 1.0, 2.0]),
        ({}, [0.5, 1.0, 2.0]),
        ({"Retry-After": "soon"}, [0.5, 1.0, 2.0]),
        ({"Retry-After": "\u0663"}, [0.5, 1.0, 2.0]),
    ],
    ids=["seconds", "none left", "no header", "no time", "no ASCII"],
)
def test_it_waits_as_long_as_it_is_asked_to(wiki, client, waited, headers, expected):
    """And longer each time if nobody says how long."""
    raw = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    wiki.fail_next(429, times=3, headers=raw)

    told = client.get(PATH)

    assert (told["key"], waited) == ("OPS", expected)


def test_a_time_to_come_back_may_be_a_date(wiki, client, waited):
    """As HTTP allows."""
    wiki.fail_next(503, headers={"Retry-After": in_a_minute()})

    client.get(PATH)

    assert 50 < waited[0] <= 60


@pytest.mark.parametrize("wait", ["121", "999999999"])
def test_it_gives_up_rather_than_wait_past_its_patience(wiki, client, waited, wait):
    """At once: sleeping that long would hold up every other source."""
    wiki.fail_next(429, headers={"Retry-After": wait})

    with pytest.raises(Unavailable, match=f"429.*{wait} s of silence"):
        client.get(PATH)
    assert waited == []


def test_it_gives_up_after_its_patience(wiki, client):
    """However often Confluence says that it will be back in no time."""
    wiki.fail_next(503, times=1000, body=b'{"message":"down for maintenance"}')
    client._patience_s, kept = 0.4, client._patience_s

    with pytest.raises(Unavailable, match=r"503 to GET /rest/api/space/OPS: down for maintenance"):
        client.get(PATH)
    client._patience_s = kept


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, b'{"message":"not permitted to use Confluence"}', "403.*not permitted to use Confluence.*access"),
        (404, b'{"errors":[{"status":404,"title":"Not Found"}]}', "404.*Not Found.*gone"),
        (400, b'{"errors":[{"detail":null}]}', "answered 400"),
        (302, b"", "302.*no answer of Confluence's API"),
    ],
)
def test_a_refusal_is_not_repeated_and_says_what_to_do(wiki, client, waited, status, body, said):
    """With Confluence's own words, where it has some."""
    wiki.fail_next(status, body=body, headers={"Location": "/login.action"} if status == 302 else {})

    with pytest.raises(ConfluenceRefused, match=said) as refused:
        client.get(PATH)
    assert (refused.value.status, waited, len(wiki.requests)) == (status, [], 1)


def test_a_status_that_sounds_passing_may_be_a_refusal(wiki, client, waited):
    """Data Center answers 500 to whoever may not see a space's permissions."""
    wiki.fail_next(500)

    with pytest.raises(ConfluenceRefused):
        client.get(PATH, refusals=(500,))
    assert waited == []


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"", b"[" * 100_000], ids=["html", "nothing", "too deep"])
def test_what_is_no_json_is_named(wiki, client, body):
    """A login page answers 200 as well."""
    wiki.fail_next(200, body=body)

    with pytest.raises(Unavailable, match="it is no JSON"):
        client.get(PATH)


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"results":{}}', b'{"results":[1]}'], ids=["a list", "nothing", "an object", "numbers"]
)
@pytest.mark.parametrize("way", ["by_cursor", "by_start"])
def test_a_list_without_results_is_named(wiki, client, body, way):
    """Taken for an empty one, it would delete everything."""
    wiki.fail_next(200, body=body)

    with pytest.raises(Unavailable, match="holds no list of results"):
        list(getattr(client, way)("/rest/api/content"))


@pytest.mark.parametrize(
    ("way", "body", "why"),
    [
        ("by_cursor", b'{"results":[],"_links":{"next":"/x?cursor=again"}}', "lead in a circle"),
        ("by_start", b'{"results":[],"limit":0}', None),
    ],
)
def test_a_list_without_an_end_ends(wiki, client, way, body, why):
    """Rather than be asked for ever."""
    wiki.fail_next(200, times=1000, body=body)
    if why is None:
        assert list(getattr(client, way)("/rest/api/content")) == []
        return

    with pytest.raises(Unavailable, match=why):
        list(getattr(client, way)("/rest/api/content"))


def test_a_list_that_goes_on_with_nothing_in_it_ends(wiki, client):
    """Each of its pages names another one behind it."""
    asked: list[int] = []

    def go_on(told: str) -> None:
        asked.append(len(asked))
        link = f"/rest/api/content?start={100 * len(asked)}"
        wiki.fail_next(200, body=b'{"results":[],"_links":{"next":"%s"}}' % link.encode())

    wiki.meanwhile = go_on

    with pytest.raises(Unavailable, match="nothing in them"):
        list(client.by_start("/rest/api/content"))


def test_pages_left_out_of_an_answer_do_not_end_the_list(wiki, client):
    """Data Center counts what the account may not see, and leaves it out."""
    bodies = [
        b'{"results":[{"id":"1"}],"limit":2,"_links":{"next":"/rest/api/content?start=2&limit=2"}}',
        b'{"results":[],"limit":2,"_links":{"next":"/rest/api/content?start=4&limit=2"}}',
        b'{"results":[{"id":"5"}],"limit":2}',
    ]
    for body in bodies:
        wiki.fail_next(200, body=body)

    assert [item["id"] for item in client.by_start("/rest/api/content", page=2)] == ["1", "5"]


def test_nobody_at_the_address_is_told_as_that(closed_port, waited):
    """With the name of the failure, not its text, which may quote the address with a password in it."""
    client = ConfluenceClient(f"http://127.0.0.1:{closed_port}", "t", patience_s=0.3, sleep=waited.append)

    with pytest.raises(Unavailable, match=r"does not answer: GET /x: ConnectError.*RUNDOWN_CONFLUENCE_URL"):
        client.get("/x")
    client.close()


def test_an_answer_that_does_not_come_is_asked_for_again_and_told(silent_port, waited):
    """As long as its patience lasts."""
    url = f"http://127.0.0.1:{silent_port}"
    client = ConfluenceClient(url, "t", patience_s=3.0, timeout_s=0.05, sleep=waited.append)

    with pytest.raises(Unavailable, match=r"does not answer: GET /rest/api/space/OPS: ReadTimeout"):
        client.get(PATH)
    client.close()
    assert waited[:2] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("url", "user", "site"),
    [
        ("https://acme.atlassian.net", "a@b.c", "https://acme.atlassian.net/wiki"),
        ("https://acme.atlassian.net/wiki/", "a@b.c", "https://acme.atlassian.net/wiki"),
        ("https://api.atlassian.com/ex/confluence/1-2", "a@b.c", "https://api.atlassian.com/ex/confluence/1-2/wiki"),
        ("https://wiki.example.org/confluence/", None, "https://wiki.example.org/confluence"),
        ("http://localhost:8090", None, "http://localhost:8090"),
    ],
)
def test_addresses_as_people_write_them(url: str, user: str | None, site: str):
    """With and without what follows the host."""
    client = ConfluenceClient(url, "t", user=user)

    assert client.site == site
    client.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://wiki.example.org",
        "wiki.example.org",
        "https://",
        "ftp://x",
        "https://a:b@c",
        "https://x?y",
        "http://[::",
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str):
    """A token goes nowhere unencrypted but to this machine."""
    with pytest.raises(SettingsError, match="RUNDOWN_CONFLUENCE_URL"):
        ConfluenceClient(url, "t")


def test_the_token_stays_out_of_what_is_said(wiki, waited):
    """Errors end up in logs."""
    client: Any = ConfluenceClient(wiki.url, "s3cret", sleep=waited.append)

    with pytest.raises(Unavailable, match="401") as refused:
        client.get(PATH)
    assert "s3cret" not in f"{refused.value}{refused.value.__cause__}"
    client.close()
