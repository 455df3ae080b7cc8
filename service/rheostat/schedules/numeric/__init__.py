"""
The numeric core: curves as functions of the step, exact and the same bits however they are asked.

Every curve takes the step ``t ≥ 0`` first, counted from the curve's own origin: a number gives a
``float``; a ``range``, or a one-dimensional array of whole steps or of places between steps, in
any order, gives a ``float64`` array. The other parameters are finite numbers that the caller has
checked. Curves between two values hold their end past ``steps``.

======================================  ===================================================
``linear(t, start, end, steps)``        from start to end
``cosine(t, start, end, steps)``        half a cosine wave from start to end
``cosine_periodic(t, …)``               the same wave going on, with period 2·steps
``polynomial(t, …, steps, power)``      end + (start − end)·(1 − t/steps)^power
``geometric(t, start, end, steps)``     start^(1 − y)·end^y, y = t/steps
``exponential(t, start, factor, e)``    start·factor^(t/e)
``inverse_power(t, start, s, power)``   start·(s/(s + t))^power
``inverse_time(t, start, rate, e)``     start/(1 + rate·t/e)
``shaped(t, start, end, steps, s)``     from start to end along a `Shape`
``weight(shape, n, d)``                 the pair (w, 1 − w) of a shape at n/d
``mix(start, end, w, v)``               start·w + end·v, between start and end
``power(values, exponent)``             the power of each value, from 0 to infinity
``signed_power(values, exponent)``      that of negative values too
``to_multiple(values, m, rounding)``    the multiple of m below, above or nearest to each value
``quotient(t, ratio)``                  t/ratio, and what its rounding left over
``two_product(a, b)``, ``two_sum``      the same of products and sums
``remainder(t, period)``                t modulo a period, which need be no float64
======================================  ===================================================

A `Shape` is how a weight falls from 1 (y = 0) to 0 (y = 1), as in ``Shape("power", power=2.0)``:

===============  =========================================================
``linear``       1 − y
``cosine``       (1 + cos πy)/2
``1-sqrt``       1 − √y
``power``        1 − y^power
``polynomial``   (1 − y)^power
``exponential``  (ratio^y − ratio)/(1 − ratio), ratio > 0 and not 1
``rational``     (1 − y)/(1 − (1 − ratio)·y), ratio > 0
``logarithmic``  ln(ratio + (1 − ratio)·y)/ln ratio, ratio > 0 and not 1
===============  =========================================================

At whole steps up to 2^53, values of curves are within 4 units in the last place of the exact ones,
near their ends and near zero too, never outside of the curve's two ends, and at those ends exact.
``linear.curve(start, end, steps)`` and the like give the `Curve` alone, for many single steps.
"""

from rheostat.schedules.numeric.arrays import Curve, two_sum
from rheostat.schedules.numeric.build import Shape, ShapeName
from rheostat.schedules.numeric.elementwise import (
    COUNTED,
    power,
    quotient,
    remainder,
    signed_power,
    to_multiple,
    two_product,
)
from rheostat.schedules.numeric.functions import (
    cosine,
    cosine_periodic,
    exponential,
    geometric,
    inverse_power,
    inverse_time,
    linear,
    mix,
    polynomial,
    shaped,
    weight,
)

__all__ = [
    "COUNTED",
    "Curve",
    "Shape",
    "ShapeName",
    "cosine",
    "cosine_periodic",
    "exponential",
    "geometric",
    "inverse_power",
    "inverse_time",
    "linear",
    "mix",
    "polynomial",
    "power",
    "quotient",
    "remainder",
    "shaped",
    "signed_power",
    "to_multiple",
    "two_product",
    "two_sum",
    "weight",
]
