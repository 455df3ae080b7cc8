"""Seeded noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rheostat.schedules.definition import About, Bounds, Floats, Followed, Places, array
from rheostat.schedules.fields import Positive, Share
from rheostat.schedules.kinds.pointwise import Unary
from rheostat.schedules.normal import half_mass, quantile
from rheostat.schedules.splitmix import uniform


class Noise(Unary):
    """A definition times one plus noise: a function of seed and step, the same bits everywhere."""

    about = About(
        formula="of(t) · (1 + n(t)), n from output ⌊t⌋ of SplitMix64(seed): uniform in ±amplitude, "
        "or normal with deviation `std`, cut off at ±amplitude",
        after="what the definitions inside hold there",
        example={
            "kind": "noise",
            "seed": 42,
            "amplitude": 0.1,
            "of": {"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 1000},
        },
        names={"timm": "noise_range_t, noise_pct, noise_std, noise_seed"},
        shown=1200,
    )

    kind: Literal["noise"] = "noise"
    seed: Annotated[
        int,
        Field(ge=0, lt=2**63, json_schema_extra={"unit": "none"}, description="which noise it is"),
    ]
    amplitude: Annotated[Share, Field(description="the greatest noise, relative to the value")]
    distribution: Annotated[
        Literal["uniform", "normal"], Field(description="how the noise is spread")
    ] = "uniform"
    std: Annotated[
        Positive, Field(description="the standard deviation before cutting off, if normal")
    ] = 1.0

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return of(t)·(1 + n(t))."""
        return self.of.at(t, followed) * (1 + self._noise(array(t).astype(np.int64)))

    def _noise(self, t: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Floats:
        even = uniform(self.seed, t)
        if self.distribution == "uniform":
            return even * self.amplitude
        noise = self.std * quantile(even * half_mass(self.amplitude / self.std))
        return np.clip(noise, -self.amplitude, self.amplitude)

    @property
    def wavelength(self) -> None:
        """None: noise does not come again."""
        return None

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the interval times 1 ± amplitude."""
        noise = Bounds(1 - self.amplitude, 1 + self.amplitude)
        return self.of.between(start, stop, followed).times(noise)

    @property
    def length(self) -> None:
        """None: the noise never ends."""
        return None
