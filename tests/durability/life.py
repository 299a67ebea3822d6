"""One life of the real server, which may end with SIGKILL at a chosen boundary.

Does: fork, from a parent that has imported everything, a process that runs `bot.serve.Server`; count its boundaries (before and
after every commit that wrote, before and after every call to Slack), and kill itself at the one it was told.
Does not: know the scenario or judge what came of it; that is `test_durability_kill.py`.

Talks in lines of JSON: {"settings": {…}, "kill_at": n, "report": PATH} starts a life and prints {"pid": …};
{"kill": pid} ends it and prints {"pid": …, "signal": …}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any


class Boundaries:
    """Counts boundaries, and dies at one."""

    def __init__(self, kill_at: int, report: Path) -> None:
        self._kill_at, self._count, self._lock = kill_at, 0, threading.Lock()
        self._report = report.open("a", buffering=1)

    def cross(self, name: str) -> None:
        """Pass one boundary, or die there."""
        with self._lock:
            self._count += 1
            self._report.write(f"{self._count} {name}\n")
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Watch every commit of every engine and every call of the Slack client."""
        import sqlalchemy as sa
        from slack_sdk import WebClient
        from sqlalchemy.engine.default import DefaultDialect

        wrote = threading.local()

        @sa.event.listens_for(sa.Engine, "before_cursor_execute")
        def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
                wrote.table = statement.split()[2 if statement.lstrip()[:6].upper() != "UPDATE" else 1]

        commit, call = DefaultDialect.do_commit, WebClient.api_call

        def watched_commit(dialect: Any, connection: Any) -> None:
            table = getattr(wrote, "table", None)
            wrote.table = None
            if table:
                self.cross(f"before commit of {table}")
            commit(dialect, connection)
            if table:
                self.cross(f"after commit of {table}")

        def watched_call(client: Any, api_method: str, **arguments: Any) -> Any:
            self.cross(f"before {api_method}")
            answer = call(client, api_method, **arguments)
            self.cross(f"after {api_method}")
            return answer

        DefaultDialect.do_commit = watched_commit  # type: ignore[method-assign]
        WebClient.api_call = watched_call  # type: ignore[method-assign]


def live(order: dict[str, Any]) -> None:
    """Run the server until somebody ends this process."""
    from bot import delivery, serve, workflow
    from bot.serve import Server
    from core.settings import read_settings
    from retrieval.embedding import open_embedder

    # The seconds between two looks for a lost message, shortened: the stand-in shows a message at once.
    delivery.Delivery.__init__.__kwdefaults__.update(readback_s=0.05, channel_interval_s=0.0)  # type: ignore[union-attr]
    serve.SWEEP_S, workflow.RETRY_AFTER_S = 0.5, (1.0,) * 4  # type: ignore[assignment]
    Boundaries(order["kill_at"], Path(order["report"])).install()
    server = Server(read_settings(**order["settings"]), embedder=open_embedder("hash"))
    server.start()
    signal.pause()


def main() -> None:
    """Serve orders from standard input until it ends."""
    # Imported before the first fork, so that a life starts in tens of milliseconds. None of these starts a thread.
    import dbos
    import slack_bolt

    import bot.demo_world
    import bot.serve
    import ranking.ranker
    import retrieval.retriever

    assert all((dbos, slack_bolt, bot.demo_world, bot.serve, ranking.ranker, retrieval.retriever))
    for line in sys.stdin:
        order = json.loads(line)
        if "kill" in order:
            os.kill(order["kill"], signal.SIGKILL)
            _, status = os.waitpid(order["kill"], 0)
            answer = {"pid": order["kill"], "signal": os.WTERMSIG(status)}
        elif "reap" in order:
            pid, status = os.waitpid(order["reap"], os.WNOHANG)
            answer = {"pid": pid, "signal": os.WTERMSIG(status) if pid and os.WIFSIGNALED(status) else 0}
        else:
            pid = os.fork()
            if pid == 0:
                os.dup2(os.open(order["report"] + ".log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
                try:
                    live(order)
                finally:
                    os._exit(70)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
