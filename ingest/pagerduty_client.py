"""The door to PagerDuty's REST API: the official client, one request at a time, inside our share of the quota.

Does: read and page through resources, send the few writes we make, keep to PagerDuty's rate limits, and turn every failure
into `PagerDutyUnavailable`. Its fake is `bot/standin/pagerduty.py`, reached over real HTTP on loopback.
Does not: retry (callers come back by themselves), interpret a resource, or keep anything.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from core.errors import PagerDutyUnavailable, SettingsError

if TYPE_CHECKING:
    from core.settings import Settings

log = logging.getLogger(__name__)

#: A key may send 960 requests a minute, shared with everything else that uses it: we take a quarter, in bursts of 20.
RATE_PER_S, BURST = 4.0, 20
#: Offset and limit together may not pass this in one list (developer-docs, Pagination).
LIST_END = 10_000
_PAGE = 100
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class PagerDutyRefused(PagerDutyUnavailable):
    """PagerDuty understood the request and will not serve it: asking again changes nothing.

    Args:
        status: the HTTP status it gave.
    """

    def __init__(self, what: str, *, status: int, why: str = "", way_out: str = "") -> None:
        super().__init__(what, why=why, way_out=way_out)
        self.status = status


class TokenBucket:
    """Lets calls through at a steady rate, with a burst; DBOS's limiter leaked on SQLite (DEPENDENCIES.md section 4).

    Args:
        rate_per_s: calls a second in the long run.
        burst: calls at once after a quiet time.
        clock: monotonic seconds.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        *,
        rate_per_s: float = RATE_PER_S,
        burst: int = BURST,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._burst, self._clock, self._sleep = rate_per_s, burst, clock, sleep
        self._tokens, self._filled_at, self._closed_until = float(burst), clock(), 0.0
        self._lock = threading.Lock()

    def take(self, *, background: bool = False) -> None:
        """Wait for a turn.

        Args:
            background: leave half of the burst to others, so that nobody in a hurry waits behind a long read.

        Raises:
            PagerDutyUnavailable: PagerDuty asked us to stay away and that time is not over.
        """
        with self._lock:
            now = self._clock()
            if now < self._closed_until:
                raise _throttled(self._closed_until - now)
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate) - 1.0
            self._filled_at = now
            floor = self._burst / 2 if background else 0.0
            wait_s = max(0.0, (floor - self._tokens) / self._rate)
        if wait_s:
            self._sleep(wait_s)

    def close_for(self, seconds: float) -> None:
        """Let nothing through for some seconds."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + seconds)


class PagerDutyClient:
    """PagerDuty's REST API. Safe to share between threads: requests go out one after the other.

    Args:
        token: REST API key.
        url: the API's address; plain http is accepted on loopback only, for the stand-in.
        bucket: our share of the quota.
        timeout_s: seconds to wait for each answer.

    Raises:
        SettingsError: the address is neither https nor loopback.
    """

    def __init__(
        self,
        token: str,
        *,
        url: str = "https://api.pagerduty.com",
        bucket: TokenBucket | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        import pagerduty

        self._bucket, self._lock = bucket or TokenBucket(), threading.Lock()
        self.url = url.rstrip("/")
        rest: Any = pagerduty.RestApiV2Client(token, base_url=_secure(self.url), **_standin_options(self.url))
        rest.timeout = timeout_s
        rest.max_network_attempts = 0
        # The official client sleeps and repeats on 429 without end; this hook sees the answer first.
        rest.event_hooks = {**rest.event_hooks, "response": [self._heed_limits]}
        self._rest = rest

    def close(self) -> None:
        """Give the connections back."""
        self._rest.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, background: bool = False) -> dict[str, Any]:
        """One resource or one page, as PagerDuty wraps it.

        Args:
            path: below the API's address, for example "/incidents/PT4KHLK".
            params: the query; a list is sent as repeated `name[]`.
            background: let those in a hurry go first.

        Raises:
            PagerDutyRefused: a 4xx other than 429.
            PagerDutyUnavailable: no usable answer.
        """
        return self._request("GET", path, background, params=dict(params or {}))

    def post(self, path: str) -> dict[str, Any]:
        """Ask for an action that takes no body. Raises as `get` does."""
        return self._request("POST", path, False)

    def pages(
        self, path: str, key: str, params: Mapping[str, Any] | None = None, *, background: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page, up to the 10,000 that PagerDuty gives of one list.

        The official `iter_all` asks for ever when a page is empty and says there is more; this stops.

        Args:
            key: where in the answer the items are, for example "incidents".

        Raises:
            PagerDutyUnavailable: as `get`; items given before it may be all but the last pages.
        """
        offset, more = 0, True
        while more and offset < LIST_END:
            body = self.get(path, {**(params or {}), "limit": _PAGE, "offset": offset}, background=background)
            items = body.get(key)
            if not isinstance(items, list):
                raise _unreadable(path, f"it holds no list of {key}")
            yield from (item for item in items if isinstance(item, dict))
            offset += len(items)
            more = bool(body.get("more")) and bool(items)

    def _request(self, method: str, path: str, background: bool, **options: Any) -> dict[str, Any]:
        import httpx2
        import pagerduty

        self._bucket.take(background=background)
        with self._lock:
            try:
                response = self._rest.request(method, path, **options)
            except pagerduty.HttpError as error:
                raise _refused(method, path, error.response) from None
            except (pagerduty.Error, pagerduty.UrlError, httpx2.HTTPError) as error:
                raise PagerDutyUnavailable(
                    "PagerDuty does not answer",
                    why=f"{method} {path}: {type(error.__cause__ or error).__name__}",
                    way_out="check RUNDOWN_PAGERDUTY_API_URL and the network; nothing is lost, the next poll tries again",
                ) from None
        if not response.is_success:
            raise _refused(method, path, response)
        return _body(path, response) if response.content else {}

    def _heed_limits(self, response: Any) -> None:
        """Stay away as long as PagerDuty says; on 429 its headers may be missing (developer-docs, Rate Limits)."""
        refused = response.status_code == 429
        if not refused and response.headers.get("ratelimit-remaining") != "0":
            return
        reset = response.headers.get("ratelimit-reset", "")
        wait_s = min(float(reset), 300.0) if reset.isascii() and reset.isdigit() else 30.0
        self._bucket.close_for(wait_s)
        if refused:
            raise _throttled(wait_s)


