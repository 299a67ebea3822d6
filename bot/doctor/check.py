"""One thing doctor looked at.

Does: hold what was found and what to do about it. Does not: look at anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.errors import RundownError

State = Literal["ok", "warn", "fail", "off"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was looked at and how it is."""

    name: str
    #: "ok"; "warn": works, but look at it; "fail": does not work; "off": not in use.
    state: State
    found: str
    #: What to do; empty when it is well.
    way_out: str = ""


def ok(name: str, found: str) -> Check:
    """It is well."""
    return Check(name=name, state="ok", found=found)


def warn(name: str, found: str, way_out: str) -> Check:
    """It works, and somebody should look at it."""
    return Check(name=name, state="warn", found=found, way_out=way_out)


def fail(name: str, found: str, way_out: str) -> Check:
    """It does not work."""
    return Check(name=name, state="fail", found=found, way_out=way_out)


def off(name: str, found: str, way_out: str = "") -> Check:
    """It is not in use; `way_out` says how to use it."""
    return Check(name=name, state="off", found=found, way_out=way_out)


def refused(name: str, error: RundownError) -> Check:
    """It failed with an error of ours, which knows its way out."""
    found = f"{error.what}: {error.why}" if error.why else error.what
    return fail(name, found, error.way_out or "see the log of `rundown serve`")
