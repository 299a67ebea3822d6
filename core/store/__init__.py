"""The store: what Rundown must not forget."""

from core.store.opening import open_engine, revision_of
from core.store.rows import Generation, GenerationState, InboxRow, Indexed, Message, MessageState, Synced
from core.store.store import Store, open_store

__all__ = [
    "Generation",
    "GenerationState",
    "InboxRow",
    "Indexed",
    "Message",
    "MessageState",
    "Store",
    "Synced",
    "open_engine",
    "open_store",
    "revision_of",
]
