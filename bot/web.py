"""Run an ASGI app in a thread: what the HTTP edge, both stand-ins and the edge tests serve from.

Does: bind before it returns, serve HTTP and websockets, stop cleanly, end websockets first.
Does not: know what it serves.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from types import TracebackType
from typing import Any, Self

import uvicorn

from core.errors import SettingsError


class WebServer:
    """An ASGI app on one address, up inside a `with` block.

    Args:
        app: the application.
        host: the address to listen on.
        port: the port; 0 lets the system choose, so that tests never collide.

    Raises:
        SettingsError: the address cannot be listened on.
    """

    def __init__(self, app: Any, *, host: str = "127.0.0.1", port: int = 0) -> None:
        # The protocol is named so that asyncio switches Nagle's delay off: without it every answer takes 40 ms more.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise SettingsError(
                f"cannot listen on {host}:{port}",
                why=str(error),
                way_out="set RUNDOWN_HTTP_HOST and RUNDOWN_HTTP_PORT to an address that is free",
            ) from None
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://{host}:{self.port}"
        config = uvicorn.Config(
            app,
            lifespan="off",
            http="h11",
            ws="websockets-sansio",
            loop="asyncio",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        #: The event loop it serves on, once started: where a stand-in starts work of its own.
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name=f"web-{self.port}", daemon=True)

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._socket])

        asyncio.run(serve())

    def start(self) -> Self:
        """Serve; returns once connections are accepted.

        Raises:
            RuntimeError: the server did not come up within ten seconds.
        """
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"the web server on port {self.port} did not come up")
            time.sleep(0.002)
        return self

    def stop(self) -> None:
        """Close every connection and wait for the thread to end. May be called twice."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Served:
    """What is up inside a `with` block because its web server is: a stand-in of a service."""

    _server: WebServer

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
