"""Labels from a team's own history: which earlier commit a later one says it reverts or repairs."""
