"""The help of a command that takes sources: it names every kind there is.

Does: look for the kinds when somebody asks for that help. Does not: look for them, or load one, for any other command.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class NamesSources(TyperCommand):
    """A command whose argument `source` is told with the kinds of source that are installed."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help as typer writes it, with the kinds behind what the argument says of itself."""
        from ingest.sources import usages

        for parameter in self.params:
            if parameter.name == "source":
                parameter.help = f"{parameter.help}; or {usages()}."  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)
