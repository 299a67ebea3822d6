"""The door to a MediaWiki's action API: one request at a time, as its etiquette asks.

Does: ask and page through lists, log in with a bot password, wait where the wiki asks for it and try again where it stumbled,
and turn every failure into `MediaWikiUnavailable`. Its fake is `bot/standin/mediawiki.py`, reached over real HTTP.
Does not: edit, interpret a page, or keep anything but the session's cookies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from core.errors import SettingsError, Unavailable

#: Seconds a replica may lag behind before the wiki asks us to wait; the value the manual gives for scripts.
MAXLAG_S = 5
#: How often one request is sent, and the longest wait between two, in seconds: beyond it the next sync is soon enough.
TRIES, LONGEST_WAIT_S = 4, 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Errors that pass by themselves.
_PASSING = ("maxlag", "ratelimited", "readonly", "toomanyconcurrent", "internal_api_error_DB")
_LOGGED_OUT = ("assertuserfailed", "assertbotfailed", "assertnameduserfailed")


class MediaWikiUnavailable(Unavailable):
    """A MediaWiki refused or did not answer."""


class MediaWikiRefused(MediaWikiUnavailable):
    """The wiki understood the request and will not serve it: asking again changes nothing.

    Args:
        code: its own word for the reason, such as "readapidenied"; "http-403" where only HTTP says no.
    """

    def __init__(self, what: str, *, code: str, why: str = "", way_out: str = "") -> None:
        super().__init__(what, why=why, way_out=way_out)
        self.code = code


class MediaWikiClient:
    """A wiki's API, anonymous until `log_in`. Use it in a `with` block, from one thread.

    Args:
        url: the address of api.php.
        timeout_s: seconds to wait for each answer; a long page takes a wiki several to render.
        sleep: waits some seconds.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url, self._sleep = url, sleep
        local = urlsplit(url).hostname in _LOOPBACK
        self._http = httpx.Client(
            timeout=timeout_s,
            trust_env=not local,
            headers={
                "User-Agent": "Rundown/0.1 (incident assistant; reads pages for search)",
                "Accept-Encoding": "gzip",
            },
        )
        self._account: tuple[str, str] | None = None

    def __enter__(self) -> MediaWikiClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def log_in(self, user: str, password: str) -> None:
        """Go on as that account; when the wiki forgets the session, log in again.

        Args:
            user: a bot password's name, "Account@purpose".
            password: what Special:BotPasswords showed.

        Raises:
            SettingsError: the wiki refuses them, or they would cross the network in the clear.
            MediaWikiUnavailable: no usable answer.
        """
        parts = urlsplit(self.url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise SettingsError(
                f"cannot log in to {self.url!r}",
                why="its address is not https, and the password would be readable on the way",
                way_out="give the wiki's https address",
            )
        self._account = None
        self._http.cookies.clear()
        token = dig(self.ask({"action": "query", "meta": "tokens", "type": "login"}), "query", "tokens", "logintoken")
        sent = {"action": "login", "lgname": user, "lgpassword": password, "lgtoken": token}
        login = self.ask(sent, post=True).get("login", {})
        if login.get("result") != "Success":
            raise SettingsError(
                f"cannot log in to {self.url!r} as {user!r}",
                why=_words(login.get("reason")) or f"the wiki says {login.get('result')}",
                way_out="make a bot password on the wiki's Special:BotPasswords with the right to read, and set "
                "RUNDOWN_MEDIAWIKI_USER (Account@purpose) and RUNDOWN_MEDIAWIKI_PASSWORD",
            )
        self._account = user, password

    def ask(self, params: Mapping[str, Any], *, post: bool = False) -> dict[str, Any]:
        """The wiki's answer.

        Args:
            params: of the request; format and version are added. A value of None is left out.
            post: send them in the body, as what holds a secret must be.

        Raises:
            MediaWikiRefused: the wiki will not serve it.
            MediaWikiUnavailable: it did not answer, or asked for a longer silence than a sync can wait.
        """
        body = self._ask(params, post)
        if self._account and _code(body) in _LOGGED_OUT:
            self.log_in(*self._account)
            body = self._ask(params, post)
        if code := _code(body):
            raise MediaWikiRefused(
                f"{self._host} refused {params.get('action')}", code=code, why=_words(body["error"].get("info")) or code
            )
        return body

    def pages(self, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every page that a query generates, each once and whole: what the wiki gives in parts is put together.

        Raises:
            MediaWikiUnavailable: as `ask`; pages given before it may be all but the last.
        """
        held: dict[Any, dict[str, Any]] = {}
        for body in self._continued(params):
            pages = body.get("query", {}).get("pages", [])
            if not isinstance(pages, list):
                raise MediaWikiUnavailable(
                    f"cannot read {self._host}", why="it is older than MediaWiki 1.25", way_out="upgrade the wiki"
                )
            for page in pages:
                _merge(held.setdefault(page.get("pageid") or page.get("title"), {}), page)
            if body.get("batchcomplete"):
                yield from held.values()
                held = {}
        yield from held.values()

    def rows(self, params: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
        """Every row of a `list=` query. Raises as `ask` does."""
        for body in self._continued(params):
            yield from body.get("query", {}).get(name, [])

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc

    def _continued(self, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Answer after answer, until the wiki says that there is no more."""
        more: dict[str, Any] = {}
        while True:
            body = self.ask({"action": "query", **params, **more})
            yield body
            following = body.get("continue")
            if not following:
                return
            if following == more:
                raise MediaWikiUnavailable(
                    f"cannot list the pages of {self._host}", why="it answers the same part again and again"
                )
            more = dict(following)

    def _ask(self, params: Mapping[str, Any], post: bool) -> dict[str, Any]:
        """One request, sent again while the wiki stumbles; its answer may be an error that does not pass."""
        sent = {name: str(value) for name, value in params.items() if value is not None}
        sent |= {"format": "json", "formatversion": "2", "maxlag": str(MAXLAG_S)}
        if self._account and sent.get("action") != "login":
            sent["assert"] = "user"
        why = ""
        for attempt in range(TRIES):
            answer = self._once(sent, post, 2.0**attempt)
            if isinstance(answer, dict):
                return answer
            wait_s, why = answer
            if attempt + 1 < TRIES:
                self._sleep(wait_s)
        raise MediaWikiUnavailable(
            f"{self._host} does not answer", why=why, way_out="check the address; the next sync tries again"
        )

    def _once(self, sent: Mapping[str, str], post: bool, backoff_s: float) -> tuple[float, str] | dict[str, Any]:
        """What it answered; or how long to wait, and why."""
        try:
            response = self._http.post(self.url, data=sent) if post else self._http.get(self.url, params=sent)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            return backoff_s, _said(error)
        wait_s = _retry_after(response, backoff_s)
        if response.status_code == 429 or response.status_code >= 500:
            return self._patience(wait_s), f"HTTP {response.status_code}"
        if response.status_code != 200:
            raise self._refused(response)
        try:
            body = response.json()
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise MediaWikiUnavailable(
                f"cannot read the answer of {self._host}",
                why="it is no JSON object",
                way_out="give the address of the wiki's api.php, as Special:Version names it",
            )
        if _code(body).startswith(_PASSING):
            return self._patience(wait_s), _words(body["error"].get("info")) or _code(body)
        return body

    def _patience(self, wait_s: float) -> float:
        if wait_s > LONGEST_WAIT_S:
            raise MediaWikiUnavailable(
                f"{self._host} asks for {wait_s:.0f} s of silence", way_out="wait; the next sync tries again"
            )
        return wait_s

    def _refused(self, response: httpx.Response) -> MediaWikiRefused:
        status, target = response.status_code, response.headers.get("location", "")
        way_out = "give the address of the wiki's api.php, as Special:Version names it"
        if target:
            way_out = f"it redirects to {target.partition('?')[0]}: give that address"
        elif status in (401, 403):
            way_out = "let Rundown's machine reach api.php without another login before the wiki's own"
        return MediaWikiRefused(f"{self._host} answered HTTP {status}", code=f"http-{status}", way_out=way_out)


def dig(body: Mapping[str, Any], *names: str) -> Any:
    """What stands at that place of an answer.

    Raises:
        MediaWikiUnavailable: nothing does; it is no MediaWiki, or one of another time.
    """
    found: Any = body
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if found is None:
        raise MediaWikiUnavailable(
            "cannot read the wiki's answer",
            why=f"it holds no {'.'.join(names)}",
            way_out="check that the address is the api.php of MediaWiki 1.27 or newer",
        )
    return found


def _said(error: Exception) -> str:
    """Why there is no answer, in words where the name of the failure does not tell."""
    return "its answer cannot be decompressed" if isinstance(error, httpx.DecodingError) else type(error).__name__


def _merge(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        known = whole.get(name)
        whole[name] = [*known, *value] if isinstance(known, list) and isinstance(value, list) else value


def _code(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    return str(error.get("code", "unknown")) if isinstance(error, dict) else ""


def _words(text: Any) -> str:
    return " ".join(str(text or "").split())[:200]


def _retry_after(response: httpx.Response, otherwise_s: float) -> float:
    """The wait that the wiki asks for, in seconds: a number, or a date."""
    asked = response.headers.get("retry-after", "")
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (TypeError, ValueError):
        return otherwise_s
