"""Whether a request and its answer are as a vendor publishes them.

Does: find what is wrong with a request's path and parameters, with an answer's status, and with its body, fields that the vendor does not
know included.
Does not: judge an answer that a test made up to see a failure handled; stand-ins tell only of their true ones.

Liberty: a field that need not be there may be null as well. The vendors' own examples do that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator


class Api:
    """One published API.

    Args:
        *described: what `reduction.Reduction.of` makes of the documents that together describe it.
    """

    def __init__(self, *described: Mapping[str, Any]) -> None:
        #: "GET /users/{id}" to what is published of it.
        self.requests: dict[str, Any] = {}
        self._validators: dict[tuple[str, str], Draft202012Validator] = {}
        for told in described:
            types = _with_optional_nulls(told["$defs"])
            for request, published in told["requests"].items():
                parameters = {name: _meant(schema, told["$defs"]) for name, schema in published["parameters"].items()}
                self.requests[request] = published | {"parameters": parameters}
                for status, body in published["answers"].items():
                    if body is not None:
                        self._validators[request, status] = Draft202012Validator(
                            {**_with_optional_nulls(body), "$defs": types}
                        )

    def problems(self, method: str, path: str, query: str, status: int, body: bytes) -> Iterator[str]:
        """What of a request and its answer is not as published.

        Args:
            query: as it was sent, without the question mark.
            body: the answer's; empty for none.
        """
        request = self.named(method, path)
        if request is None:
            yield f"{method} {path}: no such request is published"
            return
        if status < 400:
            yield from (f"{request}: {told}" for told in self._of_query(request, query))
        answers = self.requests[request]["answers"]
        if str(status) not in answers and status not in _ANYWHERE:
            yield f"{request}: it is not published to answer {status}"
        if (validator := self._validators.get((request, str(status)))) is not None:
            for error in validator.iter_errors(json.loads(body) if body else None):
                told = _deepest(error)
                yield f"{request} {status}: {'/'.join(map(str, told.absolute_path))}: {told.message[:300]}"

    def named(self, method: str, path: str) -> str | None:
        """The request of the schema that this one is; of several, the one with the fewest names to fill in."""
        fits = [one for one in self.requests if one.startswith(f"{method} ") and _pattern(one).fullmatch(path)]
        return min(fits, key=lambda one: one.count("{"), default=None)

    def _of_query(self, request: str, query: str) -> Iterator[str]:
        published, sent = self.requests[request], parse_qsl(query, keep_blank_values=True)
        parameters: Mapping[str, Any] = published["parameters"]
        yield from (f"no parameter {name!r} is published" for name, _ in sent if name not in parameters)
        yield from (f"{name!r} must be given" for name in published["required"] if name not in dict(sent))
        for name, value in sent:
            if name in parameters and not _fits(value, parameters[name]):
                yield f"{name}={value} is not {json.dumps(parameters[name])}"


#: Statuses that any API may answer with, whether it says so or not: who asks is unknown or asks too often, or nothing is there.
_ANYWHERE = (401, 403, 404, 429, 500)


@cache
def _pattern(request: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{[^/]+\\}", "[^/]+", re.escape(request.partition(" ")[2])))


def _fits(value: str, schema: Mapping[str, Any]) -> bool:
    """Whether a parameter's text is one of its type; a list is sent with commas, or each by itself."""
    if "anyOf" in schema:
        return any(_fits(value, one) for one in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        return all(_fits(one, schema.get("items", {})) for one in value.split(","))
    if kind == "integer":
        if not re.fullmatch(r"-?\d+", value):
            return False
        return schema.get("minimum", int(value)) <= int(value) <= schema.get("maximum", int(value))
    if kind == "boolean":
        return value in ("true", "false")
    return value in schema.get("enum", (value,))


def _meant(schema: dict[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's type with named types in place of their names."""
    schema = types[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return schema | ({"items": _meant(schema["items"], types)} if "items" in schema else {})


def _with_optional_nulls(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_optional_nulls(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {name: _with_optional_nulls(value) for name, value in node.items()}
    if isinstance(node.get("properties"), dict) and isinstance(node.get("required"), list):
        made["properties"] = {
            name: value if name in node["required"] else {"anyOf": [value, {"type": "null"}]}
            for name, value in made["properties"].items()
        }
    return made


def _deepest(error: Any) -> Any:
    """Of an alternative none of whose branches fits: what is wrong in the branch that fits best."""
    while error.context:
        branches: dict[Any, list[Any]] = {}
        for one in error.context:
            branches.setdefault(one.schema_path[0], []).append(one)
        real = [one for one in branches.values() if one[0].validator != "type" or one[0].validator_value != "null"]
        if not real:
            return error
        error = min(real, key=len)[0]
    return error
