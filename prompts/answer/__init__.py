"""An answer to a question in the thread: templates and output schema."""
