# Made from _async/client.py by unasync.py: edit that one, and run this.

"""The client: what it is told, what it asks of the service as a whole, and the runs it joins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, get_args, overload

import httpx

from rheostat.changes import Model
from rheostat.client import calls
from rheostat.client._sync.control import Control
from rheostat.client._sync.hooks import Hooks
from rheostat.client._sync.many import Many
from rheostat.client._sync.network import Network
from rheostat.client._sync.run import Run
from rheostat.client._sync.session import Session
from rheostat.client.answers import understood
from rheostat.client.calls import Definition, OtherTotal
from rheostat.client.joined import JoinedRun
from rheostat.client.settings import Settings
from rheostat.limits import MAX_ITEMS

if TYPE_CHECKING:
    from os import PathLike
    from ssl import SSLContext

    from rheostat import wire
    from rheostat.client.calls import RunFilter, RunOptions
    from rheostat.client.revisions import Revision
    from rheostat.errors import AwaitingReport, Paused


class Client(Many):
    """
    A client of one Rheostat service, and a context manager, which closes it.

    The blocking one may be used by many threads, and after a fork; that of asyncio by the tasks of
    one event loop. A pickled copy takes its token from its own environment.
    """

    __module__ = "rheostat.client"  # what a pickle names, which may be kept for years

    def __init__(  # noqa: PLR0913
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 10.0,
        deadline: float = 600.0,
        pause_deadline: float | None = None,
        gate_deadline: float | None = None,
        retries: int = 4,
        lookahead: float = 2.0,
        pace: float | None = None,
        author: str | None = None,
        proof: Literal["applied"] | None = "applied",
        worker: str | None = None,
        beats: bool = True,
        read: Literal["direct", "node"] | None = None,
        verify: bool | str | PathLike[str] | SSLContext = True,
        cert: str | tuple[str, ...] | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """
        Set up a client. It connects when it is first used.

        Args:
            base_url: Such as ``http://rheostat:8000``, without a name or password; by default the
                environment variable ``RHEOSTAT_URL``.
            token: Who is asking; by default the environment variable ``RHEOSTAT_TOKEN``, if set, or
                what is in the file that ``RHEOSTAT_TOKEN_FILE`` names, which is read again when it
                was replaced.
            timeout: Seconds for each phase of one attempt, to connect, to send, to receive, and for
                all of them together; an answer that may be long has a second more for each MiB.
            deadline: Seconds that a worker waits for an unreachable service before `Unreachable`.
                Only a refusal of the service itself, and a redirect, is raised before; and, when it
                joins, a certificate that is not trusted.
            pause_deadline: Seconds that a worker waits where an operator paused the run, before it
                raises `Paused`; by default as long as it takes.
            gate_deadline: Seconds that a worker waits at a gate for a metric that nobody reports,
                before it raises `AwaitingReport`; by default as long as it takes.
            retries: How often other calls than a worker's are repeated before `Unreachable`.
            lookahead: Seconds that a worker's blocks should last: a change reaches it within about
                two of these, or two steps, whichever is longer.
            pace: How many steps (or tokens, or whatever the run counts) a training goes on in a
                second, if that is known: then even its first blocks last for the look-ahead.
                Otherwise a worker holds two cells until it has seen how fast it reads, and waits
                if they are shorter than a request.
            author: Who makes changes, for the history.
            proof: ``"applied"`` proves to the service what was applied: digests of what adapters
                write, and of what `Run.applied` is told, are held against what was served.
                Reading alone claims nothing. None sends no such digest.
            worker: What this process is called among those that train, 1 to 128 of
                ``A-Z a-z 0-9 . _ : -``; by default its ``RANK``, else its host and process.
            beats: Whether a training that reads says in the background, every 5 to some 200
                seconds, where it is. False says nothing at all, and proves nothing.
            read: ``"node"``: of the processes of this user on this host that read a run, one asks
                for a block and all have it, by files in ``/dev/shm``; ``"direct"``: each asks
                itself. By default the environment variable ``RHEOSTAT_READ``, else ``"direct"``.
            verify: The authorities of certificates, as a file, a folder or an `ssl.SSLContext`;
                False trusts anybody. By default the usual ones, or those of ``SSL_CERT_FILE``.
            cert: This side's certificate, as a file, or as (file, key, password).
            headers: What every request says besides, as a gateway on the way may want it.
            proxy: What to send requests through, ``http://…`` or ``https://…`` (``socks5://…`` with
                httpx[socks]); by default what ``HTTP_PROXY`` and its like say.
            trust_env: False leaves the environment's proxies and certificates alone.
            transport: What sends the requests, for tests.

        Raises:
            Invalid: An argument, or a proxy of the environment, cannot be meant.

        """
        settings = Settings(
            base_url=base_url,
            token=token,
            timeout=timeout,
            deadline=deadline,
            pause_deadline=pause_deadline,
            gate_deadline=gate_deadline,
            retries=retries,
            lookahead=lookahead,
            pace=pace,
            author=author,
            proof=proof,
            worker=worker,
            beats=beats,
            read=read,
            verify=verify,
            cert=cert,
            headers=headers,
            proxy=proxy,
            trust_env=trust_env,
            transport=transport,
        )
        self.__setstate__(settings)

    def _open(self, settings: Settings) -> Network:
        """Return what sends and waits."""
        return Network(settings)

    def __getstate__(self) -> Settings:
        return self.settings

    def __setstate__(self, settings: Settings) -> None:
        self.settings = settings
        self.session = Session(self._open(settings))
        """What all calls go through; it is the client's own."""

    def run(  # noqa: PLR0913
        self,
        name: str | None = None,
        *,
        create: Mapping[str, Any] | None = None,
        fresh: bool = False,
        other_total: OtherTotal = "refuse",
        checkpoint: Mapping[str, Any] | None = None,
        start: int | None = None,
        on_wait: Callable[[Paused | AwaitingReport], object] | None = None,
        on_change: Callable[[Revision], object] | None = None,
    ) -> Run:
        """
        Join a run, as a worker; waits for the service until the ``deadline``.

        Not for who only looks at a run or changes it: that is `control`.

        Args:
            name: The run's name or id; with ``create`` it may be left out, and one is made up of
                the script's and the time's, or of the job's where several ranks train.
            create: The body to create it with, ``{"parameters": {"lr": definition}, …}``: a number
                and what `rheostat.torch.definition_of` returns are definitions too. Every
                worker may send it: the first creates the run, the others find the same. A
                definition may be a number, or one of `rheostat.schedules`.
            fresh: Whether this is a new attempt, which ``create`` describes: where the run was
                trained already, or is another one, ``name-2`` is created, or ``name-3`` …. With a
                checkpoint it is the attempt that this is of.
            other_total: What to do where the run is there, and differs from ``create`` in its total
                alone: ``"refuse"`` raises `NameTaken`, which has the command that makes them one;
                ``"keep"`` goes on with the run's own, with a warning; ``"extend"`` makes it this
                one, as `extend_total` does, which takes an operator's token: else it refuses.
            checkpoint: What `Run.checkpoint` returned for the step that is resumed.
            start: The first step of a training that has no checkpoint of this run; see
                `Run.begin`.
            on_wait: What is called, with the refusal, once when the training begins to wait at a
                pause or a gate, as to save or to free memory; and again if a signal comes while it
                waits, which `Run.signals` of that step tells. It is called where the values
                are read.
            on_change: What is called with a revision that came into force: its number, effective
                step, author and message, and what it changes. Once for each, where the step's
                values are read; not for what was in force before the training began or resumed.
                If the service cannot be asked just then, later: no training waits for it.

        Raises:
            Invalid: This can be no run's name, or another argument is none.
            UnknownRun: There is no such run.
            NameTaken: The run was created otherwise than ``create`` says.
            StaleCheckpoint: The checkpoint lies beyond a rewind.
            StepJump: The checkpoint, or the start, lies too far past what is settled.
            Unreachable: The service did not answer until the ``deadline``.

        """
        joined = self._join(
            name,
            create=create,
            fresh=fresh,
            other_total=other_total,
            checkpoint=checkpoint,
            start=start,
        )
        run = Run(self, joined, replays=checkpoint is None and start is None)
        run.on_wait = on_wait
        if on_change is not None:
            run.on_change = on_change
        return run

    def _join(
        self,
        name: str | None,
        *,
        create: Mapping[str, Any] | None,
        fresh: bool,
        other_total: OtherTotal,
        checkpoint: Mapping[str, Any] | None,
        start: int | None,
    ) -> JoinedRun:
        """Join the run of a name, or the one that is meant by a new attempt."""
        if other_total not in get_args(OtherTotal):
            raise calls.invalid("other_total", other_total, " or ".join(get_args(OtherTotal)))
        calls.require_total(create)
        if name is None:
            if create is None:
                raise calls.invalid("name", name, "a run's name or id, where nothing is created")
            from rheostat.client import attempts  # noqa: PLC0415 - most trainings have a name

            name = attempts.generated(attempts.of_this_process())
        if fresh and checkpoint is not None:
            known = calls.mapping(checkpoint, "checkpoint").get("id")
            name, create = calls.require_name(known, "checkpoint.id"), None
        elif fresh:
            if create is None or start is not None:
                raise calls.invalid("fresh", fresh, "left out without create, or with start")
            return self.session.join_anew(name, create)
        return self.session.join(name, checkpoint, create, start, other_total)

    def control(self, run: str) -> Control:
        """
        Return the operators' calls of a run, by name or id, without joining it or asking for it.

        Raises:
            Invalid: This can be no run's name.

        """
        return Control(self.session, calls.require_name(run, "run"))

    @property
    def schedules(self) -> Schedules:
        """The library of named, versioned definitions."""
        return Schedules(self.session)

    @property
    def tokens(self) -> Tokens:
        """Who may use the service, for admins."""
        return Tokens(self.session)

    def access(self) -> wire.Access:
        """
        Return whose token this client has: its role, its runs, its limit, and what it may do.

        Raises:
            Unauthenticated: The token is none that is known, was revoked, or has expired.

        """
        return self.session.ask(calls.get(calls.path("access")))

    def audit(
        self,
        *,
        run: str | None = None,
        who: str | None = None,
        action: str | Sequence[str] | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 100,
    ) -> list[wire.Audited]:
        """
        Return who did what, the newest first, for admins: it outlives the runs.

        Args:
            run: On this run, by id or name; of a name, all runs that ever had it.
            who: By this token, or author.
            action: Of these kinds, such as ``"delete"``.
            since: From this time on, ISO 8601 with its offset from UTC.
            until: Before this time.
            limit: So many of them at most.

        Raises:
            Invalid: A time is none.
            Forbidden: The token is no admin's.

        """
        actions = [action] if isinstance(action, str) else action and [*action]
        call = calls.get(
            calls.path("audit"),
            run=run,
            who=who,
            action=actions,
            since=since,
            until=until,
            limit=max(1, min(limit, MAX_ITEMS)),
        )
        return self.session.ask_all(call, most=limit)

    def purge(
        self,
        what: Literal["runs", "tokens", "audit"],
        older_than: str,
        *,
        selector: str = "",
        dry_run: bool = False,
    ) -> list[wire.Purged]:
        """
        Remove for good what ended long ago, step by step, for admins; return what each step did.

        Args:
            what: Finished runs, tokens that were revoked or have expired, or rows of the audit.
            older_than: How long ago it must have ended: ``"36h"``, ``"90d"``, ``"52w"``.
            selector: Of runs: only those that it means, as in ``"team=nlp,!frozen"``.
            dry_run: Only say what would be removed.

        Raises:
            Invalid: ``older_than`` or ``selector`` is none.
            Forbidden: The token is no admin's.

        """
        body = {"what": what, "older_than": older_than, "selector": selector, "dry_run": dry_run}
        steps: list[wire.Purged] = []
        cursor: str | None = None
        while not steps or cursor is not None:
            call = calls.post(calls.path("purge"), {**body, "cursor": cursor})
            step: wire.Purged = self.session.ask(call)
            steps.append(step)
            with understood("what was removed"):
                cursor = step["next"]
        return steps

    @property
    def hooks(self) -> Hooks:
        """Who is told of events of runs, for admins."""
        return Hooks(self.session)

    def runs(
        self,
        *,
        state: wire.RunStatus | Sequence[wire.RunStatus] | None = None,
        sort: wire.RunSort | None = None,
        descending: bool = False,
        limit: int | None = None,
        stuck: bool = False,
        **wanted: Unpack[RunFilter],
    ) -> list[wire.RunSummary]:
        """
        Return the runs, by name unless they are to be sorted otherwise.

        Args:
            state: Only those in this state, or in one of these: ``live``, ``paused``, ``stuck``
                (it had workers of whom none is alive any more, and is neither finished nor stopped
                nor at its end), ``ended``, ``stopped`` or ``finished``.
            sort: What they are sorted by: ``name``, ``created``, ``finished`` or ``author``.
            descending: Whether the last comes first.
            limit: The most of them; all, by default.
            stuck: The same as ``state="stuck"``.
            wanted: Only those with the labels of a ``selector``, such as
                ``"team=nlp,stage in (pretrain,mid),!frozen"``, with a ``prefix`` or a part
                (``name``) of their names, of an ``author``, ``created_after`` or
                ``created_before`` a time.

        """
        states = [state] if isinstance(state, str) else [*(state or ())]
        asked = [*states, *(["stuck"] if stuck else [])]
        page = None if limit is None else min(limit, MAX_ITEMS)
        call = calls.get(
            calls.path("runs"),
            **wanted,
            state=asked or None,
            sort=sort,
            order="desc" if descending else None,
            limit=page,
        )
        return self.session.ask_all(call, most=limit)

    def create_run(
        self,
        name: str,
        parameters: Mapping[str, Definition | Sequence[Model]],
        *,
        exist_ok: bool = False,
        **options: Unpack[RunOptions],
    ) -> wire.RunState:
        """
        Create a run, and return it. A worker that joins creates it with `run`, ``create=``.

        Args:
            name: The run's name, which no other run may have.
            parameters: A definition, or a number, for each: ``{"lr": {"kind": "cosine", …}}``; or
                what `rheostat.torch.definition_of` returns.
            exist_ok: Whether a run of this name may be there that was created in the same way.
            options: ``axis``, ``resolution``, ``total``, ``steps_per_epoch``, ``max_block``,
                ``max_jump``, ``guards``, ``labels``, ``paused``, ``describe``, ``signals``,
                ``controllers``, ``goal``, ``about``, ``protect``.

        Raises:
            NameTaken: There is a run of this name; with ``exist_ok``, created otherwise than now.
            Invalid: A definition or an option is wrong; ``errors`` names each field.

        """
        body = calls.run_body({"parameters": parameters, **options})
        if exist_ok:
            where = calls.path("runs", calls.require_name(name))
            return self.session.ask(calls.put(where, body))
        return self.session.ask(calls.post(calls.path("runs"), {"name": name, **body}))

    def import_run(self, export: Mapping[str, Any], *, name: str | None = None) -> wire.RunState:
        """
        Make a run of what `Run.export` has written, and return it: as an operator.

        It has the same values bit for bit, and a new id, so that it is no run that goes on
        elsewhere: a checkpoint of the other one does not fit, and a training that has its weights
        says ``start=``. A last note of its history says who has imported it.

        Args:
            export: The document that the file holds, as `json.load` reads it.
            name: What to call the run; by default as it was called.

        Raises:
            NameTaken: There is a run of this name.
            Invalid: The document is no sound export; ``errors`` names each field.
            TooLarge: It is longer than the service takes.

        """
        body = {"export": export} if name is None else {"export": export, "name": name}
        return self.session.ask(calls.post(calls.path("runs", "import"), body))

    @overload
    def evaluate(
        self,
        definition: Definition,
        steps: int,
        *,
        total: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> wire.EvaluatedStep: ...

    @overload
    def evaluate(
        self,
        definition: Definition,
        steps: range | Sequence[int],
        *,
        total: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> wire.Evaluated: ...

    def evaluate(
        self,
        definition: Definition,
        steps: int | range | Sequence[int],
        *,
        total: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> wire.EvaluatedStep | wire.Evaluated:
        """
        Return the values of a definition, of which nothing is stored.

        Args:
            definition: Such as ``{"kind": "cosine", "start": 1e-3, "end": 0, "steps": 1000}``.
            steps: One step, a range, or a list of steps.
            total: What lengths in shares of the training are shares of, in steps.
            steps_per_epoch: What lengths in epochs are multiples of.

        Returns:
            ``{"value": …}`` of one step, or ``{"values": […]}`` of many.

        Raises:
            Invalid: The definition is none; ``errors`` names each field.
            TooLarge: These are more steps than the service evaluates at once.

        """
        context = {"total": total, "steps_per_epoch": steps_per_epoch}
        given = {key: value for key, value in context.items() if value is not None}
        body = {"definition": definition, **_steps(steps), **given}
        return self.session.ask(calls.post(calls.path("evaluate"), body))

    def simulate(
        self,
        controller: Mapping[str, Any],
        reports: Iterable[tuple[int, float]],
        *,
        definition: Definition | None = None,
        total: int | None = None,
    ) -> wire.Simulated:
        """
        Return what a controller would decide on reports; nothing is stored.

        Args:
            controller: As `Control.arm` takes it; `rheostat.controls` writes it.
            reports: Pairs of step and value, in the order of their steps. A value may be NaN.
            definition: What the controller acts on, to be told its values as well.
            total: What lengths in shares of the training are shares of, in steps.

        Raises:
            Invalid: The controller is none; ``errors`` names each field.

        """
        context = {"definition": definition, "total": total}
        given = {key: value for key, value in context.items() if value is not None}
        points = [[step, calls.metric(value)] for step, value in reports]
        body = {"controller": controller, "reports": points, **given}
        return self.session.ask(calls.post(calls.path("control", "simulate"), body))

    def kinds(self) -> list[wire.Kind]:
        """Return every kind of definition: formula, fields with bounds, example, schema."""
        return self.session.ask_all(calls.get(calls.path("kinds")))

    def kind(self, name: str) -> wire.Kind:
        """
        Return one kind of definition.

        Raises:
            UnknownKind: There is none of this name.

        """
        return self.session.ask(calls.get(calls.path("kinds", name)))

    def controller_kinds(self) -> list[wire.ControllerKind]:
        """Return every kind of controller, in each reading: a summary, and the schema."""
        return self.session.ask_all(calls.get(calls.path("controllers")))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.settings.address}>"

    def _repr_html_(self) -> str:
        from rheostat.client.notebook import of_client  # noqa: PLC0415 - no training needs it

        return of_client(self, repr(self)[1:-1])

    def close(self) -> None:
        """Close the connections. Runs still look up what they hold, and raise `Closed` past it."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Schedules:
    """The library: definitions under a name, whose versions never change."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str, *, version: int | None = None) -> wire.Schedule:
        """
        Return a schedule, in its newest version or the one asked for.

        Raises:
            UnknownSchedule: There is none of this name and version.

        """
        return self._session.ask(calls.get(calls.path("schedules", name), version=version))

    def put(self, name: str, definition: Definition) -> wire.Schedule:
        """
        Store a new version, and return it. One that is equal to the newest is not stored again.

        Raises:
            Invalid: The definition is none; ``errors`` names each field.

        """
        call = calls.put(calls.path("schedules", name), {"definition": definition})
        return self._session.ask(call)

    def delete(self, name: str) -> None:
        """
        Remove a schedule with all of its versions. Runs that were made with it keep their copy.

        Raises:
            UnknownSchedule: There is none of this name.

        """
        self._session.tell(calls.delete(calls.path("schedules", name)))

    def values(
        self,
        name: str,
        *,
        start: int | None = None,
        stop: int | None = None,
        stride: int | None = None,
        version: int | None = None,
    ) -> wire.ScheduleCurve:
        """
        Return the curve from ``start`` to ``stop``, exclusive, at every ``stride``-th step.

        Raises:
            UnknownSchedule: There is none of this name and version.
            TooLarge: These are more steps than the service gives at once.

        """
        where = calls.path("schedules", name, "values")
        call = calls.get(where, start=start, stop=stop, stride=stride, version=version)
        return self._session.ask(call)

    def value(self, name: str, step: int, *, version: int | None = None) -> wire.ScheduleStep:
        """Return the value at one step."""
        call = calls.get(calls.path("schedules", name, "values", step), version=version)
        return self._session.ask(call)

    # last, since its name stands for the type in what comes before
    def list(self) -> list[wire.ScheduleVersion]:
        """Return the schedules, each with its newest version."""
        return self._session.ask_all(calls.get(calls.path("schedules")))


class Tokens:
    """Tokens: each has a name and a role: viewer, proposer, worker, operator or admin."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        name: str,
        role: wire.Role,
        *,
        expires_at: str | None = None,
        runs: str | None = None,
        limit: str | None = None,
    ) -> wire.IssuedToken:
        """
        Make a token, and return it with its secret, ``token``, which nobody is told again.

        Args:
            name: Who will use it.
            role: What that may do.
            expires_at: When it ceases to work, ISO 8601; never by default.
            runs: Selector of the runs that it knows of, such as ``"team=nlp"``: to it, all others
                are not there. All runs, by default, and for an admin.
            limit: What it may do to each run, if less than an operator may, such as
                ``"changes=20/day, gap=500, parameters=lr, edits=scale|hold, ratio=2"``; for the
                role ``operator`` alone. `docs/agents.md` says what each word bounds.

        """
        body = {"name": name, "role": role, "expires_at": expires_at, "runs": runs}
        body |= {} if limit is None else {"limit": limit}
        return self._session.ask(calls.post(calls.path("tokens"), body))

    def revoke(self, name: str) -> None:
        """
        Make a token useless: within seconds, every process of the service refuses it.

        Raises:
            UnknownToken: No token of this name is in use.

        """
        self._session.tell(calls.delete(calls.path("tokens", name)))

    def list(self) -> list[wire.Token]:
        """Return the tokens without their secrets, those that were revoked among them."""
        return self._session.ask_all(calls.get(calls.path("tokens")))


def _steps(steps: int | range | Sequence[int]) -> dict[str, Any]:
    if isinstance(steps, int):
        return {"step": steps}
    if isinstance(steps, range) and steps.step > 0:
        return {"start": steps.start, "stop": steps.stop, "stride": steps.step}
    return {"steps": list(steps)}
