"""Words and their checks: templates, drafters, and what may be shown of what a model returns."""
