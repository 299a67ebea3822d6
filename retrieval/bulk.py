"""Many searches from a file into a file: `rundown search --queries`.

Does: read query lines, write a result line for each in the same order, whole or not at all (DESIGN.md's contract).
Does not: score anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.errors import CaseError
from retrieval.answering import ANSWERS
from retrieval.retriever import Retriever

#: JSON can write half of a character; no text in UTF-8 can hold it.
_SURROGATE = re.compile("[\ud800-\udfff]")


def search_file(
    retriever: Retriever,
    queries: Path,
    out: Path,
    *,
    limit: int = 10,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Answer every query of a file.

    Args:
        queries: JSON lines `{"query_id", "text", "service"?}`; other keys are ignored.
        out: written as JSON lines `{"query_id", "results": [{"doc_id", "section", "score"}], "answered"}`, best
            first. The heading path of a section is joined by " > "; a score is the probability that the document answers, and
            "answered" whether the first one's suffices to say so.
        limit: documents a query at most.
        progress: told how many are answered.

    Returns:
        How many queries were answered.

    Raises:
        CaseError: a line cannot be read; named by file and number. Or `out` cannot be written. Nothing is written then.
        IndexUnavailable: the index does not answer.
    """
    if out.is_dir():
        raise CaseError(f"cannot write {str(out)!r}", why="it is a folder", way_out="give the path of a file in it")
    asked = list(_read(queries))
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for done, query in enumerate(asked, start=1):
                file.write(json.dumps(_answer(retriever, query, limit), ensure_ascii=False) + "\n")
                if progress:
                    progress(done)
        part.replace(out)
    except OSError as error:
        raise CaseError(
            f"cannot write {str(out)!r}", why=error.strerror or str(error), way_out="give a path that can be written"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return len(asked)


def _answer(retriever: Retriever, query: dict[str, Any], limit: int) -> dict[str, Any]:
    found = retriever.search(query["text"], limit=limit, service=query.get("service"))
    results = [
        {"doc_id": item.doc_id, "section": " > ".join(item.section), "score": round(item.score, 6)} for item in found
    ]
    answered = bool(found) and found[0].score >= ANSWERS
    return {"query_id": query["query_id"], "results": results, "answered": answered}


def _read(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise CaseError(
            f"cannot read queries from {str(path)!r}", why=why, way_out="give a file of JSON lines"
        ) from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _parse(line, f"{path}:{number}")


def _parse(line: str, where: str) -> dict[str, Any]:
    way_out = 'a line is {"query_id": "…", "text": "…", "service": "…"?}'
    try:
        query = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"cannot read the query at {where}", why=f"not JSON: {error}", way_out=way_out) from error
    if not isinstance(query, dict):
        raise CaseError(f"cannot read the query at {where}", why="not a JSON object", way_out=way_out)
    for name, needed in (("query_id", True), ("text", True), ("service", False)):
        value = query.get(name)
        if not isinstance(value, str) and (needed or value is not None):
            raise CaseError(
                f"cannot read the query at {where}",
                why=f"{name!r} is missing" if value is None else f"{name!r} is not text",
                way_out=way_out,
            )
        if isinstance(value, str) and _SURROGATE.search(value):
            raise CaseError(
                f"cannot read the query at {where}",
                why=f"{name!r} holds half a character: a surrogate such as \\ud83d without its other half",
                way_out="write both halves, or the character itself in UTF-8",
            )
    return query
