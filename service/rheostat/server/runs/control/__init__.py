"""Control: what a run makes of reports, by the rules that were armed on it."""
