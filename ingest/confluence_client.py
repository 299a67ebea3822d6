"""The door to Confluence over HTTP: read one answer or a whole list, wait when asked to, and say plainly what went wrong.

Does: speak as an Atlassian account (e-mail and API token, Cloud) or with a personal access token (Data Center); try again after
429, 5xx and broken connections, as long as Confluence asks and patience lasts; follow lists to their end.
Does not: write anything, know what an answer means (`ingest.confluence_api` does), or keep anything. Its fake is
`bot/standin/confluence.py`, reached over real HTTP on loopback.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from core.errors import SettingsError, Unavailable

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState


#: Seconds after which a request that keeps failing is given up; the sync raises and the next one begins anew.
PATIENCE_S = 120.0
#: What passes by itself.
_PASSING = (429, 500, 502, 503, 504)
#: Pages of a list in a row that may hold nothing the account can see.
_EMPTY_PAGES = 50
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

Params = Mapping[str, Any]


class ConfluenceRefused(Unavailable):
    """Confluence knows the account and will not serve it this: asking again changes nothing.

    A token it does not accept is no refusal but plain `Unavailable`: nothing may be concluded from it about any page.

    Args:
        status: the HTTP status it gave.
    """

    def __init__(self, what: str, *, status: int, why: str = "", way_out: str = "") -> None:
        super().__init__(what, why=why, way_out=way_out)
        self.status = status


class _Passing(Unavailable):
    """A failure worth another try, after `wait_s` seconds if Confluence said so."""

    def __init__(self, what: str, *, why: str = "", way_out: str = "", wait_s: float = 0.0) -> None:
        super().__init__(what, why=why, way_out=way_out)
        self.wait_s = wait_s


class ConfluenceClient:
    """One Confluence, read-only.

    Args:
        url: the site: "https://acme.atlassian.net" (with or without /wiki) or "https://wiki.example.org/confluence". Plain
            http is accepted on loopback only, for the stand-in.
        token: API token of `user`, or a personal access token.
        user: e-mail of the Atlassian account on Cloud; None for Data Center.
        patience_s: seconds one request may take, with everything tried again in them.
        timeout_s: seconds to wait for each answer.
        sleep: waits some seconds.

    Raises:
        SettingsError: the address is neither https nor loopback.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        user: str | None = None,
        patience_s: float = PATIENCE_S,
        timeout_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        parts = urlsplit(_secure(url))
        self.cloud = user is not None
        self.host = parts.netloc + parts.path.rstrip("/").removesuffix("/wiki")
        #: What API paths are relative to.
        self.site = f"{parts.scheme}://{self.host}{'/wiki' if self.cloud else ''}"
        #: What links in answers are relative to; Confluence says so in its lists.
        self.web = self.site
        self._patience_s, self._sleep = patience_s, sleep
        self._http = httpx.Client(
            auth=httpx.BasicAuth(user, token) if user is not None else None,
            headers={"Accept": "application/json"} | ({} if self.cloud else {"Authorization": f"Bearer {token}"}),
            timeout=timeout_s,
            trust_env=parts.hostname not in _LOOPBACK,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, params: Params | None = None, *, refusals: Collection[int] = ()) -> Any:
        """One answer.

        Args:
            path: below the site, for example "/rest/api/space/OPS".
            params: the query; a list is sent as a repeated name.
            refusals: statuses that mean a refusal at this path, though they sound passing.

        Raises:
            ConfluenceRefused: a 4xx other than 401 and 429, or one of `refusals`.
            Unavailable: the token is not accepted, it did not answer in time, or what it answered is no JSON.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_before_delay

        tries = Retrying(
            retry=retry_if_exception_type(_Passing),
            wait=_wait_s,
            stop=stop_before_delay(self._patience_s),
            sleep=self._sleep,
            reraise=True,
        )
        return tries(self._once, path, params, refusals)

    def by_cursor(self, path: str, params: Params | None = None, *, page: int = 250) -> Iterator[dict[str, Any]]:
        """Every item of a list that is told on by a cursor in `_links.next`.

        Raises:
            Unavailable: as `get`, or the list leads in a circle. Items given before it are not all there are.
        """
        cursor, asked = "", set()
        while True:
            body = self.get(path, {**(params or {}), "limit": page, **({"cursor": cursor} if cursor else {})})
            yield from _results(path, body)
            following = parse_qs(urlsplit(str(_links(body).get("next") or "")).query).get("cursor")
            if not following:
                return
            cursor = following[0]
            if cursor in asked:
                raise _unreadable(path, "its pages lead in a circle")
            asked.add(cursor)

    def by_start(self, path: str, params: Params | None = None, *, page: int = 200) -> Iterator[dict[str, Any]]:
        """Every item of a list that is told on by `start` and `limit`; Confluence may give fewer at once than asked.

        Raises:
            Unavailable: as `get`. Items given before it are not all there are.
        """
        start, empty = 0, 0
        while empty < _EMPTY_PAGES:
            body = self.get(path, {**(params or {}), "start": start, "limit": page})
            items = list(_results(path, body))
            yield from items
            empty = 0 if items else empty + 1
            following = parse_qs(urlsplit(str(_links(body).get("next") or "")).query).get("start", ["0"])[0]
            # Where pages were left out because the token may not see them, `next` counts them and we cannot.
            onward = int(following) if following.isascii() and following.isdigit() else 0
            limit = body.get("limit") if isinstance(body.get("limit"), int) else 0
            if onward <= start and len(items) < (limit or page):
                return
            start = onward if onward > start else start + len(items)
        raise _unreadable(path, f"it goes on after {_EMPTY_PAGES} pages with nothing in them")

    def _once(self, path: str, params: Params | None, refusals: Collection[int]) -> Any:
        import httpx

        try:
            response = self._http.get(f"{self.site}{path}", params=params)
        except httpx.HTTPError as error:
            raise _Passing(
                "Confluence does not answer",
                why=f"GET {path}: {type(error).__name__}",
                way_out="check RUNDOWN_CONFLUENCE_URL and the network; what is indexed stays as it is",
            ) from None
        if not response.is_success:
            raise _failure(path, response, refusals)
        try:
            body = response.json()
        except (ValueError, RecursionError):
            raise _unreadable(path, "it is no JSON") from None
        self.web = _address(_links(body).get("base")) or self.web
        return body


def _wait_s(state: RetryCallState) -> float:
    """As long as Confluence asks, and at least half a second more each time, doubled up to half a minute."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait_s if isinstance(error, _Passing) else 0.0
    return max(asked, min(30.0, 0.5 * 2.0 ** min(state.attempt_number - 1, 10)))


