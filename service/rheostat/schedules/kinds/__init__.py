"""The kinds of definitions, one class each, by family."""
