"""PagerDuty's REST API for the stand-in: the resources a bot reads, the two actions it asks for, and the ways it fails.

Does: authenticate, page (classic pagination), filter, count against the rate limit, answer in the shapes of the published schema
(`tests/vendor/` judges them, given that), and fail on request.
Does not: change incidents; the driver does (`pagerduty.py`).
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.standin import tell
from bot.standin.pagerduty_courier import INCIDENT_EVENTS, Courier, Subscription
from bot.standin.pagerduty_world import World, reference

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

#: Offset and limit together may not pass this (developer-docs, Pagination).
LIST_END = 10_000
LIMIT_PER_MINUTE = 960


class _Answer(Exception):
    """An answer other than the one asked for."""

    def __init__(self, status: int, message: str, code: int) -> None:
        super().__init__(message)
        self.status, self.body = status, {"error": {"message": message, "code": code}}


@dataclass(kw_only=True)
class Failure:
    """One answer to give in place of the true one."""

    status: int
    #: What the path must end with; any path by default.
    on: str = ""
    body: bytes = b'{"error":{"message":"Internal Error","code":2000}}'
    headers: dict[str, str] = field(default_factory=dict)


class RestApi:
    """The API as a Starlette app.

    Args:
        world: what it shows.
        courier: whose subscriptions it lists, enables and pings.
        token: the one accepted REST API key.
        ping: sends "pagey.ping" to a subscription.
    """

    def __init__(self, world: World, courier: Courier, *, token: str, ping: Callable[[Subscription], None]) -> None:
        self.world, self._courier, self._token, self._ping = world, courier, token, ping
        #: What was asked, as ("GET", "/incidents?limit=100").
        self.requests: list[tuple[str, str]] = []
        #: Answers to give first, in order.
        self.failures: list[Failure] = []
        self.forget()

    def forget(self) -> None:
        """Back to how it began; the world is the caller's."""
        self.requests.clear()
        self.failures.clear()
        #: A read-only key may not enable, ping or create.
        self.read_only = False
        self.limit_per_minute = LIMIT_PER_MINUTE
        #: Whether a list of teams tells which are private: the schema says so, and its example of a list does not.
        self.lists_roles = True
        self._window, self._used = 0, 0

    def app(self) -> Starlette:
        """The routes."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        get: dict[str, Callable[[Request], Any]] = {
            "/incidents": self._incidents,
            "/incidents/{id}": self._incident,
            "/incidents/{id}/notes": lambda request: {"notes": self._shelf(self.world.notes, request)},
            "/incidents/{id}/alerts": lambda request: _page(request, "alerts", self._shelf(self.world.alerts, request)),
            "/incidents/{id}/log_entries": self._log_entries,
            "/incidents/{id}/custom_fields/values": lambda request: {
                "custom_fields": self._shelf(self.world.fields, request)
            },
            "/incidents/{id}/related_change_events": self._related_changes,
            "/change_events": lambda request: _page(request, "change_events", self._changes(request)),
            "/services/{id}/change_events": self._service_changes,
            "/services": lambda request: _page(request, "services", list(self.world.services.values())),
            "/services/{id}": lambda request: {"service": _by_id(request, self.world.services.values())},
            "/teams": lambda request: _page(request, "teams", self._teams()),
            "/teams/{id}": lambda request: {"team": _by_id(request, self.world.teams.values())},
            "/teams/{id}/members": self._members,
            "/priorities": lambda request: _page(request, "priorities", list(self.world.priorities.values())),
            "/abilities": lambda _request: {"abilities": ["teams", "urgencies", "preview_incident_alert_split"]},
            "/users/me": _no_user,
            "/users/{id}": lambda request: {"user": _by_id(request, self.world.users.values())},
            "/webhook_subscriptions": lambda request: _page(request, "webhook_subscriptions", self._subscriptions()),
            "/webhook_subscriptions/{id}": lambda request: {
                "webhook_subscription": _by_id(request, self._subscriptions())
            },
        }
        post: dict[str, Callable[[Request], Any]] = {
            "/webhook_subscriptions/{id}/enable": self._enable,
            "/webhook_subscriptions/{id}/ping": self._send_ping,
        }
        return Starlette(
            routes=[
                *(Route(path, self._guarded(handler), methods=["GET"]) for path, handler in get.items()),
                *(Route(path, self._guarded(handler), methods=["POST"]) for path, handler in post.items()),
            ]
        )

    def _guarded(self, handler: Callable[[Request], Any]) -> Callable[[Request], Response]:
        """Count, authenticate, fail on request, then answer. A plain function: Starlette runs it in a thread."""
        from starlette.responses import JSONResponse, Response

        def handle(request: Request) -> Response:
            query = f"?{request.url.query}" if request.url.query else ""
            self.requests.append((request.method, f"{request.url.path}{query}"))
            headers = self._count()
            failure = self._failure(request.url.path)
            if failure is not None:
                return Response(
                    failure.body, failure.status, headers=headers | failure.headers, media_type="application/json"
                )
            try:
                self._admit(request)
                with self.world.lock:
                    status, body = 200, handler(request)
            except _Answer as answer:
                status, body = answer.status, answer.body
            return tell(
                "pagerduty",
                request,
                JSONResponse(body, status, headers=headers)
                if body is not None
                else Response(status_code=202, headers=headers),
            )

        return handle

    def _failure(self, path: str) -> Failure | None:
        """The first failure meant for a path, used up."""
        meant = next((failure for failure in self.failures if path.endswith(failure.on)), None)
        if meant is not None:
            self.failures.remove(meant)
        return meant

    def _count(self) -> dict[str, str]:
        window = int(time.monotonic() // 60)
        self._window, self._used = window, (self._used if window == self._window else 0) + 1
        return {
            "ratelimit-limit": str(self.limit_per_minute),
            "ratelimit-remaining": str(max(0, self.limit_per_minute - self._used)),
            "ratelimit-reset": str(60 - int(time.monotonic() % 60)),
        }

    def _admit(self, request: Request) -> None:
        if self._used > self.limit_per_minute:
            raise _Answer(429, "Rate Limit Exceeded", 2020)
        if request.headers.get("authorization") != f"Token token={self._token}":
            raise _Answer(401, "Unauthorized", 2006)
        if self.read_only and request.method != "GET":
            raise _Answer(403, "Access Denied", 2010)

    # -- incidents -----------------------------------------------------------------------------------------------------

    def _incidents(self, request: Request) -> dict[str, Any]:
        query = request.query_params
        statuses, services = query.getlist("statuses[]"), query.getlist("service_ids[]")
        since, until = self._range(query)
        found = [
            incident
            for incident in self.world.incidents.values()
            if (not statuses or incident["status"] in statuses)
            and (not services or incident["service"]["id"] in services)
            and since <= datetime.fromisoformat(incident["created_at"]) <= until
        ]
        name, _, direction = query.get("sort_by", "created_at:asc").partition(":")
        found.sort(
            key=lambda incident: (str(incident.get(name)), incident["incident_number"]), reverse=direction == "desc"
        )
        include = query.getlist("include[]")
        return _page(request, "incidents", [self.world.rest_incident(incident["id"], include) for incident in found])

    def _range(self, query: Any) -> tuple[datetime, datetime]:
        """The range of creation times asked for: the last month by default, six months at most."""
        now = self.world.clock()
        if query.get("date_range") == "all":
            return now - timedelta(days=36_500), now + timedelta(days=36_500)
        until = datetime.fromisoformat(query["until"]) if "until" in query else now
        since = datetime.fromisoformat(query["since"]) if "since" in query else until - timedelta(days=30)
        if until - since > timedelta(days=185) or since > until:
            raise _Answer(400, "Invalid Query Date Range", 2005)
        return since, until

    def _incident(self, request: Request) -> dict[str, Any]:
        return {"incident": self.world.rest_incident(self._known(request), request.query_params.getlist("include[]"))}

    def _log_entries(self, request: Request) -> dict[str, Any]:
        entries = self._shelf(self.world.log_entries, request)
        if "channels" not in request.query_params.getlist("include[]"):
            entries = [{**entry, "channel": {"type": entry["channel"]["type"]}} for entry in entries]
        return _page(request, "log_entries", entries[::-1])

    def _shelf(self, shelf: Mapping[str, list[dict[str, Any]]], request: Request) -> list[dict[str, Any]]:
        return shelf[self._known(request)]

    def _known(self, request: Request) -> str:
        """The incident of a path: by id, or by number."""
        asked = request.path_params["id"]
        for incident_id, incident in self.world.incidents.items():
            if asked in (incident_id, str(incident["incident_number"])):
                return incident_id
        raise _Answer(404, "Not Found", 2100)

    # -- teams ---------------------------------------------------------------------------------------------------------

    def _teams(self) -> list[dict[str, Any]]:
        left_out = () if self.lists_roles else ("default_role",)
        return [
            {name: told for name, told in team.items() if name not in left_out} for team in self.world.teams.values()
        ]

    def _members(self, request: Request) -> dict[str, Any]:
        team = _by_id(request, self.world.teams.values())["id"]
        whole = "users" in request.query_params.getlist("include[]")
        found = [(self.world.users[name], role) for name, role in self.world.members[team].items()]
        shown = [{"user": dict(user) if whole else reference(user), "role": role} for user, role in found]
        return _page(request, "members", shown)

    # -- change events -------------------------------------------------------------------------------------------------

    def _changes(self, request: Request) -> list[dict[str, Any]]:
        """Those between `since` and `until`, newest first."""
        query, times = request.query_params, (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
        since, until = (
            datetime.fromisoformat(query[name]) if name in query else time
            for name, time in zip(("since", "until"), times, strict=True)
        )
        return [c for c in self.world.changes[::-1] if since <= datetime.fromisoformat(c["timestamp"]) <= until]

    def _service_changes(self, request: Request) -> dict[str, Any]:
        service = _by_id(request, self.world.services.values())["id"]
        own = [change for change in self._changes(request) if change["services"][0]["id"] == service]
        return _page(request, "change_events", own)

    def _related_changes(self, request: Request) -> dict[str, Any]:
        """The service's last ones before the incident, each with the reason PagerDuty gives."""
        incident = self.world.incidents[self._known(request)]
        before = [
            {**change, "correlation_reason": {"reason": "most_recent"}}
            for change in self._changes(request)
            if change["timestamp"] <= incident["created_at"]
            and change["services"][0]["id"] == incident["service"]["id"]
        ]
        return _page(request, "change_events", before[:3])

    # -- webhook subscriptions -----------------------------------------------------------------------------------------

    def _subscriptions(self) -> list[dict[str, Any]]:
        return [self._shown(subscription) for subscription in self._courier.subscriptions.values()]

    def _shown(self, subscription: Subscription) -> dict[str, Any]:
        return {
            "id": subscription.id,
            "type": "webhook_subscription",
            "active": True,
            "delivery_method": {
                "id": f"{subscription.id}M",
                "type": "http_delivery_method",
                "url": subscription.url,
                "secret": None,
                "temporarily_disabled": self._courier.is_disabled(subscription),
                "custom_headers": [],
            },
            "description": "Rundown",
            "events": list(subscription.events),
            "filter": {"type": "account_reference"},
        }

    def _enable(self, request: Request) -> dict[str, Any]:
        subscription = self._subscription(request)
        self._courier.enable(subscription)
        return {"webhook_subscription": self._shown(subscription)}

    def _send_ping(self, request: Request) -> None:
        subscription = self._subscription(request)
        threading.Thread(target=self._ping, args=(subscription,), daemon=True).start()

    def _subscription(self, request: Request) -> Subscription:
        found = self._courier.subscriptions.get(request.path_params["id"])
        if found is None:
            raise _Answer(404, "Not Found", 2100)
        return found


