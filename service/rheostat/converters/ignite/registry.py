"""The table of Ignite's schedulers."""

from rheostat.converters.library import Library

library = Library("ignite")
library.metric_driven("ReduceLROnPlateauScheduler")
