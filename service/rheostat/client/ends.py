"""What a training is told where it ends before its own end: by whom, and how to go on."""

from __future__ import annotations

from rheostat.client.joined import JoinedRun
from rheostat.errors import Finished, Stopped


def words(joined: JoinedRun, end: Finished, *, untrained: bool) -> str:
    """Return what the log says where a training ends, or has nothing left to train."""
    told = end.members
    step, revision = told.get("end"), told.get("revision")
    where = f" at {joined.axis.removesuffix('s')} {step:,}" if isinstance(step, int) else ""
    by = f" by revision {revision}" if revision else ""
    who = f" of {told['author']}" if by and told.get("author") else ""
    why = f": {str(told['message']).rstrip('.')}" if told.get("message") else ""
    what = "stopped" if isinstance(end, Stopped) else "finished"
    said = [f"run {joined.name} is {what}{where}{by}{who}{why}"]
    said += ["Nothing is trained"] if untrained else []
    said += [f"To go on: rheostat run resume {joined.name}"] if isinstance(end, Stopped) else []
    return ". ".join(said)
