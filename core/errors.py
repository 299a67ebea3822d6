"""Every failure Rundown raises on purpose, in one tree.

Does: give each failure a name, a message that says what failed, why, and what to do, and the exit code a command ends with.
Does not: catch or log anything; edges translate these into a status, a card or an exit.

    RundownError                  exit 1
    ├── UsageError                exit 2   the caller gave something that cannot work
    │   ├── SettingsError                  a setting is missing or wrong
    │   ├── RepositoryError                a git repository is missing, empty, shallow or unreadable
    │   ├── DocumentError                  a document cannot be read
    │   └── CaseError                      a line of a case or query file cannot be read
    ├── Unavailable               exit 1   a part that usually answers does not: degrade, then try again
    │   ├── IndexUnavailable               the vector index
    │   ├── ModelUnavailable               a language model: down, hung, or answering nonsense
    │   ├── SlackUnavailable               Slack, with what it answered
    │   └── PagerDutyUnavailable           PagerDuty's REST API
    └── StoreError                exit 1   our own database refuses
"""

from __future__ import annotations


class RundownError(Exception):
    """A failure with its way out.

    Args:
        what: what failed, naming the input ("cannot read repository '/srv/x'").
        why: the reason, as found.
        way_out: what the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", way_out: str = "") -> None:
        self.what, self.why, self.way_out = what, why, way_out
        super().__init__(
            ". ".join(part.rstrip(".") for part in (f"{what}: {why}" if why else what, way_out) if part) + "."
        )


class UsageError(RundownError):
    """The caller gave something that cannot work."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing or wrong."""


class RepositoryError(UsageError):
    """A git repository is missing, empty, shallow or unreadable."""


class DocumentError(UsageError):
    """A document cannot be read."""


class CaseError(UsageError):
    """A line of a case or query file cannot be read."""


class Unavailable(RundownError):
    """A part that usually answers does not. The caller degrades and may try again."""


class IndexUnavailable(Unavailable):
    """The vector index does not answer."""


class ModelUnavailable(Unavailable):
    """A language model is down, hung or answers what its schema does not allow."""


class SlackUnavailable(Unavailable):
    """Slack refused or did not answer.

    Args:
        ambiguous: whether the call may have taken effect all the same (CONTRACTS.md 1.9).
        retry_after_s: seconds Slack asked us to wait, 0 if it did not say.
    """

    def __init__(
        self, what: str, *, why: str = "", way_out: str = "", ambiguous: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(what, why=why, way_out=way_out)
        self.ambiguous, self.retry_after_s = ambiguous, retry_after_s


class PagerDutyUnavailable(Unavailable):
    """PagerDuty's REST API refused or did not answer."""


class StoreError(RundownError):
    """Our own database refuses."""
