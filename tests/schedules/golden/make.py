"""
Write the golden cases that come from formulas; those of other origins are kept.

    python -m tests.schedules.golden.make
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.schedules.reference import Json, value

FORMULA = "the formula in 60 digits: tests/schedules/reference.py"

LINE = {"kind": "linear", "start": 0.1, "end": 0.9, "steps": 7}
WAVE = {"kind": "cosine", "start": 0.3, "end": 0.01, "steps": 90}
FALL = {"kind": "exponential", "start": 0.1, "factor": 0.97}
SHAPES = (
    "linear",
    "cosine",
    "1-sqrt",
    "power",
    "polynomial",
    "exponential",
    "rational",
    "logarithmic",
)

CASES: dict[str, list[tuple[Json, list[int]]]] = {
    "constant": [({"value": 0.1}, [0, 1, 10**15]), ({"value": -3}, [0, 5])],
    "linear": [
        ({"start": 0.1, "end": 0.001, "steps": 7}, [0, 1, 2, 3, 6, 7, 8, 10**15]),
        ({"start": -1.0, "end": 3.0, "steps": 3}, [0, 1, 2, 3]),
        ({"start": 1e-3, "end": 1.0, "steps": 2**53 - 1}, [0, 1, 10**15, 2**53 - 2, 2**53 - 1]),
    ],
    "cosine": [
        ({"start": 0.1, "end": 0.001, "steps": 50}, [0, 1, 2, 24, 25, 26, 48, 49, 50, 51, 200]),
        ({"start": 0.1, "end": 0.001, "steps": 50, "periodic": True}, [*range(201)]),
        ({"start": 1e-3, "end": 0.0, "steps": 10**12}, [1, 10**6, 5 * 10**11, 10**12 - 1]),
    ],
    "polynomial": [
        ({"start": 0.1, "end": 0.0, "steps": 200, "power": 2}, [*range(202)]),
        ({"start": 0.1, "end": 0.02, "steps": 30, "power": 0.5}, [0, 1, 15, 29, 30, 31]),
        ({"start": 0.1, "end": 0.02, "steps": 30, "power": 3.7}, [0, 1, 15, 29, 30, 31]),
        (
            {"start": 0.1, "end": 0.01, "steps": 10, "power": 2, "cycle": True},
            [0, 1, 9, 10, 11, 12, 20, 21, 29, 30, 31, 995],
        ),
    ],
    "ramp": [
        (
            {"start": 0.3, "end": 0.01, "steps": 9, "shape": shape, "power": 2.5, "ratio": 0.2}
            | ({"mirrored": True} if mirrored else {}),
            [0, 1, 4, 5, 8, 9, 10],
        )
        for shape in SHAPES
        for mirrored in (False, True)
    ],
    "sigmoid": [
        (
            {"start": 0.1, "end": 0.001, "center": 70, "width": 10},
            [0, 1, 69, 70, 71, 140, 500, 10**6],
        ),
        ({"start": 0.0, "end": 1.0, "center": 12.5, "width": 0.5}, [0, 12, 13, 25, 400]),
    ],
    "exponential": [
        ({"start": 0.1, "factor": 0.96}, [*range(100), 1000, 20000]),
        ({"start": 0.1, "factor": 0.5, "every": 7.5}, [0, 1, 7, 8, 15, 16, 75]),
        ({"start": 0.1, "factor": 0.5, "every": 3, "staircase": True}, [0, 2, 3, 5, 6, 30]),
        ({"start": 0.1, "factor": 0.9, "floor": 0.05}, [0, 6, 7, 100]),
        ({"start": 0.1, "factor": 0.0}, [0, 1, 2]),
        ({"start": 0.1, "factor": 1.0}, [0, 10**9]),
    ],
    "inverse_sqrt": [
        ({"start": 1e-3, "timescale": 4000}, [0, 1, 4000, 12000, 10**9]),
        ({"start": 1e-3, "timescale": 7, "power": 0.51}, [0, 1, 7, 100]),
    ],
    "inverse_time": [
        ({"start": 0.1, "rate": 0.5, "every": 3}, [0, 1, 2, 3, 4, 6, 1000]),
        ({"start": 0.1, "rate": 0.5, "every": 3, "staircase": True}, [0, 2, 3, 5, 6]),
    ],
    "multistep": [
        (
            {"start": 0.1, "milestones": [30, 10, 20, 20], "factor": 0.1},
            [0, 9, 10, 11, 19, 20, 29, 30, 31],
        ),
        ({"start": 0.1, "milestones": [0], "factor": 2.0}, [0, 1]),
        ({"start": 0.1, "milestones": [], "factor": 2.0}, [0, 1]),
    ],
    "piecewise": [
        (
            {"points": [[2, 0.1], [5, 0.4], [24, 0.0]], "interpolation": how},
            [0, 1, 2, 3, 4, 5, 6, 14, 23, 24, 25],
        )
        for how in ("previous", "linear", "cosine")
    ]
    + [
        (
            {"points": [[0, 1e-6], [9.5, 0.1], [20, 1e-3]], "interpolation": "geometric"},
            [0, 1, 5, 9, 10, 19, 20, 21],
        ),
        ({"points": [[0, 0.004], [10.1, 0.1], [36, 4e-7]]}, [0, 9, 10, 11, 35, 36, 37]),
        ({"points": [[3, 0.5]]}, [0, 3, 4]),
    ],
    "table": [({"values": [0.1, 0.05, 0.2]}, [0, 1, 2, 3, 10**12])],
    "sequence": [
        (
            {
                "parts": [
                    {"schedule": LINE, "steps": 5},
                    {"schedule": WAVE, "until": 30, "from": 45},
                    {"schedule": FALL, "from": 2},
                ]
            },
            [0, 4, 5, 6, 29, 30, 31, 100],
        ),
        ({"parts": [{"schedule": WAVE, "steps": 40}]}, [0, 39, 40, 41, 90]),
        (
            {"parts": [{"schedule": LINE, "steps": 0}, {"schedule": WAVE, "from": 0.5}]},
            [0, 1, 89, 90],
        ),
    ],
    "repeat": [
        ({"of": WAVE, "every": 90, "peak_factor": 0.5}, [0, 1, 89, 90, 91, 179, 180, 9000]),
        (
            {"of": WAVE, "every": 90, "period_factor": 2, "peak_factor": 0.5, "cycles": 3},
            [0, 89, 90, 91, 269, 270, 271, 629, 630, 631],
        ),
        ({"of": WAVE, "every": 90, "period_factor": 1.5}, [89, 90, 224, 225, 427, 428, 10000]),
        ({"of": LINE, "every": 7.5}, [0, 7, 8, 14, 15, 16, 22, 23]),
        ({"of": WAVE, "every": 90, "period_factor": 1.02}, [0, 89, 90, 181, 182, 9000, 10**6]),
        (
            {"of": WAVE, "every": 90, "period_factor": 0.5, "peak_factor": 2, "cycles": 9},
            [0, 89, 90, 91, 134, 135, 136, 157, 158, 174, 175, 178, 179, 180, 181, 10**6],
        ),
    ],
    "stretch": [
        ({"of": WAVE, "ratio": 1.5}, [0, 1, 134, 135, 136]),
        ({"of": WAVE, "ratio": 0.3}, [0, 1, 26, 27, 28]),
    ],
    "warp": [
        (
            {"of": WAVE, "steps": 90, "shape": "power", "power": 1.5},
            [0, 1, 45, 89, 90, 91],
        ),
        ({"of": WAVE, "steps": 40, "shape": "cosine"}, [0, 1, 20, 39, 40, 41]),
    ],
    "staircase": [({"of": WAVE, "every": 12}, [0, 11, 12, 13, 84, 89, 90, 95, 96, 97])],
    "product": [({"of": [LINE, FALL, WAVE]}, [0, 1, 6, 7, 8, 90])],
    "sum": [({"of": [LINE, FALL, WAVE]}, [0, 1, 6, 7, 8, 90])],
    "minimum": [
        ({"of": [LINE, FALL, WAVE]}, [0, 1, 6, 7, 8, 45, 90, 10**12]),
        ({"of": [{**LINE, "end": -0.9}, {"kind": "constant", "value": 0.0}]}, [0, 1, 6, 7]),
    ],
    "maximum": [
        ({"of": [LINE, FALL, WAVE]}, [0, 1, 6, 7, 8, 45, 90, 10**12]),
        (
            {"of": [FALL, {**WAVE, "periodic": True}]},
            [0, 20, 45, 90, 135, 180, 225, 10**12 + 7],
        ),
    ],
    "scale": [({"of": WAVE, "factor": -0.5}, [0, 1, 45, 90])],
    "power": [
        ({"of": WAVE, "exponent": 2}, [0, 1, 45, 90]),
        ({"of": WAVE, "exponent": 0.5}, [0, 1, 45, 90]),
        ({"of": WAVE, "exponent": 1.7}, [0, 1, 45, 90]),
        ({"of": WAVE, "exponent": -1}, [0, 1, 45, 90]),
        ({"of": WAVE, "exponent": -2.5}, [0, 1, 45, 90]),
        ({"of": {"kind": "scale", "factor": -2, "of": WAVE}, "exponent": -3}, [0, 1, 45, 90]),
        ({"of": WAVE, "exponent": 0}, [0, 90]),
    ],
    "clip": [
        ({"of": WAVE, "min": 0.1}, [0, 50, 60, 70, 90]),
        ({"of": WAVE, "min": 0.1, "max": 0.2}, [0, 30, 40, 50, 60, 70, 90]),
    ],
    "quantize": [
        (
            {
                "of": {"kind": "linear", "start": 192, "end": 2048, "steps": 9765625},
                "multiple": 16,
                "rounding": rounding,
            },
            [0, 1, 84186, 84187, 168372, 168373, 4209321, 9765624, 9765625, 9765626],
        )
        for rounding in ("floor", "ceil", "nearest")
    ]
    + [
        (
            {
                "of": {"kind": "table", "values": [0.3, -0.3, 0.05, -0.05, 0.25]},
                "multiple": 0.1,
                "rounding": rounding,
            },
            [0, 1, 2, 3, 4],
        )
        for rounding in ("floor", "ceil", "nearest")
    ],
    "step": [({"start": 0.1, "every": 7, "factor": 0.1}, [0, 6, 7, 13, 14, 70])],
    "warmup": [
        (
            {"steps": 8, "start": 0.01, "shape": shape, "power": 2, "ratio": 0.3, "then": WAVE},
            [0, 1, 4, 7, 8, 9, 98, 99],
        )
        for shape in SHAPES
    ]
    + [({"steps": 0, "then": WAVE}, [0, 1])]
    + [
        ({"steps": 8, "start": 0.01, "ahead": ahead, "then": WAVE}, [0, 1, 5, 6, 7, 8, 9, 98])
        for ahead in (1, 2, 9)
    ],
    "wsd": [
        (
            {
                "peak": 0.3,
                "warmup": 4,
                "warmup_start": 0.1,
                "stable": 5,
                "decay": 8,
                "end": 0.01,
                "decay_shape": shape,
                "power": 2,
            },
            [0, 1, 3, 4, 8, 9, 10, 13, 16, 17, 18],
        )
        for shape in SHAPES
    ]
    + [
        ({"peak": 0.3, "warmup": 4, "decay": 8}, [0, 3, 4, 10**9]),
        (
            {"peak": 0.3, "warmup": 4, "warmup_ahead": 1, "stable": 5, "decay": 8},
            [0, 1, 2, 3, 4, 9, 10, 17],
        ),
    ],
    "one_cycle": [
        (
            {"peak": 0.1, "steps": 99, "start": 0.004, "end": 4e-7, "up": 29 / 99, **more},
            [0, 1, 28, 29, 30, 57, 58, 59, 98, 99, 100],
        )
        for more in ({}, {"shape": "linear"}, {"three_phase": True})
    ],
    "cyclic": [
        (
            {"low": 0.01, "high": 0.1, "up": 5, "down": 8, **more},
            [0, 1, 4, 5, 6, 12, 13, 14, 18, 26, 39, 130],
        )
        for more in (
            {},
            {"shape": "cosine"},
            {"amplitude": "halving"},
            {"amplitude": "exponential", "gamma": 0.99},
        )
    ],
    "cosine_restarts": [
        (
            {"start": 0.1, "end": 0.01, "period": 10, **more},
            [0, 1, 9, 10, 11, 25, 29, 30, 31, 69, 70, 71, 1000],
        )
        for more in (
            {},
            {"period_factor": 2},
            {"period_factor": 1.5, "peak_factor": 0.5},
            {"peak_factor": 0.5, "cycles": 3},
            {"period": 7.5},
        )
    ],
}


def of_formulas(kind: str) -> list[dict[str, Any]]:
    """Return the cases of a kind with the values that its formula gives."""
    return [
        {
            "origin": FORMULA,
            "definition": {"kind": kind, **fields},
            "steps": steps,
            "values": [float(value({"kind": kind, **fields}, t)) for t in steps],
        }
        for fields, steps in CASES[kind]
    ]


def write(path: Path, cases: list[dict[str, Any]]) -> None:
    """Write cases, one on each line."""
    lines = ",\n".join(json.dumps(case) for case in cases)
    path.write_text(f"[\n{lines}\n]\n")


def main() -> None:
    """Write one file for each kind."""
    for kind in CASES:
        path = Path(__file__).parent / f"{kind}.json"
        kept = json.loads(path.read_text()) if path.exists() else []
        others = [case for case in kept if case["origin"] != FORMULA]
        write(path, [*of_formulas(kind), *others])


if __name__ == "__main__":
    main()
