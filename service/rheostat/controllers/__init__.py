"""
Controllers: rules that read a metric and decide, as pure functions of what was reported.

>>> from rheostat.controllers import parse_controller, simulate
>>> plateau = parse_controller(
...     {"kind": "plateau", "metric": "val_loss", "factor": 0.5, "patience": 1}
... )
>>> found = simulate(plateau, [(100, 2.0), (200, 1.5), (300, 1.6), (400, 1.7), (500, 1.4)])
>>> found.decisions[0]["message"]
'val_loss has not been better than 1.5 (step 200) for 2 reports'
>>> found.values
[1.0, 1.0, 1.0, 0.5, 0.5]

A controller does not know of runs, databases or other controllers: the service arms it on a run and
steps it with each report, a converter makes one of another library's class, and `simulate` shows
what it would do.
"""

from __future__ import annotations

from rheostat.controllers.controller import After, Controller, Gate, State, Step
from rheostat.controllers.decided import Acting
from rheostat.controllers.guard import Guard
from rheostat.controllers.numbers import (
    bits_of_value,
    json_of_value,
    value_of_bits,
    value_of_json,
)
from rheostat.controllers.parse import CONTROLLER, CONTROLLERS, KINDS, parse_controller
from rheostat.controllers.plateau import Plateau
from rheostat.controllers.rule import Rule
from rheostat.controllers.simulate import Simulation, reports_of_json, simulate
from rheostat.controllers.sources import Sources
from rheostat.controllers.stopping import Stop

__all__ = [
    "CONTROLLER",
    "CONTROLLERS",
    "KINDS",
    "Acting",
    "After",
    "Controller",
    "Gate",
    "Guard",
    "Plateau",
    "Rule",
    "Simulation",
    "Sources",
    "State",
    "Step",
    "Stop",
    "bits_of_value",
    "json_of_value",
    "parse_controller",
    "reports_of_json",
    "simulate",
    "value_of_bits",
    "value_of_json",
]
