"""The store: what Rundown must not forget."""

from core.store.store import InboxRow, Message, MessageState, Store, open_store

__all__ = ["InboxRow", "Message", "MessageState", "Store", "open_store"]
