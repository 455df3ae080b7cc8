"""The table of PyTorch's schedulers."""

from rheostat.converters.library import Library

library = Library("torch")
library.metric_driven("ReduceLROnPlateau")
