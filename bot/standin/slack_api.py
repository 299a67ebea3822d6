"""The stand-in's Web API: one function a method, with Slack's arguments, answers and error codes.

Does: check scopes and arguments, then act on the workspace.
Does not: speak HTTP, check tokens or play faults (`slack.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bot.standin import slack_limits
from bot.standin.slack_workspace import Channel, Json, Posted, Refusal, User, Workspace

Item = TypeVar("Item")


@dataclass
class Ephemeral:
    """A message only one person saw, however it was sent."""

    channel: str
    user: str
    text: str
    blocks: list[Json]
    thread_ts: str | None
    #: "chat.postEphemeral" or "response_url".
    by: str


class WebApi:
    """Slack's methods over one workspace.

    Args:
        workspace: what they act on.
        scopes: those granted to the bot token.
        lag_s: seconds before a new message is seen by conversations.history and replies, as when Slack lags behind itself.
    """

    def __init__(self, workspace: Workspace, scopes: Sequence[str], *, lag_s: float = 0.0) -> None:
        self.workspace, self.scopes, self.lag_s = workspace, tuple(scopes), lag_s
        self.ephemerals: list[Ephemeral] = []

    def call(self, method: str, args: Json) -> Json:
        """What Slack answers to a method with these arguments.

        Raises:
            Refusal: Slack answers `ok: false`.
        """
        function = _METHODS.get(method)
        if function is None:
            raise Refusal("unknown_method", req_method=method)
        with self.workspace.changed:
            return {"ok": True, **function(self, args)}

    def need(self, *scopes: str) -> None:
        """Refuse unless one of the scopes is granted."""
        if not set(scopes) & set(self.scopes):
            raise Refusal("missing_scope", needed=",".join(scopes), provided=",".join(self.scopes))

    # -- auth and users ------------------------------------------------------------------------------------------

    def auth_test(self, args: Json) -> Json:
        space = self.workspace
        return {
            "url": "https://stand-in.slack.com/",
            "team": "Stand-in",
            "team_id": space.team,
            "user": "rundown",
            "user_id": space.bot,
            "bot_id": space.bot_id,
            "is_enterprise_install": False,
        }

    def users_info(self, args: Json) -> Json:
        self.need("users:read")
        return {"user": self._shown(self.workspace.user(str(args.get("user", ""))))}

    def users_lookup_by_email(self, args: Json) -> Json:
        self.need("users:read.email")
        address = str(args.get("email", "")).lower()
        found = [user for user in self.workspace.users.values() if user.email and user.email.lower() == address]
        if not found or found[0].deactivated:
            raise Refusal("users_not_found")
        return {"user": self._shown(found[0])}

    def users_list(self, args: Json) -> Json:
        self.need("users:read")
        own = [user for user in self.workspace.users.values() if user.team == self.workspace.team]
        page, cursor = _page(own, args, default=100, most=1000)
        return {"members": [self._shown(user) for user in page], "response_metadata": {"next_cursor": cursor}}

    def _shown(self, user: User) -> Json:
        return user.to_json(self.workspace.team, email="users:read.email" in self.scopes)

    def users_conversations(self, args: Json) -> Json:
        user = self.workspace.user(str(args.get("user") or self.workspace.bot))
        listed = self._listed(args)
        mine = [channel for channel in listed if user.id in channel.members]
        page, cursor = _page(mine, args, default=100, most=999)
        return {
            "channels": [channel.to_json(self.workspace.bot) for channel in page],
            "response_metadata": {"next_cursor": cursor},
        }

    def usergroups_list(self, args: Json) -> Json:
        self.need("usergroups:read")
        return {
            "usergroups": [group.to_json(users=_true(args.get("include_users"))) for group in self.workspace.groups]
        }

    def team_info(self, args: Json) -> Json:
        self.need("team:read")
        return {"team": {"id": self.workspace.team, "name": "Stand-in", "domain": "stand-in"}}

    # -- chat ----------------------------------------------------------------------------------------------------

    def chat_post_message(self, args: Json) -> Json:
        self.need("chat:write")
        channel = self.workspace.open_to_bot(str(args.get("channel", "")), write=True)
        text, blocks, metadata = self._content(args)
        pieces = [text[at : at + slack_limits.SPLIT_AT] for at in range(0, len(text), slack_limits.SPLIT_AT)] or [""]
        posted = [
            self.workspace.post(
                channel,
                self.workspace.bot,
                piece,
                blocks=blocks or None,
                thread_ts=args.get("thread_ts") or None,
                metadata=metadata,
            )
            for piece in (pieces if not blocks else [text])
        ]
        return {"channel": channel.id, "ts": posted[0].ts, "message": posted[0].to_json(metadata=True)}

    def chat_update(self, args: Json) -> Json:
        self.need("chat:write")
        channel = self.workspace.open_to_bot(str(args.get("channel", "")), write=True)
        message = self._own(channel, args, "cant_update_message")
        text, blocks, metadata = self._content(args)
        self.workspace.edit(
            message,
            text=text if "text" in args else None,
            blocks=blocks if "blocks" in args else None,
            metadata=metadata,
        )
        return {
            "channel": channel.id,
            "ts": message.ts,
            "text": message.text,
            "message": message.to_json(metadata=True),
        }

    def chat_delete(self, args: Json) -> Json:
        self.need("chat:write")
        channel = self.workspace.open_to_bot(str(args.get("channel", "")))
        message = self._own(channel, args, "cant_delete_message")
        self.workspace.delete(message)
        return {"channel": channel.id, "ts": message.ts}

    def chat_post_ephemeral(self, args: Json) -> Json:
        self.need("chat:write")
        channel = self.workspace.open_to_bot(str(args.get("channel", "")), write=True)
        user = self.workspace.user(str(args.get("user", "")))
        if user.id not in channel.members:
            raise Refusal("user_not_in_channel")
        text, blocks, _ = self._content(args)
        self.whisper(
            Ephemeral(
                channel=channel.id,
                user=user.id,
                text=text,
                blocks=blocks,
                thread_ts=args.get("thread_ts") or None,
                by="chat.postEphemeral",
            )
        )
        return {"message_ts": self.workspace.next_ts()}

    def whisper(self, message: Ephemeral) -> None:
        """Show something to one person only."""
        with self.workspace.changed:
            self.ephemerals.append(message)
            self.workspace.changed.notify_all()

    def _own(self, channel: Channel, args: Json, refusal: str) -> Posted:
        message = self.workspace.message(channel, str(args.get("ts", "")))
        if message.user != self.workspace.bot:
            raise Refusal(refusal)
        return message

    def _content(self, args: Json) -> tuple[str, list[Json], Json | None]:
        """A message's text, blocks and metadata, as Slack accepts them."""
        text, blocks, metadata = args.get("text") or "", _parsed(args, "blocks", []), _parsed(args, "metadata", None)
        if not isinstance(text, str):
            raise Refusal("invalid_arguments")
        faults = slack_limits.block_faults(blocks)
        if faults:
            raise Refusal(
                "invalid_blocks",
                errors=faults,
                response_metadata={"messages": [f"[ERROR] {fault}" for fault in faults]},
            )
        if not text and not blocks:
            raise Refusal("no_text")
        if slack_limits.units(text) > slack_limits.TEXT:
            raise Refusal("msg_too_long")
        if metadata is not None and (fault := slack_limits.metadata_fault(metadata)):
            raise Refusal(fault)
        return text, blocks, metadata

    # -- conversations -------------------------------------------------------------------------------------------

    def _listed(self, args: Json) -> list[Channel]:
        """The channels of the wanted kinds that the bot may know of."""
        kinds = set(str(args.get("types") or "public_channel").split(","))
        if "public_channel" in kinds:
            self.need("channels:read")
        if "private_channel" in kinds:
            self.need("groups:read")
        wanted = {"public_channel": "channel", "private_channel": "group", "im": "im"}
        return [
            channel
            for channel in self.workspace.channels.values()
            if channel.kind in {wanted.get(kind) for kind in kinds}
            and (channel.kind == "channel" or self.workspace.bot in channel.members)
            and not (channel.archived and _true(args.get("exclude_archived")))
        ]

    def conversations_list(self, args: Json) -> Json:
        page, cursor = _page(self._listed(args), args, default=100, most=1000)
        return {
            "channels": [channel.to_json(self.workspace.bot) for channel in page],
            "response_metadata": {"next_cursor": cursor},
        }

    def conversations_info(self, args: Json) -> Json:
        channel = self.workspace.seen_by_bot(str(args.get("channel", "")))
        self.need(*_read_scope(channel))
        return {"channel": channel.to_json(self.workspace.bot)}

    def conversations_members(self, args: Json) -> Json:
        channel = self.workspace.seen_by_bot(str(args.get("channel", "")))
        self.need(*_read_scope(channel))
        page, cursor = _page(sorted(channel.members), args, default=100, most=1000)
        return {"members": page, "response_metadata": {"next_cursor": cursor}}

    def conversations_open(self, args: Json) -> Json:
        self.need("im:write")
        user = self.workspace.user(str(args.get("users") or ""))
        if user.deactivated or user.is_bot:
            raise Refusal("user_disabled" if user.deactivated else "cannot_dm_bot")
        channel = self.workspace.direct(user.id)
        return {"channel": {"id": channel.id}}

    def conversations_join(self, args: Json) -> Json:
        self.need("channels:join")
        channel = self.workspace.seen_by_bot(str(args.get("channel", "")))
        if channel.kind != "channel":
            raise Refusal("method_not_supported_for_channel_type")
        fresh = self.workspace.join(channel, self.workspace.bot)
        return {"channel": channel.to_json(self.workspace.bot), **({} if fresh else {"warning": "already_in_channel"})}

    def conversations_create(self, args: Json) -> Json:
        private = _true(args.get("is_private"))
        self.need("groups:write" if private else "channels:manage")
        channel = self.workspace.create_channel(str(args.get("name") or ""), private=private)
        return {"channel": channel.to_json(self.workspace.bot)}

    def conversations_set_topic(self, args: Json) -> Json:
        channel = self.workspace.open_to_bot(str(args.get("channel", "")), write=True)
        self.need("channels:manage" if channel.kind == "channel" else "groups:write", "channels:write.topic")
        if slack_limits.units(str(args.get("topic") or "")) > 250:
            raise Refusal("too_long")
        channel.topic = str(args.get("topic") or "")
        return {"channel": channel.to_json(self.workspace.bot)}

    def conversations_invite(self, args: Json) -> Json:
        self.need("channels:manage", "channels:write.invites")
        channel = self.workspace.open_to_bot(str(args.get("channel", "")), write=True)
        people = [self.workspace.user(name) for name in str(args.get("users") or "").split(",")]
        if self.workspace.bot in {person.id for person in people}:
            raise Refusal("cant_invite_self")
        if all(person.id in channel.members for person in people):
            raise Refusal("already_in_channel")
        for person in people:
            self.workspace.join(channel, person.id)
        return {"channel": channel.to_json(self.workspace.bot)}

    def conversations_history(self, args: Json) -> Json:
        channel = self.workspace.open_to_bot(str(args.get("channel", "")))
        self.need(*_history_scope(channel))
        found = self.workspace.shown(channel, before=self._visible_until())[::-1]
        return self._messages(found, args, most=999)

    def conversations_replies(self, args: Json) -> Json:
        channel = self.workspace.open_to_bot(str(args.get("channel", "")))
        self.need(*_history_scope(channel))
        found = self.workspace.thread(channel, str(args.get("ts", "")), before=self._visible_until())
        return self._messages(found, args, most=1000)

    def _visible_until(self) -> float | None:
        return float(self.workspace.next_ts()) - self.lag_s if self.lag_s else None

    def _messages(self, found: list[Posted], args: Json, *, most: int) -> Json:
        oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or 1e12)
        inclusive = _true(args.get("inclusive"))
        kept = [
            message
            for message in found
            if (oldest <= message.at <= latest if inclusive else oldest < message.at < latest)
        ]
        page, cursor = _page(kept, args, default=100, most=most)
        shown = [message.to_json(metadata=_true(args.get("include_all_metadata"))) for message in page]
        return {"messages": shown, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}

    # -- reactions -----------------------------------------------------------------------------------------------

    def reactions_add(self, args: Json) -> Json:
        by = self._reaction(args)
        if self.workspace.bot in by:
            raise Refusal("already_reacted")
        by.append(self.workspace.bot)
        return {}

    def reactions_remove(self, args: Json) -> Json:
        by = self._reaction(args)
        if self.workspace.bot not in by:
            raise Refusal("no_reaction")
        by.remove(self.workspace.bot)
        return {}

    def _reaction(self, args: Json) -> list[str]:
        self.need("reactions:write")
        channel = self.workspace.open_to_bot(str(args.get("channel", "")), write=True)
        message = self.workspace.message(channel, str(args.get("timestamp", "")))
        return message.reactions.setdefault(str(args.get("name") or "").strip(":"), [])


