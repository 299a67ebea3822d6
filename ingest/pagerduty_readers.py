"""Who may read a PagerDuty incident: everyone the settings name, or where it belongs to a private team, that team's members.

Does: list the account's teams once a sync, and the members of each private one that an incident belongs to; write them as the
principals of `core.access`. What PagerDuty does not tell denies.
Does not: list incidents, or count those whom PagerDuty lets past a private team, its owner and its global admins.

Sources: a team is private where its `default_role` is "none" (schema of `Team`, PagerDuty/api-schema, openapiv3). What belongs to a
private team is shown to its members alone, on the web and by the API, but for the account's owner and global admins
(support.pagerduty.com, Team-Based Permissions, "External Visibility"). An account whose plan has no teams is answered 402. What
several private teams share is described nowhere: only who is in all of them reads it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from core.access import user
from ingest import fields as f
from ingest.pagerduty_client import PagerDutyClient, PagerDutyRefused
from ingest.readers import Verdict

#: `default_role` of a team that shows nothing to others, and of one that does.
PRIVATE, PUBLIC = "none", "manager"
#: The status of an answer that the account's plan lacks what was asked for.
_NOT_IN_PLAN = 402


class TeamReaders:
    """Who may read which incident, as of one sync: answers are looked up once.

    Args:
        client: PagerDuty's REST API.
        everyone: who reads what no private team restricts.

    Raises:
        PagerDutyUnavailable: PagerDuty did not answer. A refusal is no failure: it denies.
    """

    def __init__(self, client: PagerDutyClient, everyone: Sequence[str]) -> None:
        self._client, self._open = client, Verdict(readers=tuple(everyone))
        #: Team id to its `default_role`, "" where PagerDuty does not tell.
        self._roles: dict[str, str] = {}
        self._members: dict[str, frozenset[str]] = {}
        complete = True
        try:
            for team in client.pages("/teams", "teams", background=True):
                self._roles[f.text(team.get("id"), 64)] = f.text(team.get("default_role"), 32)
        except PagerDutyRefused as error:
            complete = error.status == _NOT_IN_PLAN
        self._complete = complete
        #: Whether some team may be private. If none is, every incident is open, also one whose team is gone: PagerDuty makes
        #: what a deleted team leaves the account's own.
        self.restricted = not complete or any(role != PUBLIC for role in self._roles.values())

    def of(self, incident: Mapping[str, Any]) -> Verdict:
        """Who may read an incident.

        Args:
            incident: as PagerDuty lists it with `include[]=services`, if `restricted`.

        Raises:
            PagerDutyUnavailable: PagerDuty did not answer.
        """
        if not self.restricted:
            return self._open
        teams = _teams(incident)
        if teams is None:
            return Verdict(readers=(), reason="PagerDuty does not tell the teams of its service, which may be gone")
        roles = {team: self._role(team) for team in teams}
        if any(role not in (PRIVATE, PUBLIC) for role in roles.values()):
            return Verdict(readers=(), reason="PagerDuty does not tell whether its team is private, and it may be gone")
        private = [self._of(team) for team in teams if roles[team] == PRIVATE]
        if not private:
            return self._open
        people = frozenset.intersection(*private)
        reason = "" if people else "it is of a private team, and PagerDuty names no member with an e-mail address"
        return Verdict(readers=tuple(sorted(user(email) for email in people)), reason=reason)

    def _role(self, team: str) -> str:
        """Its `default_role`. PagerDuty's example of a list leaves it out; its example of one team has it."""
        role = self._roles.get(team)
        if role == "" or (role is None and not self._complete):
            try:
                found = self._client.get(f"/teams/{quote(team, safe='')}", background=True).get("team")
                role = f.text(f.table(found).get("default_role"), 32)
            except PagerDutyRefused:
                role = ""
            self._roles[team] = role or "untold"
        return role or ""

    def _of(self, team: str) -> frozenset[str]:
        """The e-mail addresses of a team's members; nobody where PagerDuty refuses to tell."""
        if team not in self._members:
            path = f"/teams/{quote(team, safe='')}/members"
            try:
                found = list(self._client.pages(path, "members", {"include[]": ["users"]}, background=True))
            except PagerDutyRefused:
                found = []
            emails = (f.text(f.table(member.get("user")).get("email")) for member in found)
            self._members[team] = frozenset(email.lower() for email in emails if "@" in email)
        return self._members[team]


def _teams(incident: Mapping[str, Any]) -> list[str] | None:
    """The ids of an incident's teams and of its service's; None where PagerDuty tells either in part."""
    own, of_service = incident.get("teams"), f.table(incident.get("service")).get("teams")
    if not isinstance(own, list) or not isinstance(of_service, list):
        return None
    ids = [f.text(f.table(team).get("id"), 64) for team in (*own, *of_service)]
    return list(dict.fromkeys(ids)) if all(ids) else None
