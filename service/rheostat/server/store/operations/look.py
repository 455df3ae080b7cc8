"""Looking whether something of a run has come that somebody waits for."""

from __future__ import annotations

from dataclasses import dataclass

from rheostat import wire
from rheostat.server.runs.arrival import seen_in, verdict
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


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found; ``event`` is the newest of the run."""

    found: wire.WaitedFor
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
        held, lost, detail = _of_revision(watched(records, run.id, number or 0, crowd.front), crowd)
        over = over or lost
    elif until == "proposal":
        proposal = records.proposals.one(run.id, number or 0)
        held = proposal.state is not ProposalState.OPEN
        over = stands == "finished"  # elsewhere somebody may accept what lets the run go on
        detail = f"proposal {proposal.number} is {proposal.state}"
        if proposal.reason:
            detail += f": {proposal.reason}"
    else:
        held, detail = over, f"the run is {stands}"
    found: wire.WaitedFor = {
        "id": run.id,
        "until": until,
        "held": held,
        "over": held or over,
        "detail": detail,
        "state": stands,
        "generation": run.generation,
        "revision": run.revision,
        "settled_until": settled,
        "step": crowd.last,
        "reports": reports,
    }
    return Looked(found, run.newest_event(lineage))


def _of_revision(found: Watched, crowd: Crowd) -> tuple[bool, bool, str]:
    """
    Return whether all workers have come to a revision, whether none ever will, and where it stands.

    Where nobody can say that they have, that it is settled is as much as can come.
    """
    revision, number = found.revision, found.revision["revision"]
    seen = seen_in(crowd)
    waited = verdict(revision, "reached", found.settled_until, seen, found.resolution)
    if waited is None:
        return False, False, f"revision {number} is {revision['state']}"
    if not waited["met"]:
        waited = verdict(revision, "settled", found.settled_until) or waited
    return waited["met"], not waited["met"], f"revision {number}: {waited['detail']}"
