"""Those whom PagerDuty called to an incident, brought into the channel that was made for it.

Does: ask PagerDuty who is assigned, has acknowledged or was asked to help; find them in Slack by their e-mail address; invite them.
Does not: make channels, decide which are ours (`bot/channels.py`), or fail for one of them: they have their page.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bot.slack_web import PASSING, Caller, SlackRefused
from ingest import fields as f
from ingest.pagerduty_client import PagerDutyRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slack_sdk import WebClient

    from ingest.pagerduty_client import PagerDutyClient

log = logging.getLogger(__name__)

#: People invited to one incident: a page that calls a whole company needs no channel full of it.
MOST = 15
#: Seconds that Slack may make one call wait. One that would have to wait longer ends the round; the next begins later.
PATIENCE_S = 10.0


class Responders:
    """Invites responders.

    Args:
        pagerduty: tells who they are, and their addresses.
        client: from `bot.delivery.make_client`.
    """

    def __init__(self, pagerduty: PagerDutyClient, client: WebClient) -> None:
        self._pagerduty, self._slack = pagerduty, Caller(client, patience_s=PATIENCE_S)

    def invite(self, incident_id: str, channel: str) -> None:
        """Invite everyone who was called to a PagerDuty incident and has an account in Slack under the same address.

        Args:
            incident_id: "pd:…".
            channel: one that the bot is in.

        Raises:
            core.errors.Unavailable: PagerDuty or Slack does not answer. Whoever was invited until then is; asking again is safe.
        """
        path = f"/incidents/{quote(incident_id.removeprefix('pd:'), safe='')}"
        called = dict.fromkeys(_called(f.table(self._pagerduty.get(path).get("incident"))))
        for user_id in list(called)[:MOST]:
            try:
                person = self._in_slack(user_id)
                if person:
                    self._slack.call("conversations.invite", channel=channel, users=person)
            except PagerDutyRefused as error:
                log.warning("PagerDuty does not tell who %s is: %s", user_id, error)
            except SlackRefused as error:
                if error.ambiguous or error.retry_after_s or error.code in PASSING - {"missing_scope"}:
                    raise
                if error.code != "already_in_channel":
                    log.warning("could not invite %s of PagerDuty to %s: %s", user_id, channel, error)

    def _in_slack(self, user_id: str) -> str | None:
        """The Slack id of somebody in PagerDuty, if they have an account that is open."""
        user = f.table(self._pagerduty.get(f"/users/{quote(user_id, safe='')}").get("user"))
        address = f.text(user.get("email"))
        account = self._slack.call("users.lookupByEmail", email=address)["user"] if address else {}
        return None if not account or account.get("deleted") or account.get("is_bot") else str(account["id"])


def _called(incident: Mapping[str, Any]) -> Iterator[str]:
    """PagerDuty's ids of the people called, in the order of how much it concerns them."""
    named = (("assignments", "assignee"), ("acknowledgements", "acknowledger"), ("incidents_responders", "user"))
    for field, role in named:
        for item in f.rows(incident.get(field)):
            person = f.table(item.get(role))
            if person.get("type") in ("user_reference", "user") and (user_id := f.text(person.get("id"))):
                yield user_id
