"""
The numeric core: curves as functions of the step, exact and the same bits however they are asked.

Every curve takes the step ``t`` first, counted from the curve's own origin: an ``int >= 0`` gives
a ``float``, an ``int64`` array (one-dimensional, any order, any size) gives a ``float64`` array.
Parameters are finite and validated by the caller. Finite curves hold their end past ``steps``.

==========================================================  =======================================
``linear(t, start, end, steps)``                            from start to end
``cosine(t, start, end, steps)``                            half a cosine wave from start to end
``cosine_periodic(t, start, end, steps)``                   the same wave going on, period 2·steps
``polynomial(t, start, end, steps, power)``                 end + (start − end)·(1 − t/steps)^power
``geometric(t, start, end, steps)``                         start^(1 − y)·end^y, y = t/steps
``exponential(t, start, factor, every)``                    start · factor^(t/every)
``inverse_power(t, start, timescale, power)``               start · (timescale/(timescale + t))^power
``inverse_time(t, start, rate, every)``                     start / (1 + rate·t/every)
``shaped(t, start, end, steps, shape)``                     from start to end along a `Shape`
``weight(shape, n, d)``                                     the pair (w, 1 − w) of a shape at n/d
``mix(start, end, w, v)``                                   start·w + end·v, between start and end
==========================================================  =======================================

A `Shape` is how something falls from 1 (y = 0) to 0 (y = 1), as ``Shape("power", power=2.0)``:

===============  =================================================================================
``linear``       1 − y
``cosine``       (1 + cos πy)/2
``1-sqrt``       1 − √y
``power``        1 − y^power
``polynomial``   (1 − y)^power
``exponential``  (ratio^y − ratio)/(1 − ratio), ratio > 0 and not 1
===============  =================================================================================
"""

from rheostat.schedules.numeric.curves import (
    Shape,
    ShapeName,
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
    "shaped",
    "weight",
]
