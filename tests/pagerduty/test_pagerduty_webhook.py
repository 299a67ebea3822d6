"""The webhook edge over real sockets: what it keeps, and that nothing ever gets a 4xx."""

from __future__ import annotations

import json
import logging
import socket
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.http import make_http
from bot.intake import Intake
from bot.metrics import Metrics
from bot.pagerduty import Alarm, PagerDutyWebhook, sign
from bot.web import WebServer
from core.store import Store

NEW, OLD = "the new secret", "the old secret"


def body(event_id: str = "01A", event_type: str = "incident.triggered", **more: Any) -> bytes:
    event = {"id": event_id, "event_type": event_type, "occurred_at": "2026-03-01T10:00:00.000Z", "data": {}, **more}
    return json.dumps({"event": event}).encode()


def post(edge: Any, raw: Any, signature: str | None = None, **headers: str) -> httpx.Response:
    signature = sign(raw, [NEW]) if signature is None and isinstance(raw, bytes) else signature
    given = {"x-pagerduty-signature": signature} if signature else {}
    return edge.http.post(edge.hook, content=raw, headers=given | headers)


def kept(edge: Any) -> list[tuple[str, str, str, bytes]]:
    rows = [edge.store.inbox_row(row_id) for row_id in edge.store.unfinished_inbox()]
    return [(row.source, row.event_id, row.kind, row.raw) for row in rows]


def test_keeps_a_signed_webhook_byte_for_byte(edge):
    """A signed event is stored as received, a worker is woken, and PagerDuty is told 202."""
    raw = b' {"event":{"id":"01A",\n"event_type":"incident.triggered","data":{"\xc3\xa9":1}}} '

    answer = post(edge, raw)

    assert (answer.status_code, kept(edge), len(edge.woken)) == (
        202,
        [("pagerduty", "01A", "incident.triggered", raw)],
        1,
    )


@pytest.mark.parametrize("signers", [[NEW], [OLD], ["somebody else's", OLD], [NEW, "somebody else's"]])
def test_believes_either_secret_and_either_signature(edge, signers: list[str]):
    """While secrets are rotated on one side or the other, nothing is lost."""
    raw = body()

    assert post(edge, raw, sign(raw, signers)).status_code == 202


def test_joins_repeated_signature_headers(edge):
    """A proxy may split the header in two; both are looked at."""
    raw = body()
    headers = [("x-pagerduty-signature", "v1=00"), ("x-pagerduty-signature", sign(raw, [NEW]))]

    assert edge.http.post(edge.hook, content=raw, headers=headers).status_code == 202


def test_keeps_an_event_once_however_often_it_comes(edge):
    """PagerDuty delivers at least once; every delivery is acknowledged and one is kept."""
    answers = [post(edge, body()).status_code for _ in range(5)]

    assert (answers, len(kept(edge)), len(edge.woken), edge.counted()) == (
        [202] * 5,
        1,
        1,
        {"accepted": 1, "repeated": 4},
    )


@pytest.mark.parametrize("event_type", ["pagey.ping", "service.updated", "incident.from_the_future", "x" * 200])
def test_keeps_types_it_does_not_know(edge, event_type: str):
    """PagerDuty adds event types over time: they are stored and acknowledged."""
    answer = post(edge, body(event_type=event_type))

    assert (answer.status_code, [row[2] for row in kept(edge)]) == (202, [event_type[:64]])


NESTED = b'{"event":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("raw", "signature", "reason"),
    [
        pytest.param(body(), "", "unsigned", id="unsigned"),
        pytest.param(body(), "v1=" + "0" * 64, "bad_signature", id="wrong signature"),
        pytest.param(body(), sign(body(), ["wrong secret"]), "bad_signature", id="wrong secret"),
        pytest.param(body() + b" ", sign(body(), [NEW]), "bad_signature", id="body touched"),
        pytest.param(b"", "v1=", "bad_signature", id="nothing at all"),
        pytest.param(NESTED, "v1=" + "0" * 64, "bad_signature", id="nested 100,000 deep, unsigned"),
        pytest.param(NESTED, None, "unreadable", id="nested 100,000 deep, signed"),
        pytest.param(b"{", None, "unreadable", id="no JSON"),
        pytest.param(b"[1]", None, "unreadable", id="no object"),
        pytest.param(b"\xff\xfe", None, "unreadable", id="no text"),
        pytest.param(b"{}", None, "unreadable", id="no event"),
        pytest.param(b'{"event":[]}', None, "unreadable", id="event is a list"),
        pytest.param(body(event_id=""), None, "unreadable", id="empty id"),
        pytest.param(body(event_id=7), None, "unreadable", id="id is a number"),
        pytest.param(body(event_id="x" * 201), None, "unreadable", id="endless id"),
        pytest.param(b'{"event":{"id":"\\ud800","event_type":"a"}}', None, "unreadable", id="id is broken Unicode"),
        pytest.param(b'{"event":{"id":"a\\u0000","event_type":"a"}}', None, "unreadable", id="id holds a NUL"),
        pytest.param(b'{"event":{"id":1' + b"0" * 5000 + b',"event_type":"a"}}', None, "unreadable", id="5,000 digits"),
        pytest.param(b"x" * (1024 * 1024 + 1), None, "body", id="over a megabyte"),
    ],
)
def test_answers_503_to_what_it_cannot_keep(edge, caplog, raw: bytes, signature: str | None, reason: str):
    """Never 4xx, which would lose the incident; the refusal is counted, alarmed with its way out, and tells no secrets."""
    with caplog.at_level(logging.INFO):
        answer = post(edge, raw, signature)

    alarms = [record.getMessage() for record in caplog.records if record.name == "bot.pagerduty"]
    assert (answer.status_code, kept(edge), edge.counted()) == (503, [], {reason: 1})
    assert len(alarms) == 1
    assert f"[{reason}]" in alarms[0]
    assert not any(told in caplog.text for told in (NEW, OLD, "v1=", "01A", "incident.triggered", "xxx", "[[["))


