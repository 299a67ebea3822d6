"""The card's "what to do next": templates and output schema."""
