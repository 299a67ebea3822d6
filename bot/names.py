"""The names of people in Slack, for what is written down of what they said.

Does: answer from memory alone, note whom it could not name, and look those up when it is told to.
Does not: let whoever asks wait for Slack, or tell anything of anybody but a name.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bot.audience import Recent
from bot.slack_web import PASSING, Caller, SlackRefused
from core.text import strip_hidden

if TYPE_CHECKING:
    from slack_sdk import WebClient

#: Seconds for which a name is taken as known. An older one still stands until the new one is.
FRESH_S = 24 * 3600.0
#: People remembered, and looked up in one round: Slack lets us ask about a hundred a minute.
MOST, ROUND = 20_000, 50
#: Calls that may fail in one round: one person's failure says nothing of the next, and that of several is Slack's.
FAILURES = 3
#: What somebody is called of whom Slack tells nothing.
UNNAMED = "somebody in Slack"
#: A name is written down among other people's words: it must not pass for any of them.
_OTHER = re.compile(r"[^\w .'’-]+")
_LONGEST = 80


class Names:
    """Names of one workspace's people. Safe to share between threads.

    Args:
        client: from `bot.delivery.make_client`.
        clock: seconds that never go back.
    """

    def __init__(self, client: WebClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack, self._clock = Caller(client, patience_s=0.0), clock
        self._known: Recent[str, str] = Recent(MOST, clock)
        self._wanted: dict[str, None] = {}
        self._lock = threading.Lock()

    def of(self, person: str) -> str | None:
        """What somebody is called; None while that is not known, which `look_up` changes.

        Args:
            person: as `bot.slack` names people, "slack:<team>:<user>", or Slack's id alone.
        """
        person_id = person.rpartition(":")[2]
        if self._known.get(person_id, FRESH_S) is None:
            with self._lock:
                self._wanted[person_id] = None
        return self._known.get(person_id, float("inf"))

    def look_up(self) -> None:
        """Ask Slack for the names that were asked for in vain, or are old: some of them, where there are many.

        Raises:
            SlackUnavailable: Slack does not answer, or not for somebody. Those that are left are looked up the next time, those
                that failed after all others.
        """
        failed: list[SlackRefused] = []
        with self._lock:
            wanted = list(self._wanted)[:ROUND]
        for person_id in wanted:
            asked_at = self._clock()
            try:
                name = _name(self._slack.call("users.info", user=person_id).get("user") or {})
            except SlackRefused as error:
                if error.retry_after_s or error.code in PASSING:
                    raise
                if error.ambiguous:
                    failed.append(error)
                    with self._lock:
                        self._wanted[person_id] = self._wanted.pop(person_id, None)  # to the end
                    if len(failed) == FAILURES:
                        break
                    continue
                name = UNNAMED
            self._known.put(person_id, name, at=asked_at)
            with self._lock:
                self._wanted.pop(person_id, None)
        if failed:
            raise failed[-1]


def _name(account: dict[str, Any]) -> str:
    profile = account.get("profile") or {}
    told = (profile.get("real_name"), account.get("real_name"), profile.get("display_name"), account.get("name"))
    plain = (" ".join(_OTHER.sub(" ", strip_hidden(str(name))).split()) for name in told if name)
    return next((name[:_LONGEST] for name in plain if name), UNNAMED)
