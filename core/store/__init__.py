"""The store: what Rundown must not forget."""

from core.store.opening import open_engine, revision_of
from core.store.rows import InboxRow, Indexed, Message, MessageState
from core.store.store import Store, open_store

__all__ = ["InboxRow", "Indexed", "Message", "MessageState", "Store", "open_engine", "open_store", "revision_of"]
