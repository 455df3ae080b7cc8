"""
The kinds of definitions, one class each, beside the others of their family.

All that there is to know about a kind stands in its class: fields with descriptions, units and
bounds, what its lengths mean (`lengths`, `measures`, `laid_out`, `recurs`, `turn`), what it
refuses, its values (`at`) and their bounds (`between`), where it ends and turns (`length`,
`corners`), and what the manual says of it (`family`, `about`).

To add a kind:

1. write its class here, in the file of its family;
2. list it in the union of ``schedules/union.py``;
3. write its formula once more, in ``tests/schedules/reference.py``;
4. give it golden cases in ``tests/schedules/golden/make.py``, and run that;
5. say what its fields may be in ``tests/schedules/strategies.py``, for the property tests;
6. if it has lengths or holds definitions, say in ``CASES`` of ``tests/schedules/test_written.py``
   what they come to when the total changes;
7. run ``make docs``.

A test fails for whatever is missing, and names the kind and the file.
"""
