"""A PagerDuty account on loopback: its REST API, its signed webhooks, and a driver for both.

Does: what a team does to incidents (trigger, acknowledge, annotate…), each change told to every webhook subscription and visible
in the REST API; failures on request.
Does not: page anybody, escalate by itself, or keep anything after it is closed.

    with PagerDutyStandIn() as pagerduty:
        pagerduty.subscribe("http://127.0.0.1:8080/pagerduty/webhook", secrets=["s3cret"])
        incident = pagerduty.trigger("Checkout answers 500", service="checkout")
        pagerduty.acknowledge(incident["id"], "Ada")
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from bot.standin.pagerduty_courier import Courier, Subscription
from bot.standin.pagerduty_rest import Failure, RestApi, new_subscription
from bot.standin.pagerduty_world import World, millis, reference, seconds
from bot.web import Served, WebServer

#: The REST API key it accepts by default.
KEY = "standin-key"
#: Log entries by their name, and the word of the webhook that tells the same.
_LOGGED = {"acknowledge": "acknowledged", "unacknowledge": "unacknowledged", "resolve": "resolved"}


def _now() -> datetime:
    return datetime.now(UTC)


class PagerDutyStandIn(Served):
    """The stand-in, up inside a `with` block at `url`.

    Args:
        token: the REST API key it accepts.
        clock: its present; tests move it.
        seed: makes its ids repeatable.
        port: its port; 0 lets the system choose.
    """

    def __init__(
        self,
        *,
        token: str = KEY,
        clock: Callable[[], datetime] = _now,
        seed: int | None = None,
        port: int = 0,
    ) -> None:
        self.token, self.clock, self._seed = token, clock, seed
        self.world, self.courier = World(clock, seed), Courier(clock)
        self.rest = RestApi(self.world, self.courier, token=token, ping=self._ping)
        self._server = WebServer(self.rest.app(), port=port)
        self.port, self.url = self._server.port, self._server.url

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.courier.close()

    def reset(self) -> None:
        """A new, empty account at the same address with the same key."""
        self.world = self.rest.world = World(self.clock, self._seed)
        self.courier.forget()
        self.rest.forget()

    # -- webhooks and failures -----------------------------------------------------------------------------------------

    def subscribe(self, url: str, *, secrets: Sequence[str], events: Sequence[str] | None = None) -> Subscription:
        """Send webhooks to an address from now on, signed with every secret (two while one is being rotated)."""
        subscription = new_subscription(url, secrets, events)
        self.courier.subscriptions[subscription.id] = subscription
        return subscription

    def fail_next(
        self,
        status: int,
        *,
        times: int = 1,
        on: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer the next REST requests, or those whose path ends with `on`, with a failure."""
        made = Failure(status=status, on=on, headers=dict(headers or {}))
        if body is not None:
            made.body = body
        self.rest.failures.extend([made] * times)

    # -- the driver ----------------------------------------------------------------------------------------------------

    def trigger(
        self,
        title: str,
        *,
        service: str = "checkout",
        urgency: str = "high",
        priority: str | None = None,
        details: Any = None,
        links: Sequence[tuple[str, str]] = (),
        custom_fields: Mapping[str, Any] | None = None,
        conference_url: str | None = None,
        at: datetime | None = None,
    ) -> dict[str, Any]:
        """A new incident with one alert.

        Args:
            details: the alert's body, a text or an object.
            links: (title, address) pairs on the alert.
            at: when it was created, if not now.

        Returns:
            The incident as REST gives it.
        """
        at = at or self.clock()
        with self.world.lock:
            incident_id = self.world.open_incident(title, service=service, urgency=urgency, priority=priority, at=at)[
                "id"
            ]
            self.world.add_alert(incident_id, at, details=details or {}, links=links)
            if conference_url:
                self.world.bridges[incident_id] = {"conference_number": None, "conference_url": conference_url}
            who = self.world.incidents[incident_id]["service"]
        self._tell("triggered", incident_id, agent=who, at=at)
        if custom_fields:
            self.set_custom_fields(incident_id, custom_fields)
        return self.incident(incident_id)

    def incident(self, incident_id: str) -> dict[str, Any]:
        """An incident as REST gives it now."""
        with self.world.lock:
            return self.world.rest_incident(incident_id)

    def change(
        self,
        summary: str,
        *,
        service: str = "checkout",
        details: Mapping[str, Any] | None = None,
        links: Sequence[tuple[str, str]] = (),
        at: datetime | None = None,
    ) -> dict[str, Any]:
        """A deploy, a switched flag or the like, as the account's integrations tell of it; no webhook is sent."""
        with self.world.lock:
            moment = at or self.clock()
            return self.world.add_change(summary, moment, service=service, details=dict(details or {}), links=links)

    def set_team(self, name: str, *, private: bool = False, members: Sequence[str] = ()) -> str:
        """A team as it is from now on, with these people in it by name; its id. No webhook tells of it."""
        with self.world.lock:
            team = self.world.team(name)
            team["default_role"] = "none" if private else "manager"
            self.world.members[team["id"]] = {str(self.world.user(one)["name"]): "responder" for one in members}
            return str(team["id"])

    def give_service(self, service: str, *teams: str) -> None:
        """Say which teams a service belongs to from now on. What it has had before stays with the teams it had."""
        with self.world.lock:
            self.world.service(service)["teams"] = [reference(self.world.team(name)) for name in teams]

    def forget(self, incident_id: str) -> None:
        """Leave an incident out of all lists from now on, as PagerDuty does with what was merged or lies too far back."""
        with self.world.lock:
            del self.world.incidents[incident_id]

    def acknowledge(self, incident_id: str, user: str = "On Call") -> None:
        """Somebody takes it."""
        who, at = self._who(user), self.clock()
        taken = [*self.incident(incident_id)["acknowledgements"], {"at": seconds(at), "acknowledger": who}]
        self._change("acknowledge", incident_id, who, at, status="acknowledged", acknowledgements=taken)

    def unacknowledge(self, incident_id: str) -> None:
        """The acknowledgement runs out."""
        self._change("unacknowledge", incident_id, None, self.clock(), status="triggered", acknowledgements=[])

    def annotate(self, incident_id: str, text: str, user: str = "On Call") -> str:
        """Somebody leaves a note; its id."""
        with self.world.lock:
            at = self.clock()
            note = self.world.add_note(incident_id, text, user, at)
            self.world.log(incident_id, "annotate", at, agent=note["user"], note=text)
        said = {"id": note["id"], "content": text, "trimmed": False, "type": "incident_note"}
        self.send("incident.annotated", self._about(incident_id, **said), agent=note["user"], at=at)
        return str(note["id"])

    def set_priority(self, incident_id: str, priority: str | None, user: str = "On Call") -> None:
        """Somebody sets the priority."""
        chosen = reference(self.world.priorities[priority]) if priority else None
        self._change("priority_updated", incident_id, self._who(user), self.clock(), priority=chosen)

    def reassign(self, incident_id: str, to: str, user: str = "On Call") -> None:
        """Somebody hands it to somebody else."""
        at = self.clock()
        given = [{"at": seconds(at), "assignee": self._who(to)}]
        self._change("reassigned", incident_id, self._who(user), at, assignments=given)

    def move_service(self, incident_id: str, service: str, user: str = "On Call") -> None:
        """Somebody says it is another service's."""
        moved = reference(self.world.service(service))
        self._change("service_updated", incident_id, self._who(user), self.clock(), service=moved)

    def set_custom_fields(self, incident_id: str, values: Mapping[str, Any], user: str = "On Call") -> None:
        """Somebody, or an automation, sets custom fields."""
        with self.world.lock:
            at = self.clock()
            self.world.set_fields(incident_id, values)
            self.world.change(incident_id, at)
            fields = self.world.webhook_fields(incident_id)
        changed = [field for field in fields if field["name"] in values]
        said = {"custom_fields": fields, "changed_custom_fields": changed, "type": "incident_field_values"}
        self.send(
            "incident.custom_field_values.updated", self._about(incident_id, **said), agent=self._who(user), at=at
        )

    def update_status(self, incident_id: str, message: str, user: str = "On Call") -> None:
        """Somebody publishes a status update."""
        with self.world.lock:
            at, who = self.clock(), self._who(user)
            self.world.log(incident_id, "status_update", at, agent=who, message=message)
        said = {"id": self.world.new_id(), "message": message, "trimmed": False, "type": "incident_status_update"}
        self.send("incident.status_update_published", self._about(incident_id, **said), agent=who, at=at)

    def resolve(self, incident_id: str, user: str | None = "On Call") -> None:
        """Somebody resolves it; with no user, the monitoring does."""
        at = self.clock()
        who = self._who(user) if user else self.incident(incident_id)["service"]
        closed: dict[str, Any] = {"resolved_at": seconds(at), "assignments": [], "acknowledgements": []}
        self._change("resolve", incident_id, who, at, status="resolved", **closed)

    def reopen(self, incident_id: str, user: str = "On Call") -> None:
        """Somebody opens it again."""
        at = self.clock()
        self.world.reopened_at[incident_id] = seconds(at)
        self._change("reopened", incident_id, self._who(user), at, status="triggered", resolved_at=None)

    def send(
        self,
        event_type: str,
        data: Mapping[str, Any],
        *,
        agent: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> str:
        """Any webhook event; its id. Events of one incident keep their order."""
        incident = data if data.get("type") == "incident" else data.get("incident", {})
        event = self._event(event_type, data, agent=agent, at=at or self.clock())
        self.courier.queue(event, resource=str(incident.get("id", event_type)))
        return str(event["id"])

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _event(
        self, event_type: str, data: Mapping[str, Any], *, agent: Mapping[str, Any] | None, at: datetime
    ) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "event_type": event_type,
            "resource_type": event_type.partition(".")[0],
            "occurred_at": millis(at),
            "agent": agent,
            "client": {"name": "PagerDuty"},
            "data": data,
        }

    def _change(
        self, word: str, incident_id: str, agent: Mapping[str, Any] | None, at: datetime, **values: Any
    ) -> None:
        """Change an incident, log it where PagerDuty does, and tell. Sent without the lock: an edge may take its time."""
        with self.world.lock:
            if "status" in values and agent is not None:
                values["last_status_change_by"] = agent
            self.world.change(incident_id, at, **values)
            if word in _LOGGED:
                self.world.log(incident_id, word, at, agent=agent)
        self._tell(_LOGGED.get(word, word), incident_id, agent=agent, at=at)

    def _tell(self, word: str, incident_id: str, *, agent: Mapping[str, Any] | None, at: datetime) -> None:
        with self.world.lock:
            data = self.world.webhook_incident(incident_id)
        self.send(f"incident.{word}", data, agent=agent, at=at)

    def _who(self, user: str) -> dict[str, Any]:
        return reference(self.world.user(user))

    def _about(self, incident_id: str, **said: Any) -> dict[str, Any]:
        incident = self.world.incidents[incident_id]
        return {"incident": reference(incident, summary=incident["title"]), **said}

    def _ping(self, subscription: Subscription) -> None:
        data = {"message": "Hello from your friend Pagey!", "type": "ping"}
        event = self._event("pagey.ping", data, agent=None, at=self.clock())
        self.courier.queue(event, resource=subscription.id, only=subscription)
