"""The card's "what is going on": templates and output schema."""
