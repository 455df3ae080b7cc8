"""
From other libraries' schedulers to definitions that give the same values.

>>> from rheostat.schedules import convert
>>> convert("torch", "CosineAnnealingLR", {"T_max": 100}, 0.1).to_json()
{'kind': 'cosine', 'start': 0.1, 'end': 0.0, 'steps': 100, 'periodic': True}

A library is one module here, named as it is imported, and one line in `registry.NAMES`. A
converter is a function there: its name in the decorator, the library's own parameters with the
library's own defaults in the signature, and in the docstring what the manual says of it, first
what it becomes, then in what it differs::

    library = Library("torch")

    @library.scheduler("CosineAnnealingLR")
    def cosine(
        case: Case, *, T_max: Steps, eta_min: float = 0.0, last_epoch: int = -1
    ) -> AnyDefinition:
        \"\"\"`cosine`, periodic: past T_max the wave goes on.\"\"\"
        return Cosine(start=case.base, end=eta_min, steps=T_max, periodic=True)

- The annotations are checked strictly, by Pydantic; `Steps` also takes a whole float. Unknown
  and missing parameters, and functions, are refused before the converter is called.
- `case.base` is the base value, `case.hyperparameter` the field that is asked for (declare others
  than ``lr`` in the decorator: ``hyperparameters=("lr", "momentum")``), `case.context` the rest.
- ``raise case.wrong("T_max", "must be above 0", T_max, "> 0")`` refuses what the library refuses.
- ``case.nested(spec, "schedulers[0]")`` converts a `Nested` scheduler, with its own base if given.
- ``library.metric_driven("ReduceLROnPlateau")`` names what reacts to metrics.
- Build the definition from the kinds and the helpers of `building`; what the kinds refuse is
  reported for the converter. Prefer the preset that a person would write to a pile of parts.
"""

from rheostat.converters.configs import convert_config
from rheostat.converters.request import convert

__all__ = ["convert", "convert_config"]
