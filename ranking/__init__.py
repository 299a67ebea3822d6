"""Culprit commits: candidates, features, scores and the reasons shown to people."""
