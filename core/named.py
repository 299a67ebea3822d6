"""A part that an operator names by its class: imported, checked and built from options.

Does: turn "package.module.Class" and a mapping into an instance of a known kind; name one so that it can be told from others.
Does not: install anything.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from core.errors import SettingsError

#: Words in an option's name that say what it is not: part of what the class computes. A key may be changed, and a time limit.
_BESIDE = re.compile(
    r"key|apikey|token|secret|password|credentials?|auth|authorization|headers"
    r"|timeout|retries|batch|workers|threads|device|verbose|progress"
)


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
    except Exception as error:  # each integration raises its own client's errors
        way_out = f"check {setting.removesuffix('_CLASS')}_OPTIONS"
        raise SettingsError(f"cannot build the {what} {path!r}", why=_why(error), way_out=way_out) from None


def _why(error: Exception) -> str:
    """What was wrong. Not as pydantic writes it, which quotes the options, keys and passwords too."""
    if not isinstance(error, ValidationError):
        return str(error) or type(error).__name__
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'options'}: {item['msg']}" for item in error.errors())


def mark(path: str, options: Mapping[str, Any]) -> str:
    """A name for a class with its options, the same wherever these are the same. No secret is in it, not even hashed.

    Args:
        path, options: as `build_named` takes them. What only says how the class is reached (keys, time limits, batches) is
            left out: it may change, and what is made stays the same.
    """
    told = json.dumps(_telling(options), sort_keys=True, default=str)
    return f"{path}#{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def is_mark(name: str) -> bool:
    """Whether a name could be one of `mark`'s."""
    return re.fullmatch(r"[\w.]+#[0-9a-f]{12}", name) is not None


def _telling(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {name: part for name, part in value.items() if not _is_beside(name)}
        return {name: _telling(part) for name, part in kept.items()}
    if isinstance(value, list | tuple):
        return [_telling(part) for part in value]
    # Not the user and password of an address.
    return re.sub(r"(?<=//)[^/@\s]*@", "", value) if isinstance(value, str) else value


def _is_beside(option: str) -> bool:
    return any(_BESIDE.fullmatch(word) for word in re.split(r"[\W_]+", option.lower()))
