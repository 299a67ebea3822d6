"""Stand-ins that speak the real protocols on loopback: for the demo and the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

#: Called with what was asked of a stand-in and what it answered, failures on request left out: the API's name, the method, the path, the
#: query, the status, and the body. Tests hold these against what the vendor publishes, if they are given it.
listeners: list[Callable[[str, str, str, str, int, bytes], None]] = []


def tell(api: str, request: Request, response: Response) -> Response:
    """The response, after everybody who listens was told of it."""
    for listen in listeners:
        listen(api, request.method, request.url.path, request.url.query, response.status_code, bytes(response.body))
    return response
