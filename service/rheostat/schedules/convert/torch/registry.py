"""The table of PyTorch's schedulers."""

from rheostat.schedules.convert.library import Library

library = Library("torch")
library.metric_driven("ReduceLROnPlateau")
