"""The first draft of a postmortem: templates and output schema."""
