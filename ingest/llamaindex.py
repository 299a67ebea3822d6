"""Any LlamaIndex reader as a source, and our cutting as a LlamaIndex node parser.

Does: thin adapters, so that a LlamaIndex user can plug either into the other; a reader's text is cleaned as Markdown is of what
nobody would see.
Does not: know who may read what a reader gives: the caller says so, since no reader of LlamaIndex's does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.errors import DocumentError
from core.model import Document, Tier
from ingest.chunking import cut
from ingest.concealed import seen_markdown
from ingest.postmortem import as_time
from ingest.sources import NOTHING, Held, Listed, Skipped

#: Changes when a text is read otherwise than before, so that what is held is read once more.
_FORM = 2
#: Under which names LlamaIndex's readers tell a document's title, address and last change.
_TITLES = ("title", "page_title", "file_name", "name")
_ADDRESSES = ("url", "source_url", "link", "web_url")
_CHANGES = ("last_modified_date", "last_modified", "updated_at", "last_edited_time", "date")


class ReaderSource:
    """What a LlamaIndex reader loads, as a source.

    Args:
        reader: an instance of `llama_index.core.readers.base.BaseReader`.
        name: a stable name, for example "notion:handbook".
        tier: how far its documents are trusted.
        readers: who may read them, as `core.access` writes principals. Nobody unless told.
        arguments: for its `load_data`.
    """

    def __init__(
        self, reader: Any, name: str, *, tier: Tier = Tier.WIKI, readers: Sequence[str] = (), **arguments: Any
    ) -> None:
        self.name = name
        self._reader, self._tier, self._readers, self._arguments = reader, tier, tuple(readers), arguments

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Everything the reader loads. Its pages of one id become one document.

        Raises:
            DocumentError: the reader failed.
        """
        try:
            loaded = list(self._reader.load_data(**self._arguments))
        except Exception as error:  # each reader raises its own client's errors
            raise DocumentError(
                f"cannot read {self.name!r}", why=str(error), way_out="check the reader's arguments and its service"
            ) from error
        for number, item in enumerate(loaded):
            yield self._made(item, number, held)

    def _made(self, item: Any, number: int, held: Mapping[str, str]) -> Listed:
        facts: dict[str, Any] = item.metadata or {}
        doc_id = str(facts.get("file_path") or item.doc_id or number)
        if not item.text.strip():
            return Skipped(doc_id=doc_id, reason="empty")
        told = (_FORM, item.text, sorted(map(str, facts.items())), self._readers)
        version = hashlib.sha256(repr(told).encode()).hexdigest()
        if held.get(doc_id) == version:
            return Held(doc_id=doc_id)
        try:
            text, hidden = seen_markdown(item.text)
        except RecursionError:
            return Skipped(doc_id=doc_id, reason="nested deeper than any real page")
        if not text.strip():
            return Skipped(doc_id=doc_id, reason="empty")
        return Document(
            id=doc_id,
            source=self.name,
            title=_first(facts, _TITLES) or doc_id,
            text=text,
            tier=self._tier,
            url=_first(facts, _ADDRESSES),
            updated_at=as_time(_first(facts, _CHANGES)),
            readers=self._readers,
            version=version,
            hidden=hidden,
        )


def _first(facts: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((str(facts[name]) for name in names if facts.get(name)), None)


def as_node_parser() -> Any:
    """Our cutting as a `llama_index.core.node_parser.NodeParser`: sections with their heading path, code and tables whole."""
    from llama_index.core.node_parser import NodeParser
    from llama_index.core.node_parser.node_utils import build_nodes_from_splits

    class SectionNodeParser(NodeParser):  # type: ignore[misc]
        """Markdown at its headings; the heading path is in each node's metadata as "section"."""

        def _parse_nodes(self, nodes: Sequence[Any], show_progress: bool = False, **kwargs: Any) -> list[Any]:
            parsed: list[Any] = []
            for node in nodes:
                pieces = cut(str(node.metadata.get("title", "")), node.get_content())
                made = build_nodes_from_splits([piece.text for piece in pieces], node, id_func=self.id_func)
                for piece, one in zip(pieces, made, strict=True):
                    one.metadata["section"] = " > ".join(piece.section)
                parsed += made
            return parsed

    return SectionNodeParser()
