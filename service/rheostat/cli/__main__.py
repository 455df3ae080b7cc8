"""``python -m rheostat.cli`` is the command `rheostat`."""

from rheostat.cli import main

main()
