"""What a PagerDuty account holds, for the stand-in: incidents and all that hangs on them, in the shapes of its REST schema.

Does: create and change resources as PagerDuty would, and give their REST, reference and webhook forms.
Does not: speak HTTP or send anything.
"""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

WEB, API = "https://acme.pagerduty.com", "https://api.pagerduty.com"
PRIORITIES = {
    "P1": "Most customers cannot do what they came for",
    "P2": "Some customers cannot do what they came for",
    "P3": "Needs its owners today",
    "P4": "Can wait for working hours",
    "P5": "Cosmetic",
}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def seconds(at: datetime) -> str:
    """A time as REST gives it: whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def millis(at: datetime) -> str:
    """A time as webhooks give it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class World:
    """One account.

    Args:
        clock: the account's present.
        seed: makes ids repeatable.
    """

    def __init__(self, clock: Callable[[], datetime], seed: int | None = None) -> None:
        self.clock, self._random = clock, random.Random(seed)
        #: Hold it to change or read more than one thing.
        self.lock = threading.RLock()
        self.incidents: dict[str, dict[str, Any]] = {}
        self.notes: dict[str, list[dict[str, Any]]] = {}
        self.alerts: dict[str, list[dict[str, Any]]] = {}
        self.log_entries: dict[str, list[dict[str, Any]]] = {}
        self.fields: dict[str, list[dict[str, Any]]] = {}
        self.bridges: dict[str, dict[str, Any]] = {}
        self.reopened_at: dict[str, str] = {}
        self.services: dict[str, dict[str, Any]] = {}
        #: Change events, oldest first.
        self.changes: list[dict[str, Any]] = []
        self.users: dict[str, dict[str, Any]] = {}
        self.priorities = {name: self._priority(name, words) for name, words in PRIORITIES.items()}
        self.policy = self._resource("escalation_policy", "Default", "escalation_policies")
        self.teams: dict[str, dict[str, Any]] = {}
        #: Team id to its members, as the API lists them but for the person, who is named by the key of `users`.
        self.members: dict[str, dict[str, str]] = {}

    # -- resources -----------------------------------------------------------------------------------------------------

    def new_id(self, length: int = 7) -> str:
        """An id that looks like one of PagerDuty's."""
        return "P" + "".join(self._random.choices(_LETTERS, k=length - 1))

    def _resource(self, kind: str, summary: str, path: str, /, **more: Any) -> dict[str, Any]:
        found = self.new_id()
        return {
            "id": found,
            "type": kind,
            "summary": summary,
            "self": f"{API}/{path}/{found}",
            "html_url": f"{WEB}/{path}/{found}",
            **more,
        }

    def _priority(self, name: str, words: str) -> dict[str, Any]:
        return self._resource("priority", name, "priorities", name=name, description=words)

    def service(self, name: str) -> dict[str, Any]:
        """The service of that name, made on first use."""
        if name not in self.services:
            self.services[name] = self._resource(
                "service",
                name,
                "services",
                name=name,
                status="active",
                created_at=seconds(self.clock()),
                auto_resolve_timeout=None,
                acknowledgement_timeout=None,
                alert_creation="create_alerts_and_incidents",
                escalation_policy=reference(self.policy),
                teams=[reference(self.team())],
                integrations=[],
            )
        return self.services[name]

    def team(self, name: str = "Engineering") -> dict[str, Any]:
        """The team of that name, made on first use: public, with nobody in it."""
        if name not in self.teams:
            made = self._resource(
                "team", name, "teams", name=name, description=f"All of {name}", default_role="manager"
            )
            self.teams[name], self.members[made["id"]] = made, {}
        return self.teams[name]

    def user(self, name: str) -> dict[str, Any]:
        """The person of that name, made on first use."""
        if name not in self.users:
            email = f"{name.lower().replace(' ', '.')}@example.com"
            self.users[name] = self._resource(
                "user", name, "users", name=name, email=email, time_zone="Etc/UTC", role="user", teams=[]
            )
        return self.users[name]

    # -- incidents -----------------------------------------------------------------------------------------------------

    def open_incident(
        self, title: str, *, service: str, urgency: str, priority: str | None, at: datetime
    ) -> dict[str, Any]:
        """A new incident, without alerts."""
        number, incident_id = len(self.incidents) + 1, self.new_id(14)
        on_call = reference(self.user("On Call"))
        made = self.incidents[incident_id] = {
            "id": incident_id,
            "type": "incident",
            "summary": f"[#{number}] {title}",
            "self": f"{API}/incidents/{incident_id}",
            "html_url": f"{WEB}/incidents/{incident_id}",
            "incident_number": number,
            "title": title,
            "created_at": seconds(at),
            "updated_at": seconds(at),
            "status": "triggered",
            "incident_key": f"{self._random.getrandbits(128):032x}",
            "service": reference(self.service(service)),
            "assignments": [{"at": seconds(at), "assignee": on_call}],
            "assigned_via": "escalation_policy",
            "last_status_change_at": seconds(at),
            "resolved_at": None,
            "alert_counts": {"all": 0, "triggered": 0, "resolved": 0},
            "is_mergeable": True,
            "incident_type": {"name": "incident_default"},
            "escalation_policy": reference(self.policy),
            "teams": copy.deepcopy(self.service(service)["teams"]),
            "pending_actions": [],
            "acknowledgements": [],
            "alert_grouping": None,
            "last_status_change_by": reference(self.service(service)),
            "priority": reference(self.priorities[priority]) if priority else None,
            "resolve_reason": None,
            "urgency": urgency,
        }
        for shelf in (self.notes, self.alerts, self.log_entries, self.fields):
            shelf[incident_id] = []
        made["first_trigger_log_entry"] = reference(self.log(incident_id, "trigger", at, agent=made["service"]))
        return made

    def log(
        self, incident_id: str, kind: str, at: datetime, *, agent: Mapping[str, Any] | None, **more: Any
    ) -> dict[str, Any]:
        """One more log entry."""
        incident = self.incidents[incident_id]
        entry = self._resource(f"{kind}_log_entry", f"{kind.capitalize()} through the API", "log_entries")
        entry |= {
            "created_at": seconds(at),
            "agent": agent or incident["service"],
            "channel": {"type": "api"},
            "incident": reference(incident),
            "service": incident["service"],
            "teams": copy.deepcopy(incident["teams"]),
            "contexts": [],
            **more,
        }
        self.log_entries[incident_id].append(entry)
        return entry

    def add_alert(self, incident_id: str, at: datetime, *, details: Any, links: Sequence[tuple[str, str]]) -> None:
        """An alert, as a monitoring tool would send it."""
        incident = self.incidents[incident_id]
        contexts = [{"type": "link", "href": url, "text": title} for title, url in links]
        alert = self._resource("alert", incident["title"], "alerts")
        alert |= {
            "self": f"{API}/incidents/{incident_id}/alerts/{alert['id']}",
            "created_at": seconds(at),
            "status": "triggered",
            "alert_key": incident["incident_key"],
            "service": incident["service"],
            "body": {"type": "alert_body", "contexts": contexts, "details": details},
            "incident": reference(incident),
            "suppressed": False,
            "severity": "critical",
            "first_trigger_log_entry": incident["first_trigger_log_entry"],
            "integration": reference(
                self._resource("events_api_v2_inbound_integration", "Events API V2", "integrations")
            ),
        }
        self.alerts[incident_id].append(alert)
        incident["alert_counts"]["all"] += 1
        incident["alert_counts"]["triggered"] += 1
        trigger = self.log_entries[incident_id][0]
        trigger["contexts"] = contexts
        trigger["channel"] = {"type": "api", "summary": incident["title"], "details": details}

    def change(self, incident_id: str, at: datetime, **values: Any) -> dict[str, Any]:
        """Set fields of an incident, and the times that go with them."""
        incident = self.incidents[incident_id]
        incident |= values
        incident["updated_at"] = seconds(at)
        if "status" in values or incident["status"] == "triggered":
            incident["last_status_change_at"] = seconds(at)
        return incident

    def add_note(self, incident_id: str, text: str, user: str, at: datetime) -> dict[str, Any]:
        """A note somebody leaves."""
        note = {
            "id": self.new_id(),
            "user": reference(self.user(user)),
            "channel": {"summary": "The PagerDuty website or APIs"},
            "content": text,
            "created_at": seconds(at),
            "updated_at": seconds(at),
        }
        self.notes[incident_id].append(note)
        return note

    def add_change(
        self, summary: str, at: datetime, *, service: str, details: Any, links: Sequence[tuple[str, str]]
    ) -> dict[str, Any]:
        """A change event, as a CI's integration sends it: its service goes by id alone."""
        change = {
            "id": self.new_id(26),
            "type": "change_event",
            "summary": summary,
            "timestamp": seconds(at),
            "source": "acme-ci",
            "integration": {"id": self.new_id(), "type": "inbound_integration_reference"},
            "services": [{"id": self.service(service)["id"], "type": "service_reference"}],
            "custom_details": details,
            "links": [{"href": url, "text": title} for title, url in links],
        }
        self.changes.append(change)
        return change

    def set_fields(self, incident_id: str, values: Mapping[str, Any]) -> None:
        """Set custom fields by name."""
        for name, value in values.items():
            shelf = self.fields[incident_id]
            shelf[:] = [field for field in shelf if field["name"] != name]
            shelf.append(
                {
                    "id": self.new_id(),
                    "type": "field_value",
                    "name": name,
                    "display_name": name.replace("_", " ").title(),
                    "description": None,
                    "data_type": "url" if str(value).startswith("http") else "string",
                    "field_type": "multi_value" if isinstance(value, list) else "single_value",
                    "value": value,
                }
            )

    # -- forms ---------------------------------------------------------------------------------------------------------

    def rest_incident(self, incident_id: str, include: Sequence[str] = ()) -> dict[str, Any]:
        """The incident as REST gives it."""
        shown = copy.deepcopy(self.incidents[incident_id])
        if "custom_fields" in include:
            shown["custom_fields"] = copy.deepcopy(self.fields[incident_id])
        if "conference_bridge" in include:
            shown["conference_bridge"] = self.bridges.get(incident_id)
        if "services" in include:
            whole = next(
                (one for one in self.services.values() if one["id"] == shown["service"]["id"]), shown["service"]
            )
            shown["service"] = copy.deepcopy(whole)
        if "first_trigger_log_entries" in include:
            shown["first_trigger_log_entry"] = copy.deepcopy(self.log_entries[incident_id][0])
        return shown

    def webhook_incident(self, incident_id: str) -> dict[str, Any]:
        """The incident as webhooks carry it (webhooks/01-Overview, "incident")."""
        incident = self.incidents[incident_id]
        same = ("id", "type", "self", "html_url", "status", "incident_key", "created_at", "title", "incident_type")
        also = ("service", "escalation_policy", "teams", "priority", "urgency", "resolve_reason")
        return copy.deepcopy(
            {
                **{name: incident[name] for name in (*same, *also)},
                "number": incident["incident_number"],
                "reopened_at": self.reopened_at.get(incident_id),
                "assignees": [item["assignee"] for item in incident["assignments"]],
                "conference_bridge": self.bridges.get(incident_id),
            }
        )

    def webhook_fields(self, incident_id: str) -> list[dict[str, Any]]:
        """Custom fields as webhooks carry them."""
        kept = ("data_type", "field_type", "id", "name", "type", "value")
        return [{name: field[name] for name in kept} | {"namespace": "incidents"} for field in self.fields[incident_id]]


def reference(resource: Mapping[str, Any], *, summary: str | None = None) -> dict[str, Any]:
    """A reference to a resource, or to what a reference refers to."""
    kind = str(resource["type"]).removesuffix("_reference")
    return {
        "id": resource["id"],
        "type": f"{kind}_reference",
        "summary": summary or resource["summary"],
        "self": resource["self"],
        "html_url": resource["html_url"],
    }
