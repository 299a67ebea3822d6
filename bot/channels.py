"""Where an incident's card goes: the channel configured for its service, the default one, or a channel of its own.

Does: find channels by name, join them, make an incident channel under a name that follows from the incident, so that making it
twice finds the first.
Does not: post, invite people (`bot/responders.py`), or remember the choice (`bot/steps.py` does).
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
import unicodedata
from typing import TYPE_CHECKING, Any

from bot.slack_web import Caller, SlackRefused
from core.errors import SlackUnavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from slack_sdk import WebClient

    from core.model import Incident
    from core.settings import Settings
    from core.store import Store

log = logging.getLogger(__name__)

#: Seconds for which the list of channels is taken as known. A name that is not in it is looked up again at once.
LIST_S = 600.0
#: Slack's longest channel name, and how many namesakes are tried before giving up.
NAME, NAMESAKES = 80, 9
_ID = re.compile(r"[CGD][A-Z0-9]{8,}")


class Channels:
    """The workspace's channels, as the bot sees them. Safe to share between threads.

    Args:
        client: from `bot.delivery.make_client`.
        settings: which channel is whose.
        store: knows which incident lives in a channel already.
    """

    def __init__(self, client: WebClient, settings: Settings, store: Store) -> None:
        self._slack, self._settings, self._store = Caller(client), settings, store
        self._known: dict[str, dict[str, Any]] = {}
        self._listed_at = float("-inf")
        self._lock = threading.Lock()

    def channel_for(self, incident: Incident, *, refused: Collection[str] = ()) -> str:
        """The id of the channel for an incident's card; the bot is in it when this returns.

        A configured channel that cannot be used is passed over with a warning: a page must find its way.

        Args:
            refused: ids of channels that take no post of ours.

        Raises:
            SlackUnavailable: Slack does not answer, or lets us use no channel at all.
        """
        for wanted in self._configured(incident):
            try:
                found = self._find(wanted)
                if found["id"] not in refused:
                    return self._join(found)
            except SlackRefused as error:
                if error.ambiguous or error.retry_after_s or error.code == "unreachable":
                    raise
                log.warning("cannot use channel %s for %s: %s", wanted, incident.id, error)
        return self._make(incident, refused)

    def join_listed(self) -> tuple[str, ...]:
        """Join every configured channel and every public one with the incident prefix.

        Returns:
            Their ids.

        Raises:
            SlackUnavailable: some could not be joined; the others have been.
        """
        self._list()
        named = {
            *self._settings.listen_channels,
            *self._settings.service_channels.values(),
            self._settings.default_channel,
        }
        wanted = [*sorted(name for name in named if name), *(channel["id"] for channel in self._prefixed())]
        joined, problems = [], []
        for name in wanted:
            try:
                joined.append(self._join(self._find(name)))
            except SlackRefused as error:
                problems.append(f"{name}: {error.why}")
        if problems:
            raise SlackUnavailable(
                "cannot join every channel",
                why="; ".join(problems),
                way_out="check the names, and invite the bot to those that are private",
            )
        return tuple(dict.fromkeys(joined))

    def join_new(self, channel_id: str, name: str) -> bool:
        """Join a channel that was just made or renamed, if its name has the incident prefix; whether it has.

        Raises:
            SlackUnavailable: it could not be joined.
        """
        if not self._is_incident_channel(name):
            return False
        self._join({"id": channel_id, "name": name, "is_member": False})
        return True

    def made_for(self, incident: Incident, channel_id: str) -> bool:
        """Whether a channel is the one that was made for an incident, by its name.

        Raises:
            SlackUnavailable: Slack does not tell its channels.
        """
        if all(channel["id"] != channel_id for channel in self._known.values()):
            self._list()
        head, tail = _name_ends(self._settings.channel_prefix, incident)
        own = re.compile(rf"{re.escape(head)}.*{re.escape(tail)}(-\d)?")
        return any(own.fullmatch(name) for name, channel in self._known.items() if channel["id"] == channel_id)

    # -- finding -------------------------------------------------------------------------------------------------

    def _configured(self, incident: Incident) -> Iterable[str]:
        services = {name.casefold(): channel for name, channel in self._settings.service_channels.items()}
        mine = services.get((incident.service or "").casefold())
        return [channel for channel in (mine, self._settings.default_channel) if channel]

    def _is_incident_channel(self, name: str) -> bool:
        return bool(self._settings.channel_prefix) and name.startswith(self._settings.channel_prefix)

    def _prefixed(self) -> list[dict[str, Any]]:
        return [channel for name, channel in sorted(self._known.items()) if self._is_incident_channel(name)]

    def _find(self, name: str) -> dict[str, Any]:
        """A channel by id, name or "#name"."""
        name = name.strip().lstrip("#")
        if _ID.fullmatch(name):
            known = next((channel for channel in self._known.values() if channel["id"] == name), None)
            return known or {"id": name, "name": name, "is_member": False}
        if name not in self._known or time.monotonic() - self._listed_at > LIST_S:
            self._list()
        if name not in self._known:
            raise SlackRefused(
                "conversations.list", "channel_not_found", why=f"there is no channel #{name} that we can see"
            )
        return self._known[name]

    def _list(self) -> None:
        """Read the workspace's channels anew."""
        try:
            known = self._pages("public_channel,private_channel")
        except SlackRefused as error:
            if error.code != "missing_scope":
                raise
            known = self._pages("public_channel")
        with self._lock:
            self._known, self._listed_at = known, time.monotonic()

    def _pages(self, types: str) -> dict[str, dict[str, Any]]:
        known: dict[str, dict[str, Any]] = {}
        cursor = None
        while True:
            page = self._slack.call("conversations.list", types=types, exclude_archived=True, limit=200, cursor=cursor)
            known |= {channel["name"]: channel for channel in page["channels"]}
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return known

    def _join(self, channel: dict[str, Any]) -> str:
        """Make sure that the bot is in a channel; its id."""
        channel_id = str(channel["id"])
        if not channel.get("is_member"):
            try:
                self._slack.call("conversations.join", channel=channel_id)
            except SlackRefused as error:
                if error.code != "method_not_supported_for_channel_type":
                    raise
                # A private or direct channel: nobody can tell from outside whether we are in it; the post will.
            channel["is_member"] = True
        return channel_id

    # -- making --------------------------------------------------------------------------------------------------

    def _make(self, incident: Incident, refused: Collection[str]) -> str:
        """A channel of the incident's own. Run again after a kill, it finds the one it made, even under another title."""
        head, tail = _name_ends(self._settings.channel_prefix, incident)
        if time.monotonic() - self._listed_at > LIST_S:
            self._list()
        made_before = [name for name in self._known if name.startswith(head) and name.endswith(tail)]
        base = channel_name(self._settings.channel_prefix, incident)
        namesakes = [f"{base[: NAME - 2].rstrip('-')}-{number}" for number in range(2, NAMESAKES + 1)]
        for name in [*made_before, base, *namesakes]:
            channel_id = self._ours(name, incident) if name in self._known else self._create(name, incident)
            if channel_id and channel_id not in refused:
                return channel_id
        raise SlackUnavailable(
            f"cannot make a channel for {incident.id}",
            why=f"#{base} and its namesakes are taken",
            way_out="set RUNDOWN_DEFAULT_CHANNEL",
        )

    def _create(self, name: str, incident: Incident) -> str:
        """Make a channel; if the name is taken, its id when it is ours after all, else ""."""
        try:
            channel = self._slack.call("conversations.create", name=name)["channel"]
        except SlackRefused as error:
            if error.code != "name_taken":
                raise
            return self._ours(name, incident)
        with self._lock:  # replaced, never changed: other threads may be walking over it
            self._known = {**self._known, name: {**channel, "is_member": True}}
        self._set_topic(str(channel["id"]), incident)
        return str(channel["id"])

    def _ours(self, name: str, incident: Incident) -> str:
        """The id of the channel of that name if it is this incident's or nobody's, else ""."""
        try:
            channel_id = self._join(self._find(name))
        except SlackRefused as error:
            if error.ambiguous or error.retry_after_s:
                raise
            return ""
        resident = self._store.incident_in(channel_id)
        return channel_id if resident is None or resident.id == incident.id else ""

    def _set_topic(self, channel_id: str, incident: Incident) -> None:
        """Say what the channel is for. Not worth failing for."""
        number = f"PagerDuty incident {incident.number}" if incident.number is not None else f"Incident {incident.id}"
        topic = f"{number}: {incident.url}" if incident.url else number
        try:
            self._slack.call("conversations.setTopic", channel=channel_id, topic=topic[:250])
        except SlackUnavailable as error:
            log.warning("could not set the topic of %s: %s", channel_id, error)


def channel_name(prefix: str, incident: Incident) -> str:
    """The name of an incident's own channel: prefix, date, what it is about, and a number no other incident has.

    Returns:
        At most 80 characters of what Slack allows: lower case letters, digits, hyphens and underscores.
    """
    head, tail = _name_ends(prefix, incident)
    plain = unicodedata.normalize("NFKD", incident.title).encode("ascii", "ignore").decode().lower()
    about = re.sub(r"[^a-z0-9]+", "-", plain)[: min(40, NAME - len(head) - len(tail))].strip("-")
    return f"{head}{about or 'incident'}{tail}"


def _name_ends(prefix: str, incident: Incident) -> tuple[str, str]:
    """What stays the same of the name while the incident's title changes."""
    number = incident.number if incident.number is not None else hashlib.sha256(incident.id.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^a-z0-9_-]', '-', prefix.lower())[:40]}{incident.created_at:%Y-%m-%d}-", f"-{number}"
