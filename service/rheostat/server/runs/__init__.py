"""Live runs: the rules of settling, revising and rewinding, as pure decisions."""
