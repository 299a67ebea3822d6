"""A part that an operator names by its class: imported, checked and built from options.

Does: turn "package.module.Class" and a mapping into an instance of a known kind. Does not: install anything.
"""

from __future__ import annotations

import importlib
from typing import Any

from core.errors import SettingsError


def import_named(path: str, *, what: str, setting: str) -> Any:
    """What stands at `path`; nothing is built.

    Args:
        path, what, setting: as `build_named` takes them.

    Raises:
        SettingsError: it cannot be imported.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(
            f"cannot load the {what} class {path!r}",
            why=str(error),
            way_out=f"install its package and check {setting}",
        ) from None


def build_named(path: str, options: dict[str, Any], *, kind: type, what: str, setting: str, example: str) -> Any:
    """An instance of the class at `path`.

    Args:
        path: module and class, with a dot between.
        options: its arguments.
        kind: what it must be a subclass of.
        what: what it is for, in words: "model".
        setting: the environment variable that named it; its options are in the variable's `_OPTIONS`, or so it is taken.
        example: a class that would do.

    Raises:
        SettingsError: it cannot be imported, is of another kind, or refuses its options.
    """
    found = import_named(path, what=what, setting=setting)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise SettingsError(
            f"cannot use {path!r} as a {what}",
            why=f"it is no LlamaIndex {kind.__name__}",
            way_out=f"name a class such as {example}",
        )
    try:
        return found(**options)
    except (TypeError, ValueError) as error:
        way_out = f"check {setting.removesuffix('_CLASS')}_OPTIONS"
        raise SettingsError(f"cannot build the {what} {path!r}", why=str(error), way_out=way_out) from None
