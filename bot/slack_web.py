"""Calling Slack's Web API so that every outcome has one meaning: done, refused, or not known.

Does: build the client (no retries of its own: they post twice, CONTRACTS.md 0.1), wait out 429 for exactly as long as Slack
asks, and turn every other failure into `SlackRefused` with Slack's code and whether the call may have taken effect.
Does not: decide what to do about it (`delivery.py`, `channels.py`, `slack.py`).
"""

from __future__ import annotations

import functools
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit

from core.errors import SlackUnavailable

if TYPE_CHECKING:
    from slack_sdk import WebClient

log = logging.getLogger(__name__)

#: Seconds one call may take. Slack answers in well under one; what takes longer is read back rather than waited for.
TIMEOUT_S = 10
#: Hosts that are reached directly, whatever proxy the environment names.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: The most a call waits for Slack's 429 in all before it is left to a later try.
PATIENCE_S = 180.0
#: Slack's own words for "some aspect of the operation may have succeeded" (CONTRACTS.md 1.4).
UNKNOWN_OUTCOME = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
#: Refusals that say nothing about the one call: our token, Slack's load, the network. The same call may work later.
PASSING = frozenset(
    {"ratelimited", "unreachable", "team_added_to_org", "message_limit_exceeded", "invalid_auth", "not_authed",
     "account_inactive", "token_revoked", "token_expired", "missing_scope", "no_permission", "not_allowed_token_type",
     "org_login_required", "ekm_access_denied", "team_access_not_granted"}
)  # fmt: skip


class SlackRefused(SlackUnavailable):
    """One call of Slack's Web API did not answer "ok".

    Args:
        code: Slack's error code, "http_<status>" or "no_answer".
    """

    def __init__(
        self, method: str, code: str, *, why: str = "", ambiguous: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(
            f"Slack did not do {method}",
            why=why or code,
            way_out=_WAYS_OUT.get(
                code,
                "it is tried again later" if ambiguous or retry_after_s else "`rundown doctor` checks the Slack app",
            ),
            ambiguous=ambiguous,
            retry_after_s=retry_after_s,
        )
        self.method, self.code = method, code

    def __reduce__(self) -> tuple[Any, ...]:
        # DBOS keeps what leaves a step by pickling it, and an exception pickles as its message alone.
        why = functools.partial(SlackRefused, why=self.why, ambiguous=self.ambiguous, retry_after_s=self.retry_after_s)
        return why, (self.method, self.code)


_WAYS_OUT = {
    "missing_scope": "reinstall the app from bot/slack_manifest.yaml, which lists every scope it needs",
    "invalid_auth": "set RUNDOWN_SLACK_BOT_TOKEN to the installed app's xoxb- token",
    "not_in_channel": "invite the bot to the channel: it can join public ones only",
    "channel_not_found": "check the channel's name, and invite the bot if it is private",
    "is_archived": "unarchive the channel or configure another",
    "restricted_action": "let apps create channels, or set RUNDOWN_DEFAULT_CHANNEL",
    "unreachable": "check the network and RUNDOWN_SLACK_API_URL",
}


def open_client(token: str, api_url: str) -> WebClient:
    """A client that calls once and gives up in time."""
    from slack_sdk import WebClient

    quiet = logging.getLogger("bot.slack_web.client")
    quiet.setLevel(logging.CRITICAL)  # the SDK logs bodies and every failure; ours are raised
    client = WebClient(token=token, base_url=api_url, timeout=TIMEOUT_S, retry_handlers=[], logger=quiet)
    if urlsplit(api_url).hostname in LOOPBACK:
        client.proxy = None
    return client


class Caller:
    """Calls methods of one client, keeping out of the windows Slack has closed. Safe to share between threads.

    Args:
        client: from `open_client`.
        sleep: waits so many seconds.
        clock: seconds that never go back.
        patience_s: the most to wait for 429s in one call.
    """

    def __init__(
        self,
        client: WebClient,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.client, self._sleep, self._clock, self._patience_s = client, sleep, clock, patience_s
        self._closed_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def call(self, method: str, **args: Any) -> dict[str, Any]:
        """Slack's answer to a method.

        Args:
            method: for example "chat.update".
            args: its arguments; those that are None are left out.

        Raises:
            SlackRefused: anything but `ok: true`. `ambiguous` tells whether the call may have taken effect.
        """
        given_up_at = self._clock() + self._patience_s
        while True:
            self._await_window(method, given_up_at)
            try:
                return self._once(method, {name: value for name, value in args.items() if value is not None})
            except SlackRefused as error:
                if not error.retry_after_s:
                    raise
                with self._lock:
                    until = self._clock() + error.retry_after_s
                    self._closed_until[method] = max(until, self._closed_until.get(method, 0.0))
                log.info("Slack asks to wait %.0f s before %s", error.retry_after_s, method)

    def _await_window(self, method: str, given_up_at: float) -> None:
        while (left_s := self._closed_until.get(method, 0.0) - self._clock()) > 0:
            if self._clock() + left_s > given_up_at:
                raise SlackRefused(
                    method, "ratelimited", why=f"Slack asks to wait {left_s:.0f} s more", retry_after_s=left_s
                )
            self._sleep(left_s)

    def _once(self, method: str, args: dict[str, Any]) -> dict[str, Any]:
        from slack_sdk.errors import SlackApiError

        try:
            # As a form: every method takes one, while some read methods ignore JSON.
            form = {
                name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in args.items()
            }
            answer = self.client.api_call(method, params=form)
            data = answer.data
            assert isinstance(data, dict), f"Slack answered {method} with {type(data).__name__}"
            return data
        except SlackApiError as error:
            raise _refusal(method, error.response) from error
        except URLError as error:
            if isinstance(error.reason, ConnectionRefusedError | socket.gaierror):  # never left this machine
                raise SlackRefused(method, "unreachable", why=str(error.reason)) from error
            raise SlackRefused(method, "no_answer", why=str(error.reason), ambiguous=True) from error
        except Exception as error:
            # Whatever else happens after the request may have left (reset, time-out, half an answer, nonsense instead of
            # JSON) has one meaning: nobody knows whether it took effect.
            raise SlackRefused(method, "no_answer", why=f"{type(error).__name__}: {error}", ambiguous=True) from error


def _refusal(method: str, response: Any) -> SlackRefused:
    """What an answer other than `ok: true` means."""
    status, data = int(response.status_code), response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or "")
    if status == 429 or code in ("ratelimited", "rate_limited"):
        header = next((value for name, value in response.headers.items() if name.lower() == "retry-after"), "1")
        return SlackRefused(method, "ratelimited", why="too many calls", retry_after_s=_seconds(header))
    if status != 200 or code.startswith("Received a response in a non-JSON format"):
        return SlackRefused(method, f"http_{status}", why=f"HTTP {status} instead of an answer", ambiguous=True)
    if code in UNKNOWN_OUTCOME or not code:
        return SlackRefused(method, code or "no_answer", ambiguous=True)
    detail = "; ".join(str(item) for item in data.get("errors", ())) or str(data.get("needed", ""))
    return SlackRefused(method, code, why=f"{code} ({detail})" if detail else code)


def _seconds(header: Any) -> float:
    try:
        return max(float(header), 0.1)
    except (TypeError, ValueError):
        return 1.0
