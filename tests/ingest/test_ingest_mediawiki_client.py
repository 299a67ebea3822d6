"""The door to a MediaWiki: what it asks, how long it waits, and what it makes of failures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bot.standin.mediawiki import PASSWORD, USER, Fault, MediaWikiStandIn
from core.errors import SettingsError
from ingest.mediawiki_client import MAXLAG_S, TRIES, MediaWikiClient, MediaWikiRefused, MediaWikiUnavailable

ALL = {"generator": "allpages", "gapnamespace": 0, "gaplimit": "max", "prop": "info|redirects"}
SITE = {"action": "query", "meta": "siteinfo"}


@pytest.fixture(scope="module")
def _standin() -> Iterator[MediaWikiStandIn]:
    with MediaWikiStandIn() as standin:
        yield standin


@pytest.fixture(name="wiki")
def _wiki(_standin: MediaWikiStandIn) -> MediaWikiStandIn:
    _standin.reset()
    return _standin


@pytest.fixture(name="waits")
def _waits() -> list[float]:
    return []


@pytest.fixture(name="client")
def _client(wiki: MediaWikiStandIn, waits: list[float]) -> Iterator[MediaWikiClient]:
    with MediaWikiClient(wiki.api, sleep=waits.append) as client:
        yield client


def test_every_page_is_given_once_and_whole(wiki: MediaWikiStandIn, client: MediaWikiClient):
    """Over parts of two pages, and parts of two redirects within one of those."""
    for title in "ABCDE":
        wiki.edit(title, "")
    for number in range(5):
        wiki.redirect(f"alias {number}", "B")

    pages = {page["title"]: page for page in client.pages({**ALL, "gapfilterredir": "nonredirects"})}

    assert (sorted(pages), sorted(row["title"] for row in pages["B"]["redirects"]), pages["B"]["pageid"]) == (
        list("ABCDE"),
        [f"alias {number}" for number in range(5)],
        2,
    )
    assert wiki.requests[-1]["maxlag"] == str(MAXLAG_S)


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        ({"status": 429, "headers": {"Retry-After": "7"}}, [7.0]),
        ({"status": 503}, [1.0]),
        ({"status": 500, "times": 2}, [1.0, 2.0]),
        ({"code": "maxlag", "headers": {"Retry-After": "5"}}, [5.0]),
        ({"code": "ratelimited"}, [1.0]),
        ({"code": "internal_api_error_DBQueryTimeoutError"}, [1.0]),
    ],
)
def test_the_wiki_is_given_time_and_asked_again(
    wiki: MediaWikiStandIn, client: MediaWikiClient, waits: list[float], fault: dict[str, object], waited: list[float]
):
    """As long as it says, or longer each time."""
    wiki.fail_next(**fault)  # type: ignore[arg-type]

    assert ("namespaces" in client.ask(SITE)["query"], waits) == (True, waited)


def test_a_wait_may_be_a_date(wiki: MediaWikiStandIn, client: MediaWikiClient, waits: list[float]):
    """As HTTP allows."""
    until = datetime.now(UTC) + timedelta(seconds=30)
    wiki.fail_next(429, headers={"Retry-After": format_datetime(until, usegmt=True)})
    client.ask(SITE)

    assert [25 < wait <= 30 for wait in waits] == [True]


@pytest.mark.parametrize(
    ("fault", "why", "requests"),
    [
        ({"status": 503, "times": TRIES}, "HTTP 503", TRIES),
        ({"code": "maxlag", "times": TRIES}, "The wiki says maxlag", TRIES),
        ({"status": 429, "headers": {"Retry-After": "3600"}}, "3600 s of silence", 1),
        ({"status": 200}, "it is no JSON object", 1),
        ({"status": 301, "headers": {"Location": "https://wiki.example.org/w/api.php?a=b"}}, r"give that address", 1),
        ({"status": 403}, "without another login", 1),
        ({"code": "badtoken"}, "badtoken", 1),
    ],
)
def test_what_does_not_pass_is_told(
    wiki: MediaWikiStandIn, client: MediaWikiClient, fault: dict[str, object], why: str, requests: int
):
    """After a few tries, or at once where another would change nothing."""
    wiki.fail_next(**fault)  # type: ignore[arg-type]

    with pytest.raises(MediaWikiUnavailable, match=why):
        client.ask(SITE)
    assert len(wiki.requests) == requests


def test_a_wiki_that_is_not_there_is_told(waits: list[float]):
    """Nothing listens; it is tried a few times."""
    with (
        MediaWikiClient("http://127.0.0.1:9/api.php", sleep=waits.append) as client,
        pytest.raises(MediaWikiUnavailable, match=r"127\.0\.0\.1:9 does not answer: ConnectError"),
    ):
        client.ask(SITE)
    assert waits == [1.0, 2.0, 4.0]


def test_an_answer_that_does_not_come_is_asked_for_again_and_told(silent_port: int, waits: list[float]):
    """A few times, longer apart each time."""
    with (
        MediaWikiClient(f"http://127.0.0.1:{silent_port}/api.php", timeout_s=0.05, sleep=waits.append) as client,
        pytest.raises(MediaWikiUnavailable, match="does not answer: ReadTimeout"),
    ):
        client.ask(SITE)
    assert waits == [1.0, 2.0, 4.0]


def test_a_list_that_goes_in_circles_is_not_followed_for_ever(wiki: MediaWikiStandIn, client: MediaWikiClient):
    """A cache that answers the same part each time."""
    same = b'{"continue":{"gapcontinue":"B","continue":"gapcontinue||"},"query":{"pages":[]}}'
    wiki.faults.extend([Fault(body=same)] * 3)

    with pytest.raises(MediaWikiUnavailable, match="again and again"):
        list(client.pages(ALL))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"query":{"pages":{"1":{"pageid":1}}}}', "older than MediaWiki 1.25"),
        (b"[]", "it is no JSON object"),
        (b"<html>", "it is no JSON object"),
    ],
)
def test_an_answer_that_no_wiki_of_today_gives_is_told(
    wiki: MediaWikiStandIn, client: MediaWikiClient, body: bytes, why: str
):
    """Instead of a page list that is silently empty."""
    wiki.faults.append(Fault(body=body))

    with pytest.raises(MediaWikiUnavailable, match=why):
        list(client.pages(ALL))


def test_a_login_that_is_not_offered_is_told(wiki: MediaWikiStandIn, client: MediaWikiClient):
    """Something answers, and it is no MediaWiki."""
    wiki.faults.append(Fault(body=b'{"query":{}}'))

    with pytest.raises(MediaWikiUnavailable, match=r"holds no query\.tokens\.logintoken"):
        client.log_in(USER, PASSWORD)


def test_an_account_reads_what_nobody_else_may(wiki: MediaWikiStandIn, client: MediaWikiClient):
    """The password goes in a body, and every request after says that it is meant to be the account's."""
    wiki.private = True
    with pytest.raises(MediaWikiRefused) as refused:
        client.ask(SITE)
    client.log_in(USER, PASSWORD)

    assert (refused.value.code, "namespaces" in client.ask(SITE)["query"]) == ("readapidenied", True)
    assert [request.get("assert") for request in wiki.requests[-3:]] == [None, None, "user"]


def test_a_session_that_ran_out_is_made_anew(wiki: MediaWikiStandIn, client: MediaWikiClient):
    """In the middle of a list too."""
    wiki.private = True
    client.log_in(USER, PASSWORD)
    wiki.end_sessions()

    assert ("namespaces" in client.ask(SITE)["query"], wiki.asked(action="login")) == (True, 2)


def test_a_wrong_password_is_told_without_it(wiki: MediaWikiStandIn, client: MediaWikiClient):
    """With the page that makes one."""
    with pytest.raises(SettingsError, match=r"Incorrect username.*Special:BotPasswords") as refused:
        client.log_in(USER, "wrong-secret")
    assert "wrong-secret" not in str(refused.value)


def test_a_password_never_goes_in_the_clear():
    """Plain http is for this machine only."""
    with (
        MediaWikiClient("http://wiki.example.org/api.php") as client,
        pytest.raises(SettingsError, match="not https"),
    ):
        client.log_in(USER, PASSWORD)
