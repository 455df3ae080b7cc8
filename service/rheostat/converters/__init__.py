"""
From other libraries' schedulers to definitions that give the same values.

>>> from rheostat.schedules import convert
>>> convert("torch", "CosineAnnealingLR", {"T_max": 100}, 0.1).to_json()
{'kind': 'cosine', 'start': 0.1, 'end': 0.0, 'steps': 100, 'periodic': True}

A library is one file here, named as it is imported, and one line in `registry.NAMES`. A converter
is a function there: its name in the decorator, the library's own parameters with the library's own
defaults in the signature, and in the docstring what the manual says of it, first what it becomes,
then in what it differs. The docstring of the file is the title of its chapter, and what is read::

    \"\"\"PyTorch: torch.optim.lr_scheduler.\"\"\"

    library = Library("torch", common=Resumed)

    @library.scheduler("CosineAnnealingLR")
    def cosine(case: Case, *, T_max: Steps, eta_min: float = 0.0) -> AnyDefinition:
        \"\"\"`cosine`, periodic: past T_max the wave goes on.\"\"\"
        return Cosine(start=case.base, end=eta_min, steps=T_max, periodic=True)

Parameters that several schedulers share are one model, declared once::

    class Common(Shared):
        \"\"\"What all schedulers take: when they act, by which clock.\"\"\"

        begin: Count = 0
        end: Steps = ENDLESS
        verbose: Verbose = False

        def window(self, case: Case) -> Window: ...

    @library.scheduler("StepLR", hyperparameters=None)
    def step(case: Case, common: Common, *, step_size: Length, gamma: float = 0.1) -> AnyDefinition:
        \"\"\"`step`.\"\"\"
        return common.window(case).laid_out(exponential(case.base, gamma, step_size))

- What acts is handed over: the converter takes the model as an argument after the case, by its
  annotation, and what its fields mean together is a method of the model. Several models are several
  arguments; one that adds fields to another is its subclass. A parameter that has another default
  in one scheduler stands in that one's own signature too, and is handed over there.
- What changes nothing in any scheduler is not handed over: it is the library's ``common`` model, of
  `Ignored` fields alone, and ``common=False`` in the decorator leaves it out. `Resumed` is the
  usual one. What one scheduler ignores stands in its signature, with an `Ignored` type.
- All of them are one model to the user: unknown and missing parameters are refused, and the manual
  is written, as if each stood in the signature. Names that two models have must mean the same.
  No method of a model may be called as a parameter of its schedulers is: that would hide it.

What else there is:

- The annotations are checked strictly, by Pydantic. Take `Steps`, `Count`, `Length`, `Share`,
  `Positive`, `NotNegative`, `PerGroup` from `parameters`, and write another one only for another
  bound. Functions are refused before the converter is called.
- `case.base` is the base value, `case.hyperparameter` the field that is asked for (declare others
  than ``lr`` in the decorator: ``hyperparameters=("lr", "momentum")``), `case.context` the rest.
- ``raise case.wrong("T_max", "must be above 0", T_max, "> 0")`` refuses what the library refuses.
- ``case.nested(spec, "schedulers[0]")`` converts a `Nested` scheduler, with its own base if given.
- ``@library.controller("EarlyStopping")`` registers what reacts to a metric: its converter returns
  the `Conversion` that ``reactions.plateau`` or ``reactions.stop`` makes, with a definition beside
  the controller where its library has a warm-up in it. It needs an example in
  ``tests/converters/examples.py``, or records with ``metrics``.
- Build the definition from the kinds and the helpers of `kit`; what the kinds refuse is reported
  for the converter. Prefer the preset that a person would write to a pile of parts.
- A second file is for an idea of its own (`torch_chains`); one that registers schedulers stands in
  `registry.FURTHER_FILES`.
- Each scheduler needs a record of its library's own values in ``tests/converters/golden/further``,
  and each parameter that acts one in which it is not its default; a test names what has none.
"""

from rheostat.converters.configs import ConfigConversion, config_conversion, convert_config
from rheostat.converters.core import Conversion
from rheostat.converters.request import conversion, convert

__all__ = [
    "ConfigConversion",
    "Conversion",
    "config_conversion",
    "conversion",
    "convert",
    "convert_config",
]
