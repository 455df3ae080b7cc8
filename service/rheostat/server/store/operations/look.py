"""Looking whether something of a run has come that somebody waits for."""

from __future__ import annotations

from dataclasses import dataclass

from rheostat import wire
from rheostat.server.runs.crowd import Crowd
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.proposal import ProposalState
from rheostat.server.runs.status import status
from rheostat.server.store.operations.show import Watched, state, watched
from rheostat.server.store.operations.workers import crowd_of
from rheostat.server.store.records import Records

NUMBERED = frozenset({"step", "revision", "proposal"})
"""What is waited for by its number."""

ENDS = frozenset({"finished", "stopped", "ended"})
"""States of a run to which nothing more comes by itself."""

COME = frozenset({"reached", "proven", "done", "failed"})
"""States of a revision to which all workers have come, or said what became of it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: whether it has come, and whether it still can; ``event`` is the newest."""

    found: wire.WaitedFor
    over: bool
    event: int


def look(
    records: Records, ref: str, roster: Roster, until: wire.Until, number: int | None
) -> Looked:
    """
    Return whether something has come.

    ``number`` is the step, the revision or the proposal, or the number of the newest report seen.
    """
    run = records.find(ref)
    lineage = records.lineage(run)
    crowd = crowd_of(records, run, roster)
    summary = state(run, lineage)
    stands, settled = status(summary, crowd.turnout), summary["settled_until"]
    reports = records.reports.newest(run.id)
    here = settled if crowd.last is None else crowd.last
    over = stands in ENDS
    if until == "report":
        held = number is not None and reports > number
        detail = f"report {reports} is the newest"
    elif until == "step":
        held = here > (number or 0)
        detail = f"the last worker is at step {here}"
        if crowd.last is None:
            detail = f"no worker says where it is, and {settled} is the first step that is open"
    elif until == "revision":
        held, over, detail = _of_revision(watched(records, run.id, number or 0, crowd.front), crowd)
    elif until == "proposal":
        proposal = records.proposals.one(run.id, number or 0)
        held = over = proposal.state is not ProposalState.OPEN
        detail = f"proposal {proposal.number} is {proposal.state}"
        if proposal.reason:
            detail += f": {proposal.reason}"
    else:
        held, detail = over, f"the run is {stands}"
    found: wire.WaitedFor = {
        "id": run.id,
        "until": until,
        "held": held,
        "detail": detail,
        "state": stands,
        "generation": run.generation,
        "revision": run.revision,
        "settled_until": settled,
        "step": crowd.last,
        "reports": reports,
    }
    return Looked(found, over, run.newest_event(lineage))


def _of_revision(found: Watched, crowd: Crowd) -> tuple[bool, bool, str]:
    """Return whether a revision has come, whether waiting is over, and where it stands."""
    standing = found.revision["state"]
    held = standing in COME or (standing == "settled" and not crowd.training)
    over = held or standing in {"cancelled", "dropped"}
    return held, over, f"revision {found.revision['revision']} is {standing}"
