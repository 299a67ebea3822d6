"""Nouns and doors: the types every package shares. Imports nothing of ours."""