def _secure(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    except ValueError:
        usable = False
    if not usable or not parts.hostname or parts.username or parts.query:
        raise SettingsError(
            f"cannot use {url!r} as Confluence's address",
            why="it is not an https address of a site",
            way_out="set RUNDOWN_CONFLUENCE_URL to https://<your-site>.atlassian.net or your Data Center's base URL",
        )
    return url


def _address(value: Any) -> str | None:
    """The base of links that Confluence names, if it is an address."""
    return value.rstrip("/") if isinstance(value, str) and value.startswith(("https://", "http://")) else None


def _links(body: Any) -> Mapping[str, Any]:
    found = body.get("_links") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _results(path: str, body: Any) -> Iterator[dict[str, Any]]:
    items = body.get("results") if isinstance(body, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _unreadable(path, "it holds no list of results")
    yield from items


def _unreadable(path: str, why: str) -> Unavailable:
    return Unavailable(
        f"cannot read Confluence's answer to GET {path}",
        why=why,
        way_out="check that RUNDOWN_CONFLUENCE_URL is a Confluence, and that RUNDOWN_CONFLUENCE_USER is set for Cloud alone",
    )


def _failure(path: str, response: httpx.Response, refusals: Collection[int]) -> Unavailable:
    status = response.status_code
    what = f"Confluence answered {status} to GET {path}"
    if status in _PASSING and status not in refusals:
        wait_s = _asked_wait_s(response.headers.get("retry-after", ""))
        way_out = f"it asks for {wait_s:.0f} s of silence" if wait_s else "wait; what is indexed stays as it is"
        return _Passing(what, why=_said(response), way_out=way_out, wait_s=wait_s)
    if status == 401:
        return Unavailable(
            what,
            why=_said(response),
            way_out="check RUNDOWN_CONFLUENCE_TOKEN: on Cloud it is an API token of the account RUNDOWN_CONFLUENCE_USER, on Data "
            "Center a personal access token, and the user stays unset",
        )
    way_out = {
        403: "give the account of RUNDOWN_CONFLUENCE_TOKEN access to this, or leave that space out",
        404: "it is gone, or the account may not see it",
    }.get(status, "check RUNDOWN_CONFLUENCE_URL: this is no answer of Confluence's API" if status < 400 else "")
    return ConfluenceRefused(what, status=status, why=_said(response), way_out=way_out)


def _asked_wait_s(header: str) -> float:
    """Seconds from a Retry-After, which is a number of them or a date."""
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _said(response: httpx.Response) -> str:
    """Confluence's own message of an error, short."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return ""
    if isinstance(body, dict) and isinstance(body.get("errors"), list) and body["errors"]:
        body = body["errors"][0]
    told = (body.get("message") or body.get("title")) if isinstance(body, dict) else None
    return str(told)[:200] if told else ""
