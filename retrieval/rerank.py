"""A second, slower look at what was found: any reranker of LlamaIndex's.

Does: put the first documents in the order that a node postprocessor gives them.
Does not: find anything, or stop a search: one that fails leaves the order as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from core.model import Evidence
from core.named import build_named

if TYPE_CHECKING:
    from core.settings import Settings

log = logging.getLogger(__name__)

#: How many documents get the second look.
RERANKED = 20


class Reranker(Protocol):
    """Anything that orders documents by how well they answer."""

    def order(self, text: str, evidence: Sequence[Evidence]) -> list[int]:
        """Places in `evidence`, best first. Those that are left out follow in their old order."""
        ...


class LlamaIndexReranker:
    """Any LlamaIndex node postprocessor behind our door.

    Args:
        postprocessor: an instance of `llama_index.core.postprocessor.types.BaseNodePostprocessor`, for example
            `SentenceTransformerRerank`.
    """

    def __init__(self, postprocessor: Any) -> None:
        self._postprocessor = postprocessor

    def order(self, text: str, evidence: Sequence[Evidence]) -> list[int]:
        """Places in the order it gives; the old order where it fails."""
        from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

        nodes = [
            NodeWithScore(
                node=TextNode(id_=str(place), text="\n".join((item.title, *item.section, item.text))), score=item.score
            )
            for place, item in enumerate(evidence)
        ]
        try:
            found = self._postprocessor.postprocess_nodes(nodes, query_bundle=QueryBundle(text))
        except Exception as error:  # each integration raises its own client's errors, and a page must not wait for it
            log.warning("the reranker failed, so its order is left out: %s", error)
            found = []
        chosen = list(dict.fromkeys(int(item.node.node_id) for item in found))
        return [*chosen, *(place for place in range(len(evidence)) if place not in set(chosen))]


def open_reranker(settings: Settings) -> Reranker | None:
    """The configured reranker, or None.

    Raises:
        SettingsError: the class cannot be used.
    """
    if not settings.reranker_class:
        return None
    from llama_index.core.postprocessor.types import BaseNodePostprocessor

    return LlamaIndexReranker(
        build_named(
            settings.reranker_class,
            settings.reranker_options,
            kind=BaseNodePostprocessor,
            what="reranker",
            setting="RUNDOWN_RERANKER_CLASS",
            example="llama_index.core.postprocessor.SentenceTransformerRerank",
        )
    )
