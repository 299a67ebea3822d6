"""A MediaWiki on loopback: its action API as version 1.39 speaks it with formatversion=2, and a driver to edit it.
`tests/ingest/test_ingest_mediawiki_recorded.py` holds its answers against recorded ones of the real thing.

Does: generate and list pages with continuation, page properties, rendered revisions, categories and redirects; bot-password
login with sessions that may run out; a wiki that anybody may read, or nobody without a login, and pages refused one by one;
lag, rate limits and failures on request.
Does not: parse wikitext (the driver gives what the parser would write), or keep anything after it is closed.

    with MediaWikiStandIn() as wiki:
        page = wiki.edit("Broker disk full", "<p>Delete segments.</p>", categories=["Runbooks"])
        wiki.move(page, "Kafka/Broker disk full")
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from bot.web import Served, WebServer

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

#: The bot password it accepts by default.
USER, PASSWORD = "Rundown@search", "0123456789abcdefghijklmnopqrstuv"
_NAMESPACES = {0: "", 2: "User", 4: "Project", 10: "Template", 12: "Help", 14: "Category", 828: "Module"}
_COOKIE = "wiki_session"


class _Refusal(Exception):
    """An error in the API's own form."""

    def __init__(self, code: str, info: str) -> None:
        super().__init__(info)
        self.code = code
        self.body: dict[str, Any] = {"error": {"code": code, "info": info}}


@dataclass(kw_only=True)
class Page:
    """A page as the wiki keeps it."""

    id: int
    ns: int
    title: str
    revid: int
    html: str
    edited: datetime
    touched: datetime
    categories: tuple[str, ...] = ()
    redirect_to: str | None = None
    model: str = "wikitext"
    #: Only for those who are logged in, as Extension:Lockdown would have it.
    locked: bool = False


