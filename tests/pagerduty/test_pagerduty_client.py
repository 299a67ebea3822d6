"""The REST door over real HTTP: what it sends, how it fails, and that it keeps to the limits."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import pytest

from core.errors import PagerDutyUnavailable, SettingsError
from core.settings import Settings
from ingest.pagerduty_client import PagerDutyClient, PagerDutyRefused, TokenBucket, open_client


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def bucket(time: Time) -> TokenBucket:
    return TokenBucket(rate_per_s=4, burst=8, clock=time, sleep=time.sleep)


def test_a_burst_goes_at_once_and_the_rest_in_turn(bucket, time):
    """Eight calls wait for nothing; from then on four go each second."""
    for _ in range(11):
        bucket.take()

    assert time.slept == [0.25, 0.25, 0.25]


def test_a_quiet_time_fills_the_bucket_no_further_than_full(bucket, time):
    """After an hour of silence the burst is a burst, not an hour's worth."""
    time.now += 3600
    for _ in range(9):
        bucket.take()

    assert time.slept == [0.25]


def test_the_background_leaves_half_to_those_in_a_hurry(bucket, time):
    """A long read waits for its turns while somebody in a hurry goes at once."""
    for _ in range(6):
        bucket.take(background=True)
    waited = len(time.slept)
    for _ in range(4):
        bucket.take()

    assert (waited, len(time.slept)) == (2, 2)


def test_a_closed_bucket_lets_nobody_through(bucket, time):
    """While PagerDuty wants silence, a call fails at once instead of holding up its caller; afterwards it goes."""
    bucket.close_for(20)
    with pytest.raises(PagerDutyUnavailable, match="asks for 20 s"):
        bucket.take()
    time.now += 20

    bucket.take()

    assert time.slept == []


