"""The beats of a training: where it is and what it applied, said in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import finalize

from rheostat.client._async.handle import AsyncHandle
from rheostat.client.applied import ALL_F64, Applied, Window, number_of
from rheostat.client.beats import (
    AGAIN_WRONG,
    FOLD_EVERY,
    LEAST_GAP,
    Sending,
    Sitting,
    Told,
    beaten_answer,
    share,
    speaker,
)
from rheostat.client.calls import coordinate, invalid
from rheostat.client.joined import HighWaterMark, JoinedRun
from rheostat.client.measured import Remarks
from rheostat.client.reading import Reading
from rheostat.client.retry import LONGEST_ASKED, Trouble, judged
from rheostat.client.settings import is_worker
from rheostat.errors import (
    Closed,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    RheostatError,
    StaleGeneration,
    Unauthenticated,
    WentBack,
)
from rheostat.saying import log

if TYPE_CHECKING:
    from rheostat.client._async.session import AsyncSession
    from rheostat.wire import SlotType

GLANCE = 0.02
"""Seconds between two looks at whether the last beat was sent."""


class AsyncBeats:
    """
    What one handle of a run says of its training, from the first value that is read on.

    It knows nothing of the handle: when that is let go, the worker has ended.
    """

    def __init__(self, session: AsyncSession, name: str) -> None:
        self._session = session
        self._name = name
        self.renew()

    def renew(self) -> None:
        """Begin with nothing, as in a child of a fork, where no other thread is."""
        network = self._session.network
        self.job: str | None = None
        self.recorder: Applied | None = None
        """What takes what was applied; None where nobody would be told of it."""
        self.sitting: Sitting | None = None
        self._left: Sitting | None = None
        """That of the join before, if something of it is to be said yet."""
        self._lock = threading.Lock()
        """Guards whether it is told, and is never kept while waiting."""
        self._tells = self._ends = self._urgent = False
        self._refused = False
        """Whether the service takes no beats."""
        self._due = self._last = 0.0
        """When the next beat is, and when the last one was, by the monotonic clock."""
        self._again = 0.0
        self._remarks = Remarks(self._name)
        self._bell = network.bell()
        self._background = network.background(f"rheostat beats {self._name}")

    def sit(self, joined: JoinedRun, reading: Reading, mark: HighWaterMark) -> None:
        """Begin anew, as one who has joined just now."""
        before, settings = self.sitting, self._session.settings
        if before is not None and before.begun and before.applied:
            self._left = before
        self.sitting = self.recorder = None
        self._refused = False
        if not settings.beats or joined.again is None:
            return
        self.sitting = Sitting(joined, reading, mark)
        self._again = joined.again
        if settings.proof is not None:
            self.recorder = self.sitting.applied

    def begin(self) -> None:
        """Beat from now on: the training reads. It costs next to nothing, and never raises."""
        sitting = self.sitting
        if sitting is None or (sitting.begun and self._tells):
            return
        if not sitting.begun:
            sitting.begun = True
            self._due = time.monotonic() + self._again * share()  # ranks begin at one moment
        with self._lock:
            if self._tells or self._ends or self._refused:
                return
            self._tells = True
        self._session.flushing.add(self)
        try:
            self._background.do(self._tell)
        except RheostatError as error:  # another event loop, or none
            self._tells = False
            log.debug("no beats: %s", error)

    def waits(self, *, held: bool) -> None:
        """Take in whether the training waits at a pause or a gate."""
        if self.sitting is not None:
            self.sitting.waits = held

    def blocks(self, since: float | None) -> None:
        """Take in since when the training waits for values; None: it goes on."""
        if self.sitting is not None:
            self.sitting.blocks(since)

    def counts(self, step: int) -> None:
        """Take in how many updates are done."""
        if self.sitting is not None:
            self.sitting.at = step

    def hurry(self) -> None:
        """Have something said soon."""
        self._urgent = True
        self._bell.ring()

    def refused(self, about: str, error: RheostatError) -> None:
        """Say once that something cannot be meant."""
        self._remarks.refused(about, error)

    def leave(self) -> None:
        """Say at the next look that the training has ended."""
        self._ends = True

    async def flush(self, timeout: float) -> bool:
        """Say that the training has ended; return whether that is said, within ``timeout``."""
        until = time.monotonic() + timeout
        bell = self._session.network.bell()
        self._ends = True
        while self._tells and time.monotonic() < until:
            self._bell.ring()
            await bell.wait(GLANCE)
        return not self._tells

    async def _tell(self) -> None:
        """Beat when it is due, until the training has ended."""
        try:
            while not self._refused:
                await self._rest()
                ends = self._ends
                await self._say(ends=ends)
                if ends:
                    break
        except Closed:
            log.debug("the client was closed before the last beat")
        finally:
            self._tells = False

    async def _rest(self) -> None:
        """Wait until something is to be said; make windows of what was recorded meanwhile."""
        while not self._ends:
            soonest = self._last + LEAST_GAP  # whatever a service says
            due = soonest if self._urgent else max(self._due, soonest)
            left = due - time.monotonic()
            if left <= 0:
                return
            await self._bell.wait(min(left, FOLD_EVERY))
            self._fold()

    async def _say(self, *, ends: bool) -> None:
        sitting, left = self.sitting, self._left
        self._urgent, self._last = False, time.monotonic()
        self._due = self._last + self._again
        if left is not None:
            await self._say_of_left(left)
        if sitting is None or not sitting.begun:
            return
        self._fold()
        if ends:
            sitting.applied.close()
        while await self._beat(sitting, ends=ends) and ends and sitting.applied:
            pass  # nobody will say the rest later

    def _fold(self) -> None:
        sitting = self.sitting
        if sitting is None:
            return
        sitting.fold(self._again)
        if sitting.applied.slips:
            self._remarks.once(
                ("slip",),
                "step %s is said to be applied, and was not served to this worker: it is left out."
                " `applied` takes the step whose values were used",
                f"{sitting.applied.slips.pop():,}",
            )

    async def _say_of_left(self, left: Sitting) -> None:
        """Say what was applied in the generation that was left: nobody else will."""
        left.fold(self._again)
        left.applied.close()
        while left.applied:
            if not await self._beat(left, ends=False):
                return
        self._left = None

    async def _beat(self, sitting: Sitting, *, ends: bool) -> bool:
        """Send a beat, and what it is asked for; return whether nothing of it is to be repeated."""
        who = speaker(self._session.settings.worker, self.job)
        sending = sitting.beat(who, ended=ends)
        told = await self._send(sitting, sending)
        if told is None:
            return False
        compared = sitting.heard(sending, who.worker, told)
        if compared:
            self._warn(sitting, who.worker, compared[0])
        for window in compared:
            if await self._send(sitting, sitting.beat(who, ended=ends, compare=window)) is None:
                return False
            sitting.drop([window])
        return True

    async def _send(self, sitting: Sitting, sending: Sending) -> Told | None:
        """Return the answer, which asks for nothing where it is a refusal; None: send it again."""
        answer = judged(await self._session.network.send(sending.call), beaten_answer)
        if isinstance(answer, Trouble):
            return None if self._is_to_be_repeated(sitting, answer) else Told(self._again)
        if sitting is self.sitting:
            self._again = answer.again
            self._due = self._last + answer.again
        return answer

    def _is_to_be_repeated(self, sitting: Sitting, trouble: Trouble) -> bool:
        """Learn from a beat that was not taken; no trouble of it is the training's."""
        log.debug("a beat was not taken: %s", trouble)
        error = trouble.error
        if trouble.status is None or trouble.passes(repeatable=True):
            again = min(self._again, AGAIN_WRONG) if sitting.applied.wrong else self._again
            self._due = time.monotonic() + max(again, min(trouble.asked, LONGEST_ASKED))
            return True
        if isinstance(error, WentBack):
            sitting.mark.heard(error)
        elif isinstance(error, NotFound | MethodNotAllowed):
            self._refused = True  # a service of another release, or a run that was deleted
            self.recorder = None
        elif not isinstance(error, StaleGeneration) and isinstance(error, RheostatError):
            self._remarks.refused("a beat", error)
        return isinstance(error, Unauthenticated | Forbidden)

    def _warn(self, sitting: Sitting, worker: str, window: Window) -> None:
        self._remarks.once(
            ("applied", sitting.session),
            "this worker, %s, applied another value than was served, at or after step %s:"
            " `rheostat run mismatches %s` tells which",
            *(worker, f"{window.start:,}", sitting.joined.name),
        )


