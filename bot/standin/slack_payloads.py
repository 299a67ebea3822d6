"""The shapes in which Slack tells an app what happened: event wrappers, clicks and commands.

Does: build payloads as Slack's documentation shows them.
Does not: send them (`slack_dispatch.py`).
"""

from __future__ import annotations

import itertools
import secrets
import time

from bot.standin.slack_workspace import Channel, Json, Posted, User, Workspace

_count = itertools.count(1)


def event_wrapper(space: Workspace, event: Json) -> Json:
    """The outer payload of the Events API."""
    return {
        "token": "verification",
        "team_id": space.team,
        "context_team_id": space.team,
        "api_app_id": space.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}{next(_count):04X}",
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": space.team,
                "user_id": space.bot,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }


def trigger_id() -> str:
    """An id of one gesture, unique for ever."""
    return f"{time.time_ns()}.{next(_count)}.{secrets.token_hex(16)}"


def click(
    space: Workspace,
    channel: Channel,
    message: Posted,
    action_id: str,
    user: User,
    response_url: str,
    *,
    ephemeral: bool = False,
) -> Json:
    """What a press on a button sends; of an ephemeral message Slack sends no copy.

    Raises:
        LookupError: the message shows no such button.
    """
    block, button = _shown(message, action_id)
    return {
        "type": "block_actions",
        "team": {"id": space.team, "domain": "stand-in"},
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": space.team},
        "api_app_id": space.app_id,
        "token": "verification",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": ephemeral,
            **({"thread_ts": message.thread_ts} if message.thread_ts else {}),
        },
        "trigger_id": trigger_id(),
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel.id, "name": channel.name},
        **({} if ephemeral else {"message": message.to_json()}),
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [
            {
                "type": "button",
                "action_id": action_id,
                "block_id": block.get("block_id", "b"),
                "text": button["text"],
                "value": button.get("value", ""),
                "action_ts": f"{time.time():.6f}",
            }
        ],
    }


def _shown(message: Posted, action_id: str) -> tuple[Json, Json]:
    """The button of a message, with its block."""
    buttons = [
        (block, element)
        for block in message.blocks
        for element in [*block.get("elements", ()), block.get("accessory") or {}]
        if element.get("action_id") == action_id
    ]
    if not buttons:
        shown = [
            element.get("action_id")
            for block in message.blocks
            for element in block.get("elements", ())
            if element.get("action_id")
        ]
        raise LookupError(f"message {message.ts} shows no button {action_id!r}; it shows {shown}")
    return buttons[0]


def command(space: Workspace, channel: Channel, user: User, name: str, text: str, response_url: str) -> Json:
    """What a slash command sends."""
    return {
        "token": "verification",
        "team_id": space.team,
        "team_domain": "stand-in",
        "channel_id": channel.id,
        "channel_name": channel.name,
        "user_id": user.id,
        "user_name": user.name,
        "command": name,
        "text": text,
        "api_app_id": space.app_id,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id(),
    }