def new_subscription(url: str, secrets: Sequence[str], events: Sequence[str] | None) -> Subscription:
    """A subscription; by default to every event documented for incidents."""
    chosen = tuple(events) if events is not None else INCIDENT_EVENTS
    return Subscription(id=f"P{uuid.uuid4().hex[:6].upper()}", url=url, secrets=tuple(secrets), events=chosen)


def _page(request: Request, key: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of a list: classic pagination."""
    try:
        limit, offset = (
            min(100, int(request.query_params.get("limit", "25"))),
            int(request.query_params.get("offset", "0")),
        )
    except ValueError:
        raise _Answer(400, "Invalid Input Provided", 2001) from None
    if limit < 1 or offset < 0 or offset + limit > LIST_END:
        raise _Answer(400, "Invalid Input Provided", 2001)
    total = len(items) if request.query_params.get("total") == "true" else None
    shown = items[offset : offset + limit]
    return {key: shown, "limit": limit, "offset": offset, "more": offset + limit < len(items), "total": total}


def _by_id(request: Request, items: Any) -> dict[str, Any]:
    for item in items:
        if item["id"] == request.path_params["id"]:
            return dict(item)
    raise _Answer(404, "Not Found", 2100)


def _no_user(_request: Request) -> dict[str, Any]:
    """An account's key is nobody's: PagerDuty answers 400."""
    raise _Answer(400, "The request was made with an account-level access token: there is no current user", 2001)
