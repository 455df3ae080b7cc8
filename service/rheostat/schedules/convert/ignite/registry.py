"""The table of Ignite's schedulers."""

from rheostat.schedules.convert.library import Library

library = Library("ignite")
library.metric_driven("ReduceLROnPlateauScheduler")