def _true(value: Any) -> bool:
    return value is True or str(value).lower() in ("1", "true")


def _parsed(args: Json, name: str, default: Any) -> Any:
    """An argument that is JSON, also when it came in a form."""
    value = args.get(name)
    if value is None or value == "":
        return default
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise Refusal(f"invalid_{name}" if name == "blocks" else "invalid_metadata_format") from None


def _page(items: list[Item], args: Json, *, default: int, most: int) -> tuple[list[Item], str]:
    """One page of a list, and the cursor of the next."""
    try:
        limit, start = int(args.get("limit") or default), int(str(args.get("cursor") or "at:0").removeprefix("at:"))
    except ValueError:
        raise Refusal("invalid_cursor" if args.get("cursor") else "invalid_limit") from None
    if not 1 <= limit <= most:
        raise Refusal("invalid_limit")
    end = start + limit
    return items[start:end], f"at:{end}" if end < len(items) else ""


def _read_scope(channel: Channel) -> tuple[str, ...]:
    return ({"channel": "channels:read", "group": "groups:read", "im": "im:read"}[channel.kind],)


def _history_scope(channel: Channel) -> tuple[str, ...]:
    return ({"channel": "channels:history", "group": "groups:history", "im": "im:history"}[channel.kind],)


_METHODS: dict[str, Callable[[WebApi, Json], Json]] = {
    "auth.test": WebApi.auth_test,
    "users.info": WebApi.users_info,
    "users.list": WebApi.users_list,
    "users.lookupByEmail": WebApi.users_lookup_by_email,
    "users.conversations": WebApi.users_conversations,
    "usergroups.list": WebApi.usergroups_list,
    "team.info": WebApi.team_info,
    "chat.postMessage": WebApi.chat_post_message,
    "chat.update": WebApi.chat_update,
    "chat.delete": WebApi.chat_delete,
    "chat.postEphemeral": WebApi.chat_post_ephemeral,
    "conversations.list": WebApi.conversations_list,
    "conversations.info": WebApi.conversations_info,
    "conversations.members": WebApi.conversations_members,
    "conversations.open": WebApi.conversations_open,
    "conversations.join": WebApi.conversations_join,
    "conversations.create": WebApi.conversations_create,
    "conversations.setTopic": WebApi.conversations_set_topic,
    "conversations.invite": WebApi.conversations_invite,
    "conversations.history": WebApi.conversations_history,
    "conversations.replies": WebApi.conversations_replies,
    "reactions.add": WebApi.reactions_add,
    "reactions.remove": WebApi.reactions_remove,
}
