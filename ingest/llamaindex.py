"""Any LlamaIndex reader as a source, any of its splitters as what cuts sections, and our cutting as a LlamaIndex node parser.

Does: thin adapters, so that a LlamaIndex user can plug either into the other; a reader's text is cleaned as Markdown is of what
nobody would see.
Does not: know who may read what a reader gives: the caller says so, since no reader of LlamaIndex's does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.errors import DocumentError
from core.model import Document, Tier
from core.named import build_named
from ingest.chunking import VERSION, Piece, cut, sections, whole
from ingest.concealed import seen_markdown
from ingest.postmortem import as_time
from ingest.sources import NOTHING, Held, Listed, Skipped
from retrieval.chunk import piece_id

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


class LlamaIndexCutter:
    """Any splitter of LlamaIndex's behind our door. It gets a section at a time: a piece's name, its link and how far it is
    trusted hang on its section. Whether code and tables stay whole is up to the splitter.

    Args:
        splitter: an instance of `llama_index.core.node_parser.NodeParser`.
        name: of it and how it is set, 40 characters at most: with another name everything is cut again.
    """

    def __init__(self, splitter: Any, name: str) -> None:
        self._splitter, self.version = splitter, f"{VERSION} {name}"

    def cut(self, title: str, text: str) -> list[Piece]:
        """The pieces of a document in reading order.

        Raises:
            DocumentError: the splitter failed.
        """
        pieces = [
            Piece(section=section, text=part)
            for section, body in sections(title, text)
            for part in self._split(title, body)
            if part.strip()
        ]
        return pieces or whole(text)

    def _split(self, title: str, body: str) -> list[str]:
        from llama_index.core.schema import Document as LlamaDocument

        try:
            nodes = self._splitter.get_nodes_from_documents([LlamaDocument(text=body)])
        except Exception as error:  # each splitter raises its own
            raise DocumentError(
                f"cannot split {title!r}",
                why=str(error),
                way_out="check RUNDOWN_SPLITTER_OPTIONS, or unset the splitter",
            ) from error
        return [str(node.get_content()) for node in nodes]


def open_splitter(path: str, options: dict[str, Any]) -> LlamaIndexCutter:
    """A splitter by its class.

    Raises:
        SettingsError: the class cannot be used.
    """
    from llama_index.core.node_parser import NodeParser

    splitter = build_named(
        path,
        options,
        kind=NodeParser,
        what="splitter",
        setting="RUNDOWN_SPLITTER_CLASS",
        example="llama_index.core.node_parser.SentenceSplitter",
    )
    told = hashlib.sha256(json.dumps([path, options], sort_keys=True).encode()).hexdigest()
    return LlamaIndexCutter(splitter, f"{type(splitter).__name__[:27]} {told[:12]}")


def as_node_parser() -> Any:
    """Our cutting as a `llama_index.core.node_parser.NodeParser`: sections with their heading path, code and tables whole.

    Where a document's metadata names its "source" and "doc_id", its nodes bear the ids that its pieces have in our index: by
    these a retriever of one's own names what it found.
    """
    from llama_index.core.node_parser import NodeParser
    from llama_index.core.node_parser.node_utils import build_nodes_from_splits

    class SectionNodeParser(NodeParser):  # type: ignore[misc]
        """Markdown at its headings; the heading path is in each node's metadata as "section"."""

        def _parse_nodes(self, nodes: Sequence[Any], show_progress: bool = False, **kwargs: Any) -> list[Any]:
            parsed: list[Any] = []
            for node in nodes:
                pieces = cut(str(node.metadata.get("title", "")), node.get_content())
                made = build_nodes_from_splits([piece.text for piece in pieces], node, id_func=self.id_func)
                source, doc_id = (node.metadata.get(name) for name in ("source", "doc_id"))
                for number, (piece, one) in enumerate(zip(pieces, made, strict=True)):
                    one.metadata["section"] = " > ".join(piece.section)
                    if source and doc_id:
                        one.id_ = piece_id(source, doc_id, number)
                parsed += made
            return parsed

    return SectionNodeParser()