def open_client(settings: Settings) -> PagerDutyClient:
    """The client that the settings describe.

    Raises:
        SettingsError: no REST API key is set, or the address cannot be used.
    """
    if settings.pagerduty_api_token is None:
        raise SettingsError(
            "cannot ask PagerDuty",
            why="RUNDOWN_PAGERDUTY_API_TOKEN is not set",
            way_out="make a read-only REST API key in PagerDuty under Integrations > API Access Keys, and set it",
        )
    return PagerDutyClient(settings.pagerduty_api_token.get_secret_value(), url=settings.pagerduty_api_url)


def _secure(url: str) -> str:
    """The https form that the official client insists on."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return f"https{url.removeprefix('http')}"
    raise SettingsError(
        f"cannot use {url!r} as PagerDuty's address",
        why="it is neither https nor on this machine",
        way_out="set RUNDOWN_PAGERDUTY_API_URL to https://api.pagerduty.com or https://api.eu.pagerduty.com",
    )


def _standin_options(url: str) -> dict[str, Any]:
    """For a stand-in on loopback: speak plain http after all, and past any proxy."""
    if url.startswith("https://"):
        return {}

    def unwrap(request: Any) -> None:
        request.url = request.url.copy_with(scheme="http")

    return {"event_hooks": {"request": [unwrap]}, "trust_env": False}


def _body(path: str, response: Any) -> dict[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        raise _unreadable(path, "it is no JSON") from None
    if not isinstance(body, dict):
        raise _unreadable(path, "it is no JSON object")
    return body


def _unreadable(path: str, why: str) -> PagerDutyUnavailable:
    return PagerDutyUnavailable(
        f"cannot read PagerDuty's answer to {path}",
        why=why,
        way_out="check that RUNDOWN_PAGERDUTY_API_URL is its REST API",
    )


def _throttled(wait_s: float) -> PagerDutyUnavailable:
    return PagerDutyUnavailable(
        "PagerDuty's rate limit is reached",
        why=f"it asks for {wait_s:.0f} s of silence",
        way_out="wait; if it happens often, give Rundown an API key of its own",
    )


def _refused(method: str, path: str, response: Any) -> PagerDutyUnavailable:
    status = int(response.status_code)
    what = f"PagerDuty answered {status} to {method} {path}"
    if status >= 500 or status < 400:
        return PagerDutyUnavailable(what, way_out="wait; see status.pagerduty.com if it lasts")
    way_out = {
        401: "check RUNDOWN_PAGERDUTY_API_TOKEN, and RUNDOWN_PAGERDUTY_API_URL for accounts in the EU",
        402: "the account's plan lacks this",
        403: "the API key may not do this; give it access or do it in PagerDuty by hand",
        404: "it is gone, or the API key may not see it",
    }.get(status, "")
    return PagerDutyRefused(what, status=status, why=_said(response), way_out=way_out)


def _said(response: Any) -> str:
    """PagerDuty's own message of an error, short."""
    try:
        error = response.json()["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return str(message)[:200]