@dataclass(kw_only=True)
class Fault:
    """One answer to give in place of the true one."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    #: Only to this action; to any by default.
    action: str = ""


class MediaWikiStandIn(Served):
    """The stand-in, up inside a `with` block; `api` is its api.php.

    Args:
        private: whether nobody reads without a login.
        limit: how many rows one answer holds at most, so that few pages are enough to page through.
        clock: its present; tests move it.
    """

    def __init__(
        self, *, private: bool = False, limit: int = 2, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.limit, self.clock = limit, clock
        self.user, self.password = USER, PASSWORD
        self._lock = threading.RLock()
        self.reset(private=private)
        self._server = WebServer(self._app())
        self.url = self._server.url
        self.api = f"{self.url}/w/api.php"

    # -- the driver ----------------------------------------------------------------------------------------------------

    def reset(self, *, private: bool = False) -> None:
        """A new, empty wiki at the same address with the same account."""
        self.private = private
        self.pages: dict[int, Page] = {}
        self.faults: list[Fault] = []
        #: What was asked: parameters of each request.
        self.requests: list[dict[str, str]] = []
        self._sessions: dict[str, str] = {}
        self._next_page, self._next_revision = 1, 100

    def edit(self, title: str, html: str, *, categories: Sequence[str] = (), **facts: Any) -> int:
        """Write a page, new or not.

        Args:
            html: what the parser makes of it.
            facts: further fields of `Page`.

        Returns:
            Its number.
        """
        with self._lock:
            now, known = self.clock(), self._find(title)
            revid, self._next_revision = self._next_revision, self._next_revision + 1
            if known is None:
                number, self._next_page = self._next_page, self._next_page + 1
                space = next((n for n, name in _NAMESPACES.items() if name and title.startswith(f"{name}:")), 0)
                known = Page(id=number, ns=space, title=title, revid=revid, html=html, edited=now, touched=now)
                self.pages[number] = known
            known.html, known.revid, known.edited, known.touched = html, revid, now, now
            known.categories = tuple(f"Category:{name}" for name in categories)
            for name, value in facts.items():
                setattr(known, name, value)
            return known.id

    def redirect(self, title: str, to: str, *, categories: Sequence[str] = ()) -> int:
        """A page that only leads to another."""
        return self.edit(title, "", categories=categories, redirect_to=to)

    def move(self, page_id: int, title: str) -> None:
        """Give a page another title; the old one leads to it."""
        with self._lock:
            old = self.pages[page_id].title
            self.pages[page_id].title = title
            self.redirect(old, title)

    def purge(self, page_id: int, html: str) -> None:
        """The page shows something else without an edit of its own: a template of it was edited."""
        with self._lock:
            self.pages[page_id].html, self.pages[page_id].touched = html, self.clock()

    def delete(self, page_id: int) -> None:
        """Delete a page."""
        with self._lock:
            del self.pages[page_id]

    def end_sessions(self) -> None:
        """Everybody is logged out."""
        with self._lock:
            self._sessions.clear()

    def fail_next(
        self,
        status: int = 200,
        *,
        times: int = 1,
        code: str = "",
        action: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Fail the next requests, or those for an action: by HTTP status, or by an error of the API."""
        body = b"<html>an error page</html>"
        if code:
            body = f'{{"error":{{"code":"{code}","info":"The wiki says {code}."}}}}'.encode()
        fault = Fault(status=status, body=body, headers=dict(headers or {}), action=action)
        self.faults.extend([fault] * times)

    def asked(self, **params: str) -> int:
        """How many requests had these parameters."""
        return sum(all(request.get(name) == value for name, value in params.items()) for request in self.requests)

    # -- the API -------------------------------------------------------------------------------------------------------

    def _app(self) -> Starlette:
        from starlette.applications import Starlette
        from starlette.routing import Route

        return Starlette(routes=[Route("/w/api.php", self._handle, methods=["GET", "POST"])])

    async def _handle(self, request: Request) -> Response:
        from starlette.responses import JSONResponse, Response

        params = dict(request.query_params) | dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        self.requests.append(params)
        fault = next((fault for fault in self.faults if fault.action in ("", params.get("action"))), None)
        if fault is not None:
            self.faults.remove(fault)
            return Response(fault.body, fault.status, headers=fault.headers, media_type="application/json")
        session = request.cookies.get(_COOKIE) or secrets.token_hex(8)
        headers: dict[str, str] = {}
        with self._lock:
            try:
                body = self._answer(request.method, params, session)
            except _Refusal as refusal:
                body = refusal.body
                headers["MediaWiki-API-Error"] = refusal.code
        answer = JSONResponse(body, headers=headers)
        answer.set_cookie(_COOKIE, session, httponly=True)
        return answer

    def _answer(self, method: str, params: Mapping[str, str], session: str) -> dict[str, Any]:
        name, action = self._sessions.get(session, ""), params.get("action")
        if params.get("assert") == "user" and not name:
            raise _Refusal("assertuserfailed", "You are no longer logged in, so the action could not be completed.")
        if action == "login":
            return self._log_in(method, params, session)
        # Of all queries only the one for tokens is answered to somebody who may not read.
        if self.private and not name and (action, params.get("meta")) != ("query", "tokens"):
            raise _Refusal("readapidenied", "You need read permission to use this module.")
        if action == "parse":
            return self._parse(params, name)
        if action != "query":
            raise _Refusal("badvalue", f'Unrecognized value for parameter "action": {action}.')
        return self._query(params, session, name)

    def _log_in(self, method: str, params: Mapping[str, str], session: str) -> dict[str, Any]:
        if method != "POST":
            raise _Refusal("mustbeposted", 'The "login" module requires a POST request.')
        if params.get("lgtoken") != f"{session}+\\":
            return {"login": {"result": "WrongToken"}}
        if (params.get("lgname"), params.get("lgpassword")) != (self.user, self.password):
            reason = "Incorrect username or password entered. Please try again."
            return {"login": {"result": "Failed", "reason": reason}}
        self._sessions[session] = self.user.partition("@")[0]
        return {"login": {"result": "Success", "lguserid": 7, "lgusername": self._sessions[session]}}

    def _parse(self, params: Mapping[str, str], name: str) -> dict[str, Any]:
        page = next((page for page in self.pages.values() if str(page.revid) == params.get("oldid")), None)
        if page is None:
            raise _Refusal("nosuchrevid", f"There is no revision with ID {params.get('oldid')}.")
        if page.locked and not name:
            raise _Refusal("permissiondenied", "You don't have permission to view this page.")
        text = f'<div class="mw-content-ltr mw-parser-output" lang="en" dir="ltr">{page.html}</div>'
        return {"parse": {"title": page.title, "pageid": page.id, "text": text}}

    def _query(self, params: Mapping[str, str], session: str, name: str) -> dict[str, Any]:
        body: dict[str, Any] = {"batchcomplete": True, "query": {}}
        for meta in filter(None, params.get("meta", "").split("|")):
            body["query"] |= self._meta(meta, session, name)
        if params.get("list") == "categorymembers":
            found = self._members(params["cmtitle"], params.get("cmtype", "page"))
            rows, following = self._part(found, params.get("cmcontinue"))
            body["query"]["categorymembers"] = [{"ns": page.ns, "title": page.title} for page in rows]
            if following:
                body["continue"] = {"cmcontinue": following, "continue": "-||"}
        if params.get("prop") == "categoryinfo":
            size = len(self._members(params["titles"], "page")) + len(self._members(params["titles"], "subcat"))
            info = (
                {"categoryinfo": {"size": size, "pages": size, "files": 0, "subcats": 0, "hidden": False}}
                if size
                else {}
            )
            body["query"]["pages"] = [{"ns": 14, "title": params["titles"], **info}]
        if "generator" in params:
            self._generate(params, body)
        return body

    def _meta(self, meta: str, session: str, name: str) -> dict[str, Any]:
        if meta == "tokens":
            return {"tokens": {"logintoken": f"{session}+\\"}}
        if meta == "userinfo":
            who = {"id": 7, "name": name} if name else {"id": 0, "name": "127.0.0.1", "anon": True}
            return {"userinfo": {**who, "rights": ["read"] if name or not self.private else ["createaccount"]}}
        spaces = {
            str(number): {"id": number, "case": "first-letter", "name": name, "content": number == 0}
            | ({"canonical": name} if name else {})
            for number, name in _NAMESPACES.items()
        }
        return {"namespaces": spaces, "namespacealiases": [{"id": 4, "alias": "WP"}]}

    def _generate(self, params: Mapping[str, str], body: dict[str, Any]) -> None:
        """A part of the generator's pages; their redirects in parts of their own, as the real one gives long properties."""
        prefix = {"allpages": "gap", "categorymembers": "gcm"}[params["generator"]]
        if prefix == "gap":
            found = [p for p in self.pages.values() if str(p.ns) == params["gapnamespace"]]
            if params.get("gapfilterredir") == "nonredirects":
                found = [page for page in found if page.redirect_to is None]
        else:
            found = self._members(params["gcmtitle"], params.get("gcmtype", "page"))
        key = f"{prefix}continue"
        rows, following = self._part(found, params.get(key))
        if params.get("redirects"):
            gone = [page.redirect_to for page in rows if page.redirect_to and self._find(page.redirect_to) is None]
            body["query"]["pages"] = [{"ns": 0, "title": title, "missing": True} for title in gone]
            rows = [target for page in rows if (target := self._find(page.redirect_to or page.title))]
        names = [(row.id, page) for row in rows for page in self.pages.values() if page.redirect_to == row.title]
        start = int(params.get("rdcontinue", "0"))
        shown, more = names[start : start + self.limit], start + self.limit < len(names)
        body["query"].setdefault("pages", []).extend(
            self._shown(page, [redirect for number, redirect in shown if number == page.id], first=not start)
            for page in rows
        )
        if more:
            here = {key: params[key]} if key in params else {}
            body.pop("batchcomplete")
            body["continue"] = {
                "rdcontinue": str(start + self.limit),
                "continue": "||info|revisions|categories",
                **here,
            }
        elif following:
            body["continue"] = {key: following, "continue": f"{key}||"}

    def _shown(self, page: Page, redirects: list[Page], *, first: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {"pageid": page.id, "ns": page.ns, "title": page.title}
        if redirects:
            shown["redirects"] = [{"ns": redirect.ns, "title": redirect.title} for redirect in redirects]
        if not first:
            return shown
        path = page.title.replace(" ", "_")
        shown |= {
            "contentmodel": page.model,
            "touched": _stamp(page.touched),
            "lastrevid": page.revid,
            "length": len(page.html),
            "fullurl": f"{self.url}/wiki/{path}",
            "canonicalurl": f"{self.url}/wiki/{path}",
            "revisions": [{"revid": page.revid, "parentid": 0, "timestamp": _stamp(page.edited)}],
        }
        if page.categories:
            shown["categories"] = [{"ns": 14, "title": title} for title in page.categories]
        return shown

    def _members(self, category: str, kind: str) -> list[Page]:
        """A category's pages, or the categories in it."""
        return [
            page
            for page in self.pages.values()
            if category in page.categories and (page.ns == 14) == (kind == "subcat")
        ]

    def _part(self, found: list[Page], since: str | None) -> tuple[list[Page], str | None]:
        """Rows in order of title, from where the last part ended; and where this one ends."""
        ordered = sorted((page for page in found if since is None or page.title >= since), key=lambda page: page.title)
        return ordered[: self.limit], ordered[self.limit].title if len(ordered) > self.limit else None

    def _find(self, title: str | None) -> Page | None:
        return next((page for page in self.pages.values() if page.title == title), None)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
