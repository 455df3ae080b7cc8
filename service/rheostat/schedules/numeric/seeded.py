"""
Random numbers that are a function of a seed and a step, with the same bits everywhere.

The generator is SplitMix64 (Steele, Lea and Flood 2014): its n-th output is a hash of the seed
plus n times an odd constant, so that any step costs the same. All of it is arithmetic on 64-bit
integers.

The quantile of the normal distribution is algorithm AS 241 (Wichura 1988, Applied Statistics 37), a
quotient of polynomials in each of three regions; its logarithm is a series here, since those of
mathematical libraries differ between machines.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rheostat.schedules.numeric.arrays import Floats

_STRIDE: Final = np.uint64(0x9E3779B97F4A7C15)


def splitmix64(seed: int, n: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return outputs number n (from 0) of the generator with this seed, 0 ≤ seed < 2^64."""
    z = np.uint64(seed) + (n.astype(np.uint64) + np.uint64(1)) * _STRIDE
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed: int, n: NDArray[np.int64]) -> Floats:
    """Return numbers spread evenly over (−1, 1): odd multiples of 2^−52, none of them 0."""
    return ((splitmix64(seed, n) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-51 - 1.0


_Coefficients = tuple[float, ...]

_CENTRE: Final[tuple[_Coefficients, _Coefficients]] = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_FLANK: Final[tuple[_Coefficients, _Coefficients]] = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_TAIL: Final[tuple[_Coefficients, _Coefficients]] = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)
_LN2: Final = 0.6931471805599453


def quantile(q: Floats) -> Floats:
    """Return z with Φ(z) = ½ + q, for −½ < q < ½."""
    with np.errstate(divide="ignore"):
        r = np.sqrt(-_log(0.5 - np.abs(q)))
    centre = q * _quotient(_CENTRE, 0.180625 - q * q)
    outside = np.where(r <= 5, _quotient(_FLANK, r - 1.6), _quotient(_TAIL, r - 5.0))
    return np.where(np.abs(q) <= 0.425, centre, np.copysign(outside, q))


@lru_cache(1024)
def half_mass(x: float) -> float:
    """Return Φ(x) − ½ for x ≥ 0, correctly rounded: the series in 80 digits."""
    if x > 9:
        return 0.5
    with localcontext(prec=80):
        square, term, total, k = Decimal(x) ** 2 / 2, Decimal(x), Decimal(0), 0
        while abs(term) > Decimal("1e-40"):
            total += term / (2 * k + 1)
            k += 1
            term *= -square / k
        return float(total / (2 * _pi()).sqrt())


def _quotient(polynomials: tuple[_Coefficients, _Coefficients], x: Floats) -> Floats:
    above, below = (_horner(coefficients, x) for coefficients in polynomials)
    return above / below


def _horner(coefficients: _Coefficients, x: Floats) -> Floats:
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def _log(x: Floats) -> Floats:
    """Return ln x for 0 < x ≤ ½, by 2·artanh((m − 1)/(m + 1)) of the mantissa."""
    mantissa, exponent = np.frexp(x)
    s = (mantissa - 1) / (mantissa + 1)
    square = s * s
    series = np.zeros_like(x)
    for k in range(41, 0, -2):
        series = series * square + 1 / k
    logarithm: Floats = exponent * _LN2 + 2 * s * series
    return logarithm


def _pi() -> Decimal:
    return Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640629")