def test_many_threads_share_one_bucket(time):
    """Forty calls from eight threads pay for exactly what the burst does not cover."""
    bucket = TokenBucket(rate_per_s=1000, burst=10, clock=lambda: 0.0, sleep=time.slept.append)
    threads = [threading.Thread(target=lambda: [bucket.take() for _ in range(5)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(round(wait, 3) for wait in time.slept) == [count / 1000 for count in range(1, 31)]


def test_speaks_as_pagerduty_expects(pd, client):
    """The key goes in the documented header, and lists as repeated parameters."""
    client.get("/incidents", {"statuses[]": ["triggered", "acknowledged"], "limit": 5})

    assert pd.rest.requests == [("GET", "/incidents?statuses%5B%5D=triggered&statuses%5B%5D=acknowledged&limit=5")]


def test_gives_every_page(pd, client):
    """A list of any length comes whole, once, in order."""
    for number in range(205):
        pd.world.open_incident(f"{number}", service="a", urgency="low", priority=None, at=pd.clock())

    titles = [item["title"] for item in client.pages("/incidents", "incidents")]

    assert (titles, len(pd.rest.requests)) == ([str(number) for number in range(205)], 3)


def test_an_empty_page_that_promises_more_is_the_end(pd, client):
    """A server that says "more" and gives nothing is not asked for ever."""
    pd.fail_next(200, body=b'{"incidents":[],"more":true}', times=5)

    assert (list(client.pages("/incidents", "incidents")), len(pd.rest.requests)) == ([], 1)


def test_a_list_ends_where_pagerduty_ends_it(pd, client):
    """PagerDuty gives no more than 10,000 of one list; the next page would be refused."""
    page = b'{"incidents":[' + b",".join([b"{}"] * 2500) + b'],"more":true}'
    pd.fail_next(200, body=page, times=9)

    assert (sum(1 for _ in client.pages("/incidents", "incidents")), len(pd.rest.requests)) == (10_000, 4)


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        ({"status": 500}, PagerDutyUnavailable, "answered 500"),
        ({"status": 302, "headers": {"location": "https://example.com/"}}, PagerDutyUnavailable, "answered 302"),
        ({"status": 401}, PagerDutyRefused, "RUNDOWN_PAGERDUTY_API_TOKEN"),
        ({"status": 402}, PagerDutyRefused, "plan"),
        ({"status": 403}, PagerDutyRefused, "may not"),
        ({"status": 404, "body": b'{"error":{"message":"Not Found","code":2100}}'}, PagerDutyRefused, "Not Found"),
        ({"status": 400, "body": b'{"error":"plain words"}'}, PagerDutyRefused, "plain words"),
        ({"status": 400, "body": b"<html>"}, PagerDutyRefused, "answered 400"),
        ({"status": 429, "headers": {"ratelimit-reset": "17"}}, PagerDutyUnavailable, "17 s"),
        ({"status": 429, "headers": {"ratelimit-reset": "²"}}, PagerDutyUnavailable, "30 s"),
        ({"status": 429, "headers": {"ratelimit-reset": "999999"}}, PagerDutyUnavailable, "300 s"),
        ({"status": 200, "body": b"<html>"}, PagerDutyUnavailable, "no JSON"),
        ({"status": 200, "body": b"[1]"}, PagerDutyUnavailable, "no JSON object"),
        ({"status": 200, "body": b"[" * 100_000}, PagerDutyUnavailable, "no JSON"),
    ],
)
def test_each_failure_has_its_words(pd, client, failure: dict[str, Any], kind: type[Exception], words: str):
    """Whatever comes back is one of two errors that say what to do; one request was made, and the key is not told."""
    pd.fail_next(**failure)
    with pytest.raises(kind, match=words) as caught:
        client.get("/incidents/PT4KHLK")

    assert (type(caught.value), len(pd.rest.requests), pd.token in str(caught.value)) == (kind, 1, False)


def test_nobody_there_is_an_error_too(closed_port: int):
    """A closed port is an error like any."""
    client = PagerDutyClient("key", url=f"http://127.0.0.1:{closed_port}")
    with pytest.raises(PagerDutyUnavailable, match="does not answer"):
        client.get("/incidents")
    client.close()


def test_an_answer_that_does_not_come_is_an_error_too(silent_port: int):
    """After the time that it is given; the next sync or poll asks again."""
    client = PagerDutyClient("key", url=f"http://127.0.0.1:{silent_port}", timeout_s=0.05)
    with pytest.raises(PagerDutyUnavailable, match="does not answer: GET /incidents: ReadTimeout"):
        client.get("/incidents")
    client.close()


def test_a_broken_line_is_tried_once():
    """No quiet minutes of retries: the caller decides when to come back."""
    calls = []

    def hang_up(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = listener.accept()
                calls.append(line.recv(65536)[:14])
                line.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        client = PagerDutyClient("key", url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(PagerDutyUnavailable, match="does not answer"):
            client.get("/incidents")
        client.close()
        listener.shutdown(socket.SHUT_RDWR)

    assert calls == [b"GET /incidents"]


@pytest.mark.parametrize("headers", [{"ratelimit-remaining": "0", "ratelimit-reset": "40"}, {"ratelimit-reset": "40"}])
def test_no_call_is_made_inside_the_silence(pd, time, headers: dict[str, str]):
    """After a 429, or the last request of a window, nothing is sent until PagerDuty's time is over."""
    client = PagerDutyClient(pd.token, url=pd.url, bucket=TokenBucket(clock=time, sleep=time.sleep))
    refused = "ratelimit-remaining" not in headers
    pd.fail_next(429 if refused else 200, body=b"{}", headers=headers)
    for _ in range(3):
        try:
            client.get("/priorities")
        except PagerDutyUnavailable:
            time.now += 10
    inside = len(pd.rest.requests)
    time.now += 40
    client.get("/priorities")
    client.close()

    assert (inside, len(pd.rest.requests)) == (1, 2)


@pytest.mark.parametrize(
    "url", ["http://pagerduty.example.com", "ftp://127.0.0.1", "https://", "api.pagerduty.com", ""]
)
def test_refuses_an_address_that_is_neither_https_nor_here(url: str):
    """A key is never sent in the clear."""
    with pytest.raises(SettingsError, match="RUNDOWN_PAGERDUTY_API_URL"):
        PagerDutyClient("key", url=url)


def test_needs_a_key():
    """Without one, the error names the setting."""
    with pytest.raises(SettingsError, match="RUNDOWN_PAGERDUTY_API_TOKEN"):
        open_client(Settings())


def test_opens_from_the_settings(pd):
    """The settings' key and address are used."""
    client = open_client(Settings(pagerduty_api_token=pd.token, pagerduty_api_url=pd.url))

    assert client.get("/abilities")["abilities"]
    client.close()
