"""The table of Composer's schedulers."""

from rheostat.schedules.convert.library import Library

library = Library("composer")
