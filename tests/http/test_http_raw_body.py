"""Reading a body to its limit and no further: over real sockets, and from senders made of nothing but pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.requests import Request

from bot.raw_body import BodyRefused, Disconnected, TooLarge, TooSlow, read_raw


def request(messages: Iterable[dict[str, Any]], *, length: bytes | None = None) -> tuple[Request, list[int]]:
    """A request whose body comes as these messages; and how many of them were taken. After the last one comes nothing."""
    waiting, taken = iter(messages), []

    async def receive() -> dict[str, Any]:
        for message in waiting:
            taken.append(1)
            return {"type": "http.request", **message}
        await asyncio.Event().wait()
        raise AssertionError

    headers = [(b"content-length", length)] if length is not None else []
    return Request({"type": "http", "method": "POST", "headers": headers}, receive), taken


def chunks(*sizes: int) -> list[dict[str, Any]]:
    return [{"body": b"x" * size, "more_body": place < len(sizes) - 1} for place, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("messages", "length", "size"),
    [
        (chunks(0), None, 0),
        (chunks(10), b"10", 10),
        (chunks(4, 3, 3), None, 10),
        (chunks(*[1] * 10), b"0", 10),
        (chunks(10), b"not a number", 10),
        (chunks(10), "²".encode("latin-1"), 10),
    ],
)
def test_takes_a_body_up_to_the_limit(messages: list[dict[str, Any]], length: bytes | None, size: int):
    """Exactly the limit is fine, in any number of pieces, whatever length was announced."""
    made, _ = request(messages, length=length)

    assert len(asyncio.run(read_raw(made, 10))) == size


@pytest.mark.parametrize(
    ("messages", "length", "kind", "taken"),
    [
        pytest.param(chunks(1), b"11", TooLarge, 0, id="announced too large"),
        pytest.param(chunks(1), b"9" * 5000, TooLarge, 0, id="announced beyond reason"),
        pytest.param(chunks(11), None, TooLarge, 1, id="one piece too large"),
        pytest.param(chunks(*[4] * 100), None, TooLarge, 3, id="the third piece is one too many"),
        pytest.param(chunks(11), b"10", TooLarge, 1, id="more than announced"),
        pytest.param([{"body": b"x", "more_body": True}], None, TooSlow, 1, id="never goes on"),
        pytest.param([], None, TooSlow, 0, id="never begins"),
        pytest.param(
            [{"body": b"x", "more_body": True}, {"type": "http.disconnect"}], None, Disconnected, 2, id="hangs up"
        ),
    ],
)
def test_stops_where_it_must(messages: list[dict[str, Any]], length: bytes | None, kind: type[BodyRefused], taken: int):
    """The refusal says which it was, and nothing is read after it is clear."""
    made, seen = request(messages, length=length)
    with pytest.raises(BodyRefused) as caught:
        asyncio.run(read_raw(made, 10, limit_s=0.02))

    assert (type(caught.value), len(seen)) == (kind, taken)
