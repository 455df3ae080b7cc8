"""
The kinds of definitions, one class each, by family.

To add a kind: write its class here (fields with descriptions and bounds, `about`, `at`, `between`,
`length`), list it in the union and in a family of ``schedules/union.py``, write its formula once
more in ``tests/schedules/reference.py`` and its golden cases in ``tests/schedules/golden/make.py``,
and run ``make docs``. A test fails for whatever is missing.
"""
