"""What of an OpenAPI document says how requests and answers look.

Does: make, of the requests that are named to it, parameters, statuses and JSON Schemas of the answers; draw `allOf` as one object, follow
references, and allow null where a type is `nullable`.
Does not: keep anything else of the document, or read OpenAPI before 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

#: What tells of other requests that an answer allows for, in v1 of Confluence: no field of ours, and other ones on each site.
_FREE = ("_expandable",)


class Reduction:
    """An OpenAPI 3.0 document, and what of it is kept.

    Args:
        openapi: the document.
    """

    def __init__(self, openapi: dict[str, Any]) -> None:
        self._openapi = openapi
        self._kept: dict[str, Any] = {}

    def of(self, prefix: str, asked: Sequence[str]) -> dict[str, Any]:
        """What is published of requests: "requests" by method and path, and "$defs", the types they refer to.

        Args:
            prefix: what stands before each path.
            asked: the paths, each after its method unless that is GET.

        Raises:
            KeyError: one of them is not in the document.
        """
        requests = dict(self._request(prefix, path) for path in asked)
        return {"requests": requests, "$defs": self._kept}

    def _request(self, prefix: str, asked: str) -> tuple[str, Any]:
        method, path = asked.split(" ") if " " in asked else ("GET", asked)
        shared = self._openapi["paths"][self._named(prefix, path)]
        operation = shared[method.lower()]
        parameters = [self._resolved(one) for one in (*shared.get("parameters", ()), *operation.get("parameters", ()))]
        return f"{method} {prefix}{path}", {
            "parameters": {
                one["name"]: self._reduced(one.get("schema", {})) for one in parameters if one["in"] == "query"
            },
            "required": sorted(one["name"] for one in parameters if one["in"] == "query" and one.get("required")),
            "answers": dict(self._answers(operation["responses"])),
        }

    def _named(self, prefix: str, path: str) -> str:
        """The path as the document has it: from the site's root, from the API's, or from one between."""
        paths = self._openapi["paths"]
        for one in (f"/wiki{prefix}{path}", f"{prefix}{path}", f"{prefix.removeprefix('/wiki')}{path}", path):
            if one in paths:
                return one
        raise KeyError(f"{prefix}{path} is not in this document")

    def _answers(self, responses: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for status, response in responses.items():
            content = self._resolved(response).get("content", {})
            told = next((body for kind, body in content.items() if "json" in kind and "schema" in body), None)
            yield status, None if told is None else self._reduced(told["schema"])

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self._openapi
            for part in node["$ref"].removeprefix("#/").split("/"):
                name = part.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
                found = found[int(name) if isinstance(found, list) else name]
            node = found
        return node

    def _reduced(self, node: dict[str, Any]) -> dict[str, Any]:
        """A type in the words of JSON Schema: of `allOf` one object, of a named type a reference."""
        if "$ref" in node:
            folder, _, name = node["$ref"].rpartition("/")
            if folder != "#/components/schemas":
                return self._reduced(self._resolved(node))
            if name not in self._kept:
                self._kept[name] = {}  # it may contain itself
                self._kept[name] = self._reduced(self._resolved(node))
            return {"$ref": f"#/$defs/{name}"}
        if "allOf" in node:
            return self._reduced(self._merged(node))
        if several := node.get("oneOf") or node.get("anyOf"):
            # What fits a reference to a thing fits the thing itself too: of several that fit, none is wrong.
            made: dict[str, Any] = {"anyOf": [self._reduced(one) for one in several]}
            return self._nullable(made, node)
        return self._nullable(self._plain(node), node)

    def _plain(self, node: dict[str, Any]) -> dict[str, Any]:
        kind = node.get("type", "object" if "properties" in node else None)
        made: dict[str, Any] = {} if kind is None else {"type": kind}
        made |= {key: node[key] for key in ("enum", "minimum", "maximum") if key in node}
        if "items" in node:
            made["items"] = self._reduced(node["items"])
        if node.get("properties"):
            required = sorted(set(node.get("required", ())) & set(node["properties"]))
            made["properties"] = {
                name: {"type": "object"} if name in _FREE else self._reduced(value)
                for name, value in node["properties"].items()
            }
            made["required"] = required
        others = node.get("additionalProperties")
        if isinstance(others, dict) and others:
            made["additionalProperties"] = self._reduced(others)
        elif node.get("properties") and others is None:
            made["additionalProperties"] = False
        return made

    def _nullable(self, made: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") else made

    def _merged(self, node: dict[str, Any]) -> dict[str, Any]:
        """All parts of an `allOf` as one object; a later part makes a field of an earlier one narrower."""
        merged: dict[str, Any] = {key: value for key, value in node.items() if key != "allOf"}
        properties: dict[str, Any] = {}
        required: set[str] = set()
        for part in (*node["allOf"], {key: node[key] for key in ("properties", "required") if key in node}):
            whole = self._resolved(part)
            whole = self._merged(whole) if "allOf" in whole else whole
            for name, value in whole.get("properties", {}).items():
                both = [properties.get(name, {}), value]
                deep = all("properties" in self._resolved(one) for one in both)
                properties[name] = {"allOf": both} if deep else value
            required |= set(whole.get("required", ()))
            merged |= {key: value for key, value in whole.items() if key not in ("properties", "required", "title")}
        return merged | {"properties": properties, "required": sorted(required)}
