"""The table of Composer's schedulers."""

from rheostat.converters.library import Library

library = Library("composer")
