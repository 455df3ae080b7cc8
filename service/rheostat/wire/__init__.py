"""
The answers of the service, as types: what each route sends as JSON, field by field.

The service's functions return these types, its OpenAPI document is made from them, and the client
and the command line hand them on. So a field is named and explained once, here: by the text below
it where its meaning or its unit is not plain. A field may be missing only where it is
`NotRequired`, and an answer has no other fields.

Steps and coordinates are integers in what the run counts (its ``axis``), from 0 to 2^53 − 1; ends
are exclusive; times are ISO 8601, in UTC. Names here are meant to be written with the module's:
``wire.Revision`` is what is sent of a revision.

What types are annotated with is JSON Schema that says more than they do. This module is a leaf: it
imports the standard library alone.
"""

# Annotations of these modules are not postponed: `__required_keys__` would not know `NotRequired`
# in a text. Each name is written with this package: that is what it is for.
# ruff: noqa: F403

from rheostat.wire.agents import *
from rheostat.wire.bulk import *
from rheostat.wire.changes import *
from rheostat.wire.common import *
from rheostat.wire.control import *
from rheostat.wire.events import *
from rheostat.wire.hooks import *
from rheostat.wire.library import *
from rheostat.wire.operations import *
from rheostat.wire.problems import *
from rheostat.wire.proposals import *
from rheostat.wire.runs import *
from rheostat.wire.values import *
from rheostat.wire.workers import *
