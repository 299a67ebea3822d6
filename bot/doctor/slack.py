"""Slack: both tokens, the scopes, the clock, the channels.

Does: ask Slack who we are and what we may do, and compare with the app's manifest. Does not: post, join or change anything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from bot.doctor.check import Check, fail, off, ok, warn
from core.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr
    from slack_sdk import WebClient

#: Slack refuses requests signed more than 300 s away from its own clock, and so do we.
SKEW_WARN_S, SKEW_FAIL_S = 30.0, 240.0
#: Seconds one call may take, and pages of 1,000 channels that are read.
TIMEOUT_S, PAGES = 5, 5
_REINSTALL = "update the app from `rundown manifest` at api.slack.com/apps, then reinstall it to the workspace"
_WAYS_OUT = {
    "invalid_auth": "copy the token again from api.slack.com/apps",
    "token_revoked": "reinstall the app and copy its new token",
    "account_inactive": "reinstall the app: it was removed from the workspace",
    "token_expired": "turn token rotation off in the app, reinstall it and copy the token",
    "not_allowed_token_type": "the bot's token begins with xoxb-, the app-level one with xapp-",
    "missing_scope": _REINSTALL,
}


class _NoAnswer(Exception):
    """Slack did not do what was asked. The two arguments: what was found, and the way out."""


def examine(settings: Settings) -> Sequence[Check]:
    """Everything about Slack."""
    if settings.slack_bot_token is None and settings.slack_app_token is None:
        hint = "`rundown manifest` prints the app to create; README, 'Run it for your team', says how"
        return [off("Slack", "no token is set", hint)]
    return [
        *_bot(settings),
        _app_token(settings),
        _signing_secret(settings),
    ]


def _bot(settings: Settings) -> list[Check]:
    name = "Slack bot token"
    if (wrong := _wrong_kind(settings.slack_bot_token, "xoxb-", "RUNDOWN_SLACK_BOT_TOKEN")) is not None:
        return [fail(name, *wrong)]
    client = _client(settings.slack_bot_token, settings)
    try:
        answer = _ask(client, "auth.test")
    except _NoAnswer as error:
        return [fail(name, *error.args)]
    who = f"{answer.get('user', '?')} in {answer.get('team', '?')}"
    return [
        ok(name, who),
        _scopes(_header(answer, "x-oauth-scopes")),
        _clock(_header(answer, "date")),
        *_channels(client, settings),
    ]


def _scopes(granted: str) -> Check:
    name = "Slack scopes"
    has, wanted = {scope.strip() for scope in granted.split(",") if scope.strip()}, _manifest_scopes()
    if missing := wanted - has:
        return fail(name, f"missing: {', '.join(sorted(missing))}", _REINSTALL)
    if more := has - wanted:
        return warn(
            name, f"more than needed: {', '.join(sorted(more))}", "take them out of the app: it should hold the fewest"
        )
    return ok(name, f"the {len(wanted)} of the manifest")


def _manifest_scopes() -> set[str]:
    from importlib.resources import files

    import yaml

    manifest = yaml.safe_load(files("bot").joinpath("slack_manifest.yaml").read_text(encoding="utf-8"))
    return set(manifest["oauth_config"]["scopes"]["bot"])


def _clock(date: str) -> Check:
    name, way_out = "Clock", "let the machine's time be kept by NTP: signatures and timelines depend on it"
    try:
        skew_s = abs(time.time() - parsedate_to_datetime(date).timestamp())
    except (TypeError, ValueError):
        return off(name, "Slack's answer told no time")
    if skew_s > SKEW_FAIL_S:
        return fail(name, f"{skew_s:.0f} s away from Slack's: every signed request is refused", way_out)
    if skew_s > SKEW_WARN_S:
        return warn(name, f"{skew_s:.0f} s away from Slack's", way_out)
    return ok(name, "agrees with Slack's")


def _channels(client: WebClient, settings: Settings) -> list[Check]:
    """Every channel that the settings name exists, and the bot can use it."""
    named = {settings.default_channel, *settings.service_channels.values(), *settings.listen_channels} - {None, ""}
    if not named:
        found = f"none named: each incident gets its own, {settings.channel_prefix}…"
        return [ok("Slack channels", found)]
    try:
        known = _listed(client)
    except _NoAnswer as error:
        return [fail("Slack channels", *error.args)]
    wanted = {str(channel).removeprefix("#") for channel in named}
    missing = sorted(wanted - known.keys())
    closed = sorted(
        name for name in wanted & known.keys() if known[name]["is_private"] and not known[name]["is_member"]
    )
    if missing or closed:
        return [
            fail(
                "Slack channels",
                f"cannot use: {', '.join([*missing, *closed])}",
                "correct the names, or invite the bot where they are private",
            )
        ]
    return [ok("Slack channels", ", ".join(sorted(wanted)))]


def _listed(client: WebClient) -> dict[str, dict[str, bool]]:
    """What the bot sees, by name and by id."""
    known, cursor = {}, ""
    for _ in range(PAGES):
        options = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": "1000"}
        answer = _ask(client, "conversations.list", **options, **({"cursor": cursor} if cursor else {}))
        for channel in answer.get("channels", []):
            found = {flag: bool(channel.get(flag)) for flag in ("is_private", "is_member")}
            known[channel["name"]] = known[channel["id"]] = found
        cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
        if not cursor:
            break
    return known


def _app_token(settings: Settings) -> Check:
    name = "Slack app token"
    if settings.slack_app_token is None:
        if settings.slack_signing_secret is not None:
            return off(name, "not set: Slack calls POST /slack/events", "set RUNDOWN_SLACK_APP_TOKEN for Socket Mode")
        found = "neither RUNDOWN_SLACK_APP_TOKEN nor RUNDOWN_SLACK_SIGNING_SECRET is set: Rundown cannot hear Slack"
        return fail(
            name,
            found,
            "make an app-level token with connections:write at api.slack.com/apps; it needs no public address",
        )
    if (wrong := _wrong_kind(settings.slack_app_token, "xapp-", "RUNDOWN_SLACK_APP_TOKEN")) is not None:
        return fail(name, *wrong)
    try:
        _ask(_client(settings.slack_app_token, settings), "apps.connections.open")
    except _NoAnswer as error:
        return fail(name, *error.args)
    return ok(name, "Socket Mode opens")


def _signing_secret(settings: Settings) -> Check:
    name = "Slack signing secret"
    if settings.slack_signing_secret is not None:
        return ok(name, "set; only a request of Slack's can prove it right")
    if settings.slack_app_token is not None:
        return off(name, "not needed in Socket Mode")
    return fail(name, "not set", "copy it from the app's Basic Information into RUNDOWN_SLACK_SIGNING_SECRET")


def _wrong_kind(token: SecretStr | None, prefix: str, variable: str) -> tuple[str, str] | None:
    """What is wrong with a token before anybody is asked: people swap the two."""
    if token is None:
        return f"{variable} is not set", f"copy the {prefix} token from api.slack.com/apps"
    if not token.get_secret_value().startswith(prefix):
        return (
            f"{variable} does not begin with {prefix}",
            "the bot's token begins with xoxb-, the app-level one with xapp-",
        )
    return None


def _client(token: SecretStr | None, settings: Settings) -> WebClient:
    from bot.slack_web import open_client

    client = open_client(token.get_secret_value() if token else "", settings.slack_api_url)
    client.timeout = TIMEOUT_S
    return client


def _ask(client: WebClient, method: str, **arguments: str) -> Any:
    """Slack's answer, with its headers."""
    from slack_sdk.errors import SlackApiError

    try:
        return client.api_call(method, params=arguments)
    except SlackApiError as error:
        code = str(error.response.get("error") or f"HTTP {error.response.status_code}")
        if "non-JSON" in code:
            found, way_out = (
                f"{client.base_url} answered, and is not Slack",
                "RUNDOWN_SLACK_API_URL is https://slack.com/api/",
            )
            raise _NoAnswer(found, way_out) from error
        raise _NoAnswer(f"Slack answered {code}", _WAYS_OUT.get(code, f"see api.slack.com/methods/{method}")) from error
    except Exception as error:  # the client lets every kind of network failure through as it comes
        reason = getattr(error, "reason", None) or error
        way_out = "check the network, a proxy in between, and RUNDOWN_SLACK_API_URL"
        raise _NoAnswer(f"Slack does not answer: {reason}", way_out) from error


def _header(answer: Any, name: str) -> str:
    return next((str(value) for key, value in answer.headers.items() if key.lower() == name), "")
