"""Read a request's body as bytes, up to a limit and not a byte further.

Does: stop reading as soon as a sender goes over the limit or takes too long, whatever its Content-Length claims.
Does not: decode, parse or judge the bytes; the edge verifies them first (CONTRACTS.md 1.9).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

#: PagerDuty drops what is over 256 KB and Slack stays far below: 1 MiB is never reached by an honest sender.
LIMIT_BYTES = 1024 * 1024
#: PagerDuty gives up after 5 s and Slack after 3 s: a body slower than this has nobody waiting for it.
LIMIT_S = 10.0


class BodyRefused(Exception):
    """A body that will not be read to its end. The message says why, in words fit for a log."""


class TooLarge(BodyRefused):
    """The sender sent, or announced, more than the limit."""


class TooSlow(BodyRefused):
    """The sender took longer than the limit."""


class Disconnected(BodyRefused):
    """The sender hung up before the end."""


async def read_raw(request: Request, limit: int = LIMIT_BYTES, *, limit_s: float = LIMIT_S) -> bytes:
    """The body as received, byte for byte.

    Args:
        limit: the most bytes to take.
        limit_s: the most seconds to wait for the whole body.

    Raises:
        TooLarge: the body is, or says it is, longer than `limit` bytes; nothing more of it is read.
        TooSlow: it had not arrived after `limit_s` seconds.
        Disconnected: the sender hung up.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
        raise TooLarge(f"the sender announced a body over {limit} bytes")
    try:
        async with asyncio.timeout(limit_s):
            return await _collect(request, limit)
    except TimeoutError:
        raise TooSlow(f"the body had not arrived after {limit_s:g} s") from None


async def _collect(request: Request, limit: int) -> bytes:
    from starlette.requests import ClientDisconnect

    taken = bytearray()
    try:
        async for chunk in request.stream():
            if len(taken) + len(chunk) > limit:
                raise TooLarge(f"the sender sent a body over {limit} bytes")
            taken += chunk
    except ClientDisconnect:
        raise Disconnected("the sender hung up before the end of the body") from None
    return bytes(taken)
