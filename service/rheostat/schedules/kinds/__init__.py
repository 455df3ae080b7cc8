"""
The kinds of definitions, one class each, beside the others of their family.

All that there is to know about a kind stands in its class: fields with descriptions, units and
bounds, what its lengths mean (`lengths`, `measures`, `laid_out`, `recurs`, `turn`), what it
refuses, and which field is to blame for an overflow (`culprit`), its values (`at`) and their
bounds (`between`), where it ends and turns (`length`, `corners`), and what the manual says of it
(`family`, `about`). A preset has an `expansion` instead of values, bounds and corners of its own.

A file is one family; of the presets, those of cycles are in ``cycles.py``, all others in
``presets.py``. How to add a kind is in ``CONTRIBUTING.md``, once.
"""
