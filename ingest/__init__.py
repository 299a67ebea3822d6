"""From sources to the index: readers, chunking and incremental sync."""