def test_unsigned_bytes_reach_no_parser(edge, monkeypatch):
    """What is not signed is not even parsed: a parser that kills the process would see nothing of it."""
    parsed = []
    monkeypatch.setattr("bot.pagerduty_events.json.loads", parsed.append)

    post(edge, body(), "v1=" + "0" * 64)

    assert parsed == []


def test_says_which_setting_is_missing(store: Store, http: httpx.Client, caplog):
    """Without a secret nothing can be believed: 503, and the log names the setting."""
    metrics = Metrics()
    hook = PagerDutyWebhook(Intake(store, print), secrets=(), metrics=metrics)
    with WebServer(make_http(pagerduty=hook, metrics=metrics, ready=dict)) as server:
        answer = http.post(f"{server.url}/pagerduty/webhook", content=body())

    assert answer.status_code == 503
    assert "RUNDOWN_PAGERDUTY_WEBHOOK_SECRETS" in caplog.text


def test_answers_503_while_the_store_refuses(edge, caplog):
    """A broken database is back-pressure: PagerDuty repeats, and once it works the event is kept. Its words stay out of the log."""
    with edge.store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE inbox RENAME TO lost")
    refused = post(edge, body(data={"title": "top secret"})).status_code
    with edge.store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE lost RENAME TO inbox")
    accepted = post(edge, body(data={"title": "top secret"})).status_code

    assert (refused, accepted, edge.counted(), len(kept(edge))) == (503, 202, {"store": 1, "accepted": 1}, 1)
    assert "top secret" not in caplog.text


@pytest.mark.parametrize("path", ["/pagerduty", "/pagerduty/", "/pagerduty/webhooks", "/pagerduty/v3/webhook"])
def test_a_mistyped_address_loses_nothing(edge, caplog, path: str):
    """A webhook to nearly our path gets 503, so that PagerDuty repeats it, and the log names the right path."""
    answer = edge.http.post(f"{edge.url}{path}", content=body())

    assert answer.status_code == 503
    assert "/pagerduty/webhook" in caplog.text


def test_a_slash_at_the_end_is_the_same_path(edge):
    """No redirect: nobody promises that PagerDuty follows one."""
    raw = body()

    answer = edge.http.post(f"{edge.hook}/", content=raw, headers={"x-pagerduty-signature": sign(raw, [NEW])})

    assert answer.status_code == 202


def test_a_chunked_body_is_read_whole(edge):
    """A body sent in pieces without a length is verified and kept like any."""
    raw = body()

    answer = post(edge, (raw[place : place + 7] for place in range(0, len(raw), 7)), sign(raw, [NEW]))

    assert (answer.status_code, kept(edge)[0][3]) == (202, raw)


def speak(port: int, *pieces: bytes) -> bytes:
    """Send bytes on a socket, hang up our side, and return what came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        received = b""
        try:
            for piece in pieces:
                line.sendall(piece)
            line.shutdown(socket.SHUT_WR)
            while chunk := line.recv(65536):
                received += chunk
        except (BrokenPipeError, ConnectionResetError):
            pass
        return received


HEAD = b"POST /pagerduty/webhook HTTP/1.1\r\nhost: x\r\nx-pagerduty-signature: v1=00\r\n"


def test_stops_reading_an_endless_body(edge):
    """A chunked body over the limit is cut off; the sender, though it never ends, is answered or hung up on."""
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"

    answer = speak(edge.port, HEAD + b"transfer-encoding: chunked\r\n\r\n", *[chunk] * 64)

    assert (answer[:12], edge.counted()) in [(b"HTTP/1.1 503", {"body": 1}), (b"", {"body": 1})]


def test_refuses_an_announced_giant_before_it_is_sent(edge):
    """A length over the limit is refused on sight."""
    answer = speak(edge.port, HEAD + b"content-length: 99999999999\r\n\r\nx")

    assert (answer[:12], edge.counted()) == (b"HTTP/1.1 503", {"body": 1})


def test_a_caller_that_hangs_up_midway_leaves_nothing(edge):
    """Half a body is no body."""
    speak(edge.port, HEAD + b"content-length: 100\r\n\r\nhalf")

    assert (edge.http.get(f"{edge.url}/healthz").status_code, kept(edge)) == (200, [])


def test_the_alarm_speaks_at_once_then_counts():
    """The first refusal of a kind is logged at once, then one line a while with how many were silent."""
    now, lines = [0.0], []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("bot.pagerduty").addHandler(handler)
    alarm = Alarm(every_s=30, clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 2.0, 40.0):
        alarm.ring("unsigned", "words")
    alarm.ring("store", "other words")
    logging.getLogger("bot.pagerduty").removeHandler(handler)

    assert lines == [
        "PagerDuty webhook refused [unsigned]: words",
        "PagerDuty webhook refused [unsigned] (2 more like it since the last line): words",
        "PagerDuty webhook refused [store]: other words",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.fixed_dictionaries({"event": st.dictionaries(st.sampled_from(["id", "event_type", "data", "agent"]), JSON)})


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=300) | EVENTS.map(lambda value: json.dumps(value).encode()), signed=st.booleans())
def test_whatever_comes_is_kept_or_refused(edge, raw: bytes, signed: bool):
    """Any bytes, signed or not, get 202 or 503 and break nothing; none of the refusals is one we did not foresee."""
    answer = post(edge, raw, sign(raw, [NEW]) if signed else "v1=ab")

    assert answer.status_code in ((202, 503) if signed else (503,))
    assert "internal" not in edge.counted()
