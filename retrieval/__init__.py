"""Evidence: the index of documents and the search over it."""