class AsyncBeating(AsyncHandle):
    """What a training says of where it is, and of what it applied."""

    _joined: JoinedRun
    _reading: Reading
    _held: Mapping[str, Mapping[int, float]]
    _names: frozenset[str]

    def __init__(self, session: AsyncSession, joined: JoinedRun) -> None:
        super().__init__(session, joined.id)
        self._beats = AsyncBeats(session, joined.name)
        finalize(self, self._beats.leave).atexit = False

    @property
    def job(self) -> str | None:
        """
        The id of the ranks that train together, by which a new attempt's replace the older ones'.

        Adapters agree on one among the ranks, and set it; by default it is that of TorchElastic or
        Slurm, if the training was started by one of them. 1 to 128 of ``A-Z a-z 0-9 . _ : -``.
        """
        return self._beats.job

    @job.setter
    def job(self, job: str | None) -> None:
        if job is not None and not is_worker(job):
            raise invalid("job", job, "1 to 128 of A-Z a-z 0-9 . _ : -, or None")
        self._beats.job = job

    def applied(
        self,
        step: int,
        values: Mapping[str, float] | None = None,
        *,
        dtypes: Mapping[str, SlotType] = ALL_F64,
    ) -> None:
        """
        Say that the update of a step was made, and with which values: the service checks them.

        Call it once for each update, with all that was applied in it, when it was made; not for an
        update that was skipped, and not beside an adapter such as `rheostat.torch.RheostatLR`,
        which does so itself. A value that is not what was served is found within 256 steps or more,
        by the pace, and one beat: `mismatches` lists it, and this worker's log warns once.

        It returns at once, within a microsecond, and raises nothing: what cannot be meant is said
        in the log, once. What is not said is not claimed. At most 32 MiB wait to be sent; of more,
        some is not claimed. It does nothing where the client has ``proof=None`` or ``beats=False``,
        or where the service takes no beats.

        Args:
            step: The step whose values the update used, in what the run counts.
            values: The number of each parameter as it was applied, best read back from where it
                lies. By default what the run holds there, of the parameters that were read.
            dtypes: ``"f32"`` for each parameter that is applied as a float32; others are float64.
                To hand over the same mapping each time is quickest.

        """
        recorder = self._beats.recorder
        if recorder is None:
            return
        try:
            recorder.record(step, self._row(step) if values is None else values, dtypes)
        except Invalid as error:
            self._beats.refused("what was applied", error)

    def mismatch(self, step: int, parameter: str, found: float, dtype: SlotType = "f64") -> None:
        """
        Say that a value is not what was written, as somebody has overwritten it; return at once.

        For adapters, which read back what they wrote just before an update. It is sent in the
        background, soon: at most once a second. It raises nothing, as `applied`.

        Args:
            step: The step whose value was to be applied.
            parameter: Its name.
            found: What was there instead.
            dtype: ``"f32"`` if it lies there as a float32.

        """
        sitting = self._beats.sitting
        if sitting is None:
            return
        try:
            at, number = coordinate(step), number_of(found, dtype, "found")
            if at // self._joined.resolution >= self._reading.settled:
                raise invalid("step", step, "one whose values were read")
            if parameter not in self._joined.parameters:
                raise invalid(
                    "parameter", parameter, f"one of {', '.join(self._joined.parameters)}"
                )
        except Invalid as error:
            self._beats.refused("a mismatch", error)
            return
        sitting.applied.say_wrong(at, parameter, number, dtype)
        self._beats.hurry()

    def _row(self, step: int) -> dict[str, float]:
        """Return what is held at a step, of the parameters that were read."""
        held = self._held
        if held:
            try:
                return {name: cells[step] for name, cells in held.items()}
            except (KeyError, TypeError):
                pass
        cell = coordinate(step) // self._joined.resolution
        block = self._reading.find(cell)
        if block is None or not self._names:
            raise invalid("step", step, "one whose values were read just now: else name the values")
        return {name: block.value(name, cell) for name in self._names}
