"""The table of optax's schedules."""

from rheostat.converters.library import Library

library = Library("optax")
library.metric_driven("contrib.reduce_on_plateau", "reduce_on_plateau")
