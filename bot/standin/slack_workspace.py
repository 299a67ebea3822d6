"""The stand-in's workspace: people, channels, messages and what happens to them, all in memory.

Does: keep state behind one lock, refuse what Slack refuses, and tell a listener of every event Slack would send.
Does not: speak HTTP or know tokens (`slack_api.py`, `slack.py`).
"""

from __future__ import annotations

import copy
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


class Refusal(Exception):
    """Slack's `ok: false`.

    Args:
        error: Slack's code, for example "channel_not_found".
        extra: further fields of the answer.
    """

    def __init__(self, error: str, **extra: Any) -> None:
        super().__init__(error)
        self.error, self.extra = error, extra


@dataclass
class User:
    """A person, or the app's bot."""

    id: str
    name: str
    is_bot: bool = False
    #: None for one that hides it.
    email: str | None = None
    #: Whether they proved that the address is theirs.
    confirmed: bool = True
    #: A guest: "multi" channels or a "single" one.
    guest: str = ""
    deactivated: bool = False
    #: The workspace they belong to; another company's for strangers.
    team: str = "T0STANDIN"

    def to_json(self, team: str, *, email: bool) -> Json:
        """The person as the Web API shows them to an app of workspace `team`; with their address, if it may see it."""
        shown: Json = {
            "id": self.id,
            "name": self.name,
            "real_name": self.name,
            "is_bot": self.is_bot,
            "deleted": self.deactivated,
            "team_id": self.team,
            "profile": {"real_name": self.name, **({"email": self.email} if email and self.email else {})},
        }
        if not self.deactivated:
            shown |= {"is_restricted": bool(self.guest), "is_ultra_restricted": self.guest == "single"}
            shown |= {"is_email_confirmed": self.confirmed}
        return shown if self.team == team else shown | {"is_stranger": True}


@dataclass
class UserGroup:
    """A user group, "@handle"."""

    id: str
    handle: str
    users: list[str]

    def to_json(self, *, users: bool) -> Json:
        """The group as the Web API shows it."""
        shown: Json = {"id": self.id, "is_usergroup": True, "is_external": False, "name": self.handle}
        shown |= {"handle": self.handle, "date_delete": 0, "user_count": len(self.users)}
        return shown | {"users": list(self.users)} if users else shown


@dataclass
class Edit:
    """What a message showed from a time on."""

    at: float
    text: str
    blocks: list[Json]


@dataclass
class Posted:
    """A message as Slack holds it. `edits` begins with what was first posted."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: list[Json]
    thread_ts: str | None = None
    metadata: Json | None = None
    bot_id: str | None = None
    edits: list[Edit] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)

    @property
    def at(self) -> float:
        """When it was posted, in unix seconds."""
        return float(self.ts)

    def to_json(self, *, metadata: bool = False) -> Json:
        """The message as the Web API shows it."""
        shown: Json = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text}
        if self.blocks:
            shown["blocks"] = copy.deepcopy(self.blocks)
        if self.bot_id:
            shown |= {"bot_id": self.bot_id, "app_id": "A0RUNDOWN"}
        if self.thread_ts:
            shown["thread_ts"] = self.thread_ts
        if len(self.edits) > 1:
            shown["edited"] = {"user": self.user, "ts": f"{self.edits[-1].at:.6f}"}
        if self.reactions:
            shown["reactions"] = [
                {"name": name, "users": list(by), "count": len(by)} for name, by in self.reactions.items()
            ]
        if metadata and self.metadata:
            shown["metadata"] = copy.deepcopy(self.metadata)
        return shown


@dataclass
class Channel:
    """A conversation: public, private ("group") or direct ("im")."""

    id: str
    name: str
    kind: str = "channel"
    members: set[str] = field(default_factory=set)
    creator: str = ""
    created: float = 0.0
    archived: bool = False
    topic: str = ""
    purpose: str = ""
    #: Shared with another company.
    ext_shared: bool = False
    messages: dict[str, Posted] = field(default_factory=dict)

    def to_json(self, bot: str) -> Json:
        """The channel as the Web API shows it to the bot."""
        return {
            "id": self.id,
            "name": self.name,
            "is_channel": self.kind == "channel",
            "is_group": False,
            "is_im": self.kind == "im",
            "is_mpim": False,
            "is_private": self.kind != "channel",
            "is_shared": self.ext_shared,
            "is_ext_shared": self.ext_shared,
            "is_org_shared": False,
            "is_archived": self.archived,
            "is_member": bot in self.members,
            "creator": self.creator,
            "created": int(self.created),
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": self.purpose, "creator": "", "last_set": 0},
            "num_members": len(self.members),
        }


class Workspace:
    """Everything in it. Every method is safe to call from any thread.

    Args:
        changed: held for every change and notified after it.
        notify: told of each event, as the `event` object of Slack's Events API.
    """

    def __init__(self, changed: threading.Condition, notify: Callable[[Json], None]) -> None:
        self.changed = changed
        self.team, self.app_id, self.bot_id = "T0STANDIN", "A0RUNDOWN", "B0RUNDOWN"
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.groups: list[UserGroup] = []
        self._notify, self._numbers, self._last_ts = notify, itertools.count(1), 0.0
        self.bot = self.add_user("rundown", is_bot=True)

    # -- people and channels -------------------------------------------------------------------------------------

    def add_user(self, name: str, *, is_bot: bool = False) -> str:
        """A new person, with an address; their id."""
        with self.changed:
            email = None if is_bot else f"{name}@example.org"
            user = User(id=f"U{next(self._numbers):08X}", name=name, is_bot=is_bot, email=email)
            self.users[user.id] = user
            return user.id

    def set_group(self, handle: str, users: Iterable[str]) -> None:
        """Make a user group of these people, or let it consist of them from now on."""
        with self.changed:
            people = [self.user(person).id for person in users]
            known = next((group for group in self.groups if group.handle == handle), None)
            if known is None:
                self.groups.append(UserGroup(id=f"S{next(self._numbers):08X}", handle=handle, users=people))
                return
            before, known.users = known.users, people
            added, removed = (
                [one for one in new if one not in old] for new, old in ((people, before), (before, people))
            )
            about = {"subteam_id": known.id, "team_id": self.team, "event_ts": self.next_ts()}
            delta = {"added_users": added, "removed_users": removed}
            counts = {f"{name}_count": str(len(people)) for name, people in delta.items()}
            self._notify({"type": "subteam_members_changed", **about, **delta, **counts})
            self._notify({"type": "subteam_updated", "subteam": known.to_json(users=True), "event_ts": self.next_ts()})

    def set_account(self, name: str, **changed: Any) -> None:
        """Change somebody's account, as an admin or they themselves would: `guest`, `email`, `confirmed`, `deactivated`."""
        with self.changed:
            user = self.user(name)
            guest = user.guest
            for field_name, value in changed.items():
                setattr(user, field_name, value)
            kind = "user_guest_status_changed" if user.guest != guest else "user_profile_changed"
            account = user.to_json(self.team, email=True)
            self._notify({"type": kind, "user": account, "cache_ts": int(time.time()), "event_ts": self.next_ts()})

    def user(self, name_or_id: str) -> User:
        """A person by id or name."""
        for user in list(self.users.values()):
            if name_or_id in (user.id, user.name):
                return user
        raise Refusal("user_not_found")

    def add_channel(
        self,
        name: str,
        *,
        kind: str = "channel",
        members: Iterable[str] = (),
        creator: str = "",
        archived: bool = False,
    ) -> Channel:
        """A new channel, which the app hears of if it is public."""
        with self.changed:
            letter = {"channel": "C", "group": "G", "im": "D"}[kind]
            people = {self.user(person).id for person in members}
            channel = Channel(
                id=f"{letter}{next(self._numbers):08X}",
                name=name,
                kind=kind,
                members=people,
                creator=creator or next(iter(people), ""),
                created=time.time(),
                archived=archived,
            )
            self.channels[channel.id] = channel
            if kind == "channel":
                about = {"id": channel.id, "name": name, "created": int(channel.created), "creator": channel.creator}
                self._notify({"type": "channel_created", "channel": about, "event_ts": self.next_ts()})
            self.changed.notify_all()
            return channel

    def direct(self, user: str) -> Channel:
        """Somebody's direct channel with the bot, made when it is first asked for."""
        with self.changed:
            known = (channel for channel in self.channels.values() if channel.kind == "im" and user in channel.members)
            return next(known, None) or self.add_channel(f"im-{user}", kind="im", members=[user, self.bot])

    def create_channel(self, name: str, *, private: bool = False) -> Channel:
        """A channel made by the bot, under Slack's rules for names."""
        with self.changed:
            if not name:
                raise Refusal("invalid_name_required")
            if len(name) > 80:
                raise Refusal("invalid_name_maxlength")
            if not re.fullmatch(r"[a-z0-9_\-\u00e0-\u024f]+", name):
                raise Refusal("invalid_name_specials")
            if any(channel.name == name for channel in self.channels.values()):
                raise Refusal("name_taken")
            return self.add_channel(name, kind="group" if private else "channel", members=[self.bot], creator=self.bot)

    def rename(self, channel: Channel, name: str) -> None:
        """Give a channel another name, as a person would."""
        with self.changed:
            channel.name = name
            self._notify(
                {
                    "type": "channel_rename",
                    "channel": {"id": channel.id, "name": name, "created": int(channel.created)},
                    "event_ts": self.next_ts(),
                }
            )

    def channel(self, name_or_id: str) -> Channel:
        """A channel by id, name or "#name"."""
        with self.changed:
            for channel in self.channels.values():
                if name_or_id == channel.id or name_or_id.lstrip("#") == channel.name:
                    return channel
        raise Refusal("channel_not_found")

    def seen_by_bot(self, name_or_id: str) -> Channel:
        """A channel the bot may know of: any public one, and private ones it is in."""
        channel = self.channel(name_or_id)
        if channel.kind != "channel" and self.bot not in channel.members:
            raise Refusal("channel_not_found")
        return channel

    def open_to_bot(self, name_or_id: str, *, write: bool = False) -> Channel:
        """A channel the bot is in."""
        channel = self.seen_by_bot(name_or_id)
        if self.bot not in channel.members:
            raise Refusal("not_in_channel")
        if write and channel.archived:
            raise Refusal("is_archived")
        return channel

    def join(self, channel: Channel, user: str) -> bool:
        """Make somebody a member; whether they were not."""
        with self.changed:
            if channel.archived:
                raise Refusal("is_archived")
            fresh = user not in channel.members
            channel.members.add(user)
            if fresh:
                self._tell_of_member("member_joined_channel", channel, user)
            self.changed.notify_all()
            return fresh

    def leave(self, channel: Channel, user: str) -> None:
        """Somebody leaves, or is made to."""
        with self.changed:
            if user in channel.members:
                channel.members.discard(user)
                self._tell_of_member("member_left_channel", channel, user)
            self.changed.notify_all()

    def _tell_of_member(self, kind: str, channel: Channel, user: str) -> None:
        if self.bot in channel.members:
            about = {"user": user, "channel": channel.id, "team": self.team, "event_ts": self.next_ts()}
            self._notify({"type": kind, "channel_type": "C" if channel.kind == "channel" else "G", **about})

    # -- messages ------------------------------------------------------------------------------------------------

    def next_ts(self) -> str:
        """A time stamp never given before."""
        with self.changed:
            self._last_ts = max(round(time.time(), 6), round(self._last_ts + 0.000001, 6))
            return f"{self._last_ts:.6f}"

    def post(
        self,
        channel: Channel,
        user: str,
        text: str,
        *,
        blocks: list[Json] | None = None,
        thread_ts: str | None = None,
        metadata: Json | None = None,
    ) -> Posted:
        """Put a message into a channel and tell the app, if it is there to hear."""
        with self.changed:
            if thread_ts is not None:
                parent = channel.messages.get(thread_ts)
                if parent is None:
                    raise Refusal("thread_not_found")
                thread_ts = parent.thread_ts or parent.ts
            by_bot = user == self.bot
            message = Posted(
                ts=self.next_ts(),
                channel=channel.id,
                user=user,
                text=text,
                blocks=copy.deepcopy(blocks or []),
                thread_ts=thread_ts,
                metadata=copy.deepcopy(metadata),
                bot_id=self.bot_id if by_bot else None,
            )
            message.edits.append(Edit(at=message.at, text=text, blocks=copy.deepcopy(blocks or [])))
            channel.messages[message.ts] = message
            self._tell(channel, message)
            self.changed.notify_all()
            return message

    def _tell(self, channel: Channel, message: Posted) -> None:
        if self.bot not in channel.members:
            return
        about = message.to_json() | {
            "channel": channel.id,
            "channel_type": channel.kind,
            "event_ts": message.ts,
            "team": self.team,
        }
        self._notify(about)
        if f"<@{self.bot}>" in message.text and channel.kind != "im" and message.user != self.bot:
            self._notify(
                {name: value for name, value in about.items() if name != "channel_type"} | {"type": "app_mention"}
            )

    def edit(
        self,
        message: Posted,
        *,
        text: str | None = None,
        blocks: list[Json] | None = None,
        metadata: Json | None = None,
    ) -> None:
        """Change what a message shows. A text without blocks removes the blocks, as Slack does."""
        with self.changed:
            before = message.to_json()
            message.blocks = (
                copy.deepcopy(blocks) if blocks is not None else ([] if text is not None else message.blocks)
            )
            message.text = text if text is not None else message.text
            message.metadata = copy.deepcopy(metadata) if metadata is not None else message.metadata
            message.edits.append(Edit(at=time.time(), text=message.text, blocks=copy.deepcopy(message.blocks)))
            self._hidden("message_changed", message, message=message.to_json(), previous_message=before)

    def delete(self, message: Posted) -> None:
        """Take a message away."""
        with self.changed:
            del self.channels[message.channel].messages[message.ts]
            self._hidden("message_deleted", message, previous_message=message.to_json(), deleted_ts=message.ts)

    def _hidden(self, subtype: str, of: Posted, **about: Any) -> None:
        channel = self.channels[of.channel]
        if self.bot in channel.members:
            ts = self.next_ts()
            self._notify(
                {
                    "type": "message",
                    "subtype": subtype,
                    "hidden": True,
                    "channel": channel.id,
                    "channel_type": channel.kind,
                    "ts": ts,
                    "event_ts": ts,
                    **about,
                }
            )
        self.changed.notify_all()

    def message(self, channel: Channel, ts: str) -> Posted:
        """A message by its time stamp."""
        with self.changed:
            if ts not in channel.messages:
                raise Refusal("message_not_found")
            return channel.messages[ts]

    def shown(self, channel: Channel, *, before: float | None = None) -> list[Posted]:
        """A channel's own messages, threads left out, oldest first."""
        with self.changed:
            return [
                message
                for message in channel.messages.values()
                if not message.thread_ts and (before is None or message.at <= before)
            ]

    def thread(self, channel: Channel, ts: str, *, before: float | None = None) -> list[Posted]:
        """A message and its replies, oldest first."""
        with self.changed:
            if ts not in channel.messages:
                raise Refusal("thread_not_found")
            root = channel.messages[ts].thread_ts or ts
            found = [message for message in channel.messages.values() if root in (message.ts, message.thread_ts)]
            return [message for message in found if before is None or message.at <= before or message.ts == root]
