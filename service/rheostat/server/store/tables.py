"""
The tables. Migrations make them; this is what queries are written against.

Times are ISO 8601 text in UTC, JSON is text, coordinates are 64-bit integers.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _run_id() -> Column[str]:
    runs = ForeignKey("runs.id", ondelete="CASCADE", onupdate="CASCADE")
    return Column("run_id", String(32), runs, primary_key=True)


runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    # what the run was created with, as it was validated: see runs.spec
    Column("spec", Text, nullable=False),
    Column("author", Text),
    Column("created_at", String(32), nullable=False),
    # the current generation, and the newest revision
    Column("generation", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    # the number of the newest event but for settles; 0 if there was none yet
    Column("event", BigInteger, nullable=False),
    # of a finished run: the first step without a value
    Column("end", BigInteger),
    Column("finished_at", String(32)),
    # of a training that began in the middle: where, who said so, when, and as which event
    Column("begins", BigInteger, nullable=False, server_default="0"),
    Column("begun_by", Text),
    Column("begun_at", String(32)),
    Column("begun_event", BigInteger),
    # the total in force: that of the spec, until a revision set another
    Column("total", BigInteger),
    # about how many bytes its creation wrote: its author has a share of them
    Column("stored", BigInteger, nullable=False, server_default="0"),
    # where reading ends or holds: its stops, pauses and gates, see runs.barriers; null: nowhere
    Column("barriers", Text),
    # the schema that brought its newest kind of revision: an older release moves it no further
    Column("needs", String(16)),
    # of a protected run: the JSON of what may be done without a second person; null: everything
    Column("protect", Text),
    Index("ix_runs_author_stored", "author", "stored"),
    # by which one sees which runs have news, without their definitions
    Index("ix_runs_event", "id", "event"),
)

labels = Table(
    "labels",
    metadata,
    _run_id(),
    Column("key", String(128), primary_key=True),
    Column("value", Text, nullable=False),
    # without the value, which may be longer than PostgreSQL takes into an index
    Index("ix_labels_key", "key", "run_id"),
)

generations = Table(
    "generations",
    metadata,
    _run_id(),
    Column("generation", Integer, primary_key=True),
    Column("parent", Integer),
    # the run that the parent belongs to: another one if this is a fork
    Column("parent_run", String(32), index=True),
    Column("start", BigInteger, nullable=False),
    Column("settled_until", BigInteger, nullable=False),
    # the number of the event that settled it so far, and when; 0 if nothing did
    Column("event", BigInteger, nullable=False),
    Column("settled_at", String(32)),
    # the read that settled it last, and when: where a worker was then
    Column("read_from", BigInteger),
    Column("read_until", BigInteger),
    Column("read_at", String(32)),
)

revisions = Table(
    "revisions",
    metadata,
    _run_id(),
    Column("revision", Integer, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("effective", BigInteger, nullable=False),
    # whether it takes part in folding: not cancelled, and not a mere note
    Column("folds", Boolean, nullable=False),
    Column("changes", Text, nullable=False),
    # the hash of each parameter's timeline in force from `effective` on, in `timelines`
    Column("timelines", Text, nullable=False),
    Column("author", Text),
    Column("message", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    # of a cancellation: the number of the revision that it took back
    Column("cancels", Integer),
    # of a new total: what it is; and the total that the words of its definitions are laid out for
    Column("total", BigInteger),
    Column("laid_for", BigInteger),
    # of what a controller or a program decided: the controller and the report's step
    Column("cause", Text),
    # the same once more, to find it by
    Column("cause_by", String(128)),
    Column("cause_step", BigInteger),
    # of what folds nothing: what it says, as JSON; of a change that takes back: that it does
    Column("data", Text),
    # of a stop: whether a worker was refused by it, so that it cannot be taken back
    Column("told", Boolean, nullable=False, server_default=false()),
    # its number among the events of the run; 0 for the first revision, which is none
    Column("event", BigInteger, nullable=False),
    Index("uq_revisions_run_id_event", "run_id", "event", unique=True),
    Index("ix_revisions_kind", "run_id", "kind", "revision"),
    Index("ix_revisions_in_force", "run_id", "generation", "effective", "revision"),
    Index("ix_revisions_cause", "run_id", "cause_by", "cause_step"),
    # by which one sees what a token has done, without all that others have
    Index("ix_revisions_author", "run_id", "author", "kind", "revision"),
)

timelines = Table(
    "timelines",
    metadata,
    _run_id(),
    Column("hash", String(64), primary_key=True),
    Column("pieces", Text, nullable=False),
)

# What was handed out: from `start`, `count` cells of each parameter, sorted by name, as float64
# or `packed`: see ledger.py.
ledger = Table(
    "ledger",
    metadata,
    _run_id(),
    Column("generation", Integer, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("packed", Boolean, nullable=False),
    Column("values", LargeBinary, nullable=False),
)

# One row for each run: locked before reports get their numbers, apart from the run's own row, which
# settling locks. What is reported belongs to it, so that keeping a report touches that row alone.
report_counters = Table(
    "report_counters",
    metadata,
    _run_id(),
    Column("number", BigInteger, nullable=False, server_default="0"),
)


def _counted_run_id() -> Column[str]:
    counters = ForeignKey("report_counters.run_id", ondelete="CASCADE", onupdate="CASCADE")
    return Column("run_id", String(32), counters, primary_key=True)


# Metrics as they were reported, each written once. The owner is the generation that owns the last
# cell below the step, of the run itself (0 forks up) or of one that it was forked from.
reports = Table(
    "reports",
    metadata,
    _counted_run_id(),
    Column("forks", Integer, primary_key=True, autoincrement=False),
    Column("owner", Integer, primary_key=True, autoincrement=False),
    Column("metric", String(128), primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(128), primary_key=True),
    # the float64, as a whole number of the same bits
    Column("bits", BigInteger, nullable=False),
    # in the order in which they were kept, of the run
    Column("number", BigInteger, nullable=False),
    Column("at", String(32), nullable=False),
    Index("ix_reports_metric_number", "run_id", "metric", "number"),
)

report_metrics = Table(
    "report_metrics",
    metadata,
    _counted_run_id(),
    Column("metric", String(128), primary_key=True),
    # how many reports are kept, that only one in `stride` was kept of the oldest ones, and up to
    # which number every second one was dropped since
    Column("points", BigInteger, nullable=False),
    Column("stride", BigInteger, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    # how many reports came again with another value, and the newest of them as JSON
    Column("differs", BigInteger, nullable=False),
    Column("differing", Text),
)

controllers = Table(
    "controllers",
    metadata,
    _run_id(),
    Column("name", String(128), primary_key=True),
    Column("config", Text, nullable=False),
    # of a guard or a rule: what it changes, read against the run
    Column("changes", Text),
    # the revision that armed it as it is, the one with which its state began (it may have been
    # reset since), and the one that disarmed it
    Column("since", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("removed", Integer),
    # the settled end when it was armed: no gate lies below
    Column("armed_at", BigInteger, nullable=False),
    # what its state began with, as steps and the states there
    Column("base", Text, nullable=False),
    # the newest report that came at no gate, of one that has gates
    Column("off_gate", BigInteger),
)

# What a controller made of each report: `state` is kept at decisions and now and then, and folding
# the values after it gives any other.
consumed = Table(
    "consumed",
    metadata,
    _run_id(),
    Column("controller", String(128), primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("bits", BigInteger, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("revision", Integer),
    Column("proposal", Integer),
    Column("effective", BigInteger),
    # of a decision: why, or what was wrong with it, as JSON
    Column("data", Text),
    Column("at", String(32)),
    # of a decision: its number among the events of the run
    Column("event", BigInteger),
    Column("state", Text),
    Index("ix_consumed_event", "run_id", "event"),
)

# The newest state of each controller in each generation.
heads = Table(
    "heads",
    metadata,
    _run_id(),
    Column("controller", String(128), primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    # the newest step that was consumed on the line, under any of its configurations
    Column("step", BigInteger),
    Column("bits", BigInteger),
    Column("state", Text, nullable=False),
    # how many decisions count against its limit
    Column("decisions", Integer, nullable=False),
    # how many reports were consumed since a state was last kept with one
    Column("unkept", Integer, nullable=False),
    # whether it has warned of an odd value
    Column("warned", Boolean, nullable=False),
)

# What workers said became of a signal, each once.
outcomes = Table(
    "outcomes",
    metadata,
    _run_id(),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("source", String(128), primary_key=True),
    # of whoever said so
    Column("generation", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("data", Text),
    Column("error", Text),
    Column("at", String(32), nullable=False),
    # its number among the events of the run; none after its end
    Column("event", BigInteger),
    Index("ix_outcomes_event", "run_id", "event"),
)

# Who trains, by what each last said: a hint, which is written now and then, and which nothing reads
# that gives a value. See runs.presence.
workers = Table(
    "workers",
    metadata,
    _run_id(),
    Column("worker", String(128), primary_key=True),
    Column("host", String(128)),
    # of its process, and of the process group that trains together: a newer one retires older ones
    Column("session", String(128), nullable=False),
    Column("job", String(128)),
    Column("generation", Integer, nullable=False),
    Column("step", BigInteger, nullable=False),
    # steps in a second; and the seconds that it has waited
    Column("pace", Double),
    Column("waited", Double, nullable=False),
    # below which all that it listed is right
    Column("proven_until", BigInteger),
    # what it said of itself: whether it is silent or wrong follows from the time and `mismatches`
    Column("state", String(16), nullable=False),
    # the seconds until it was to say something again
    Column("again", Double, nullable=False),
    # when its session was first heard of, and when it last said something
    Column("since", String(32), nullable=False),
    Column("seen_at", String(32), nullable=False),
    # from when on it is silent
    Column("silent_at", String(32), nullable=False),
)

# Values that workers applied and that are not those of the ledger, each once.
mismatches = Table(
    "mismatches",
    metadata,
    _run_id(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("worker", String(128), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("parameter", String(128), nullable=False),
    Column("step", BigInteger, nullable=False),
    # float64, as whole numbers of the same bits, rounded as the worker's slot is
    Column("expected_bits", BigInteger, nullable=False),
    Column("found_bits", BigInteger, nullable=False),
    Column("dtype", String(8), nullable=False),
    # when it was first told, and when it, or another one for which there is no room, was last
    Column("at", String(32), nullable=False),
    Column("told_at", String(32), nullable=False),
    # its number among the events of the run; none after its end
    Column("event", BigInteger),
    Index(
        "uq_mismatches_place",
        *("run_id", "worker", "generation", "step", "parameter"),
        unique=True,
    ),
    Index("ix_mismatches_event", "run_id", "event"),
)

# What workers say that they have saved, each once.
checkpoints = Table(
    "checkpoints",
    metadata,
    _run_id(),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("tag", String(128), primary_key=True),
    Column("uri", Text),
    Column("bytes", BigInteger),
    Column("source", String(128), nullable=False),
    # of a signal that asked for it
    Column("revision", Integer),
    Column("at", String(32), nullable=False),
    Index("ix_checkpoints_step", "run_id", "step"),
)

# What somebody suggests, and what was decided on it.
proposals = Table(
    "proposals",
    metadata,
    _run_id(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("body", Text, nullable=False),
    Column("author", Text),
    Column("message", Text, nullable=False),
    Column("cause", Text),
    Column("state", String(16), nullable=False),
    # the revision that accepting it made
    Column("revision", Integer),
    Column("created_at", String(32), nullable=False),
    Column("decided_by", Text),
    Column("decided_at", String(32)),
    Column("reason", Text, nullable=False),
    # their numbers among the events of the run; none where it expired
    Column("event", BigInteger, nullable=False),
    Column("decided_event", BigInteger),
    Index("ix_proposals_open", "run_id", "state", "author"),
    Index("ix_proposals_event", "run_id", "event"),
    Index("ix_proposals_decided", "run_id", "decided_event"),
)

# One row: which life of this database it is. A restored backup begins a new one.
incarnation = Table(
    "incarnation",
    metadata,
    Column("id", String(32), primary_key=True),
    # the oldest schema whose release may serve from it: see migrate
    Column("least", String(16)),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("definition", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("author", Text),
    Column("created_at", String(32), nullable=False),
)

# The newest version that a schedule ever had: versions are not used again after a deletion.
schedule_versions = Table(
    "schedule_versions",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("newest", Integer, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(255), primary_key=True),
    # what the key was first used with: method, path and body
    Column("request_hash", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", String(32), nullable=False, index=True),
)

# Only the hash of a token's secret is kept. A revoked token stays, and its name is free again.
tokens = Table(
    "tokens",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("created_by", Text),
    Column("expires_at", String(32)),
    Column("revoked_at", String(32)),
    # the selector of the runs that it knows of; null: all
    Column("runs", Text),
    # what it may do to a run; its role is then what an older release lets it do
    Column("limit", Text),
)

# How often tokens with a limit were refused, and what they were told the last time.
refused = Table(
    "refused",
    metadata,
    _run_id(),
    Column("token", String(128), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    Column("why", Text, nullable=False),
)

# What changes of many runs were planned: the newest revisions of runs, by their ids, as JSON. The
# digest names it; a plan is known for a day.
plans = Table(
    "plans",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("runs", Text, nullable=False),
    Column("created_at", String(32), nullable=False, index=True),
)

# Who is signed in to the page: only hashes are kept, of what a browser has and of a token's secret.
sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    # of the secret of the token; a local server's own token has no row
    Column("token", String(64), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Index("ix_sessions_token", "token", "expires_at"),
)


# Who did what, of everything that writes by a person's or a program's will. It outlives the runs:
# no row of another table is referred to.
audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", String(32), nullable=False),
    # the name of a token, or the author that a caller without one gave; and their address
    Column("who", Text),
    Column("address", String(64)),
    Column("action", String(32), nullable=False),
    Column("run_id", String(32)),
    Column("run_name", String(128)),
    # what else it was done to: a token, a hook, a schedule
    Column("subject", String(128)),
    Column("request_id", Text),
    # what came of it, as JSON: a revision, a proposal
    Column("outcome", Text, nullable=False),
    Index("ix_audit_run_id", "run_id", "number"),
    Index("ix_audit_run_name", "run_name", "number"),
    Index("ix_audit_who", "who", "number"),
    Index("ix_audit_at", "at"),
)

# Which replicas serve from this database, each while it lives.
replicas = Table(
    "replicas",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("release", String(64), nullable=False),
    Column("schema", String(16), nullable=False),
    Column("seen_at", String(32), nullable=False, index=True),
)

# Who is told of events of runs, and how.
hooks = Table(
    "hooks",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("url", Text, nullable=False),
    # the words of what it is told of, as JSON
    Column("events", Text, nullable=False),
    # of the runs that it is told of
    Column("selector", Text, nullable=False),
    Column("format", String(16), nullable=False),
    # what its messages are signed with: it is needed as it is, so it is kept as it is; and the one
    # before, by which they are signed too until a time
    Column("secret", Text),
    Column("old_secret", Text),
    Column("old_until", String(32)),
    Column("created_at", String(32), nullable=False),
    Column("created_by", Text),
    # when and why no more is sent to it
    Column("disabled_at", String(32)),
    Column("disabled_why", Text),
    # when something was delivered last; since when, and how often in a row, nothing could be; and
    # until when nothing is tried for that reason
    Column("delivered_at", String(32)),
    Column("failing_since", String(32)),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("rests_until", String(32)),
    # how many messages were given up, since there was no room for so many
    Column("dropped", Integer, nullable=False, server_default="0"),
)

# What is, or was, to be sent to a hook. No row of a run is referred to: its deletion is told, too.
deliveries = Table(
    "deliveries",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    # by which a receiver knows it again
    Column("id", String(64), nullable=False),
    Column(
        "hook",
        String(128),
        ForeignKey("hooks.name", ondelete="CASCADE", onupdate="CASCADE"),
        nullable=False,
    ),
    Column("run_id", String(32), nullable=False),
    # the number of an event of the run, or the word of what has none
    Column("event", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", String(32), nullable=False),
    # of what waits: when it is tried next
    Column("next_at", String(32)),
    # of all else: since when it does not wait any more
    Column("ended_at", String(32)),
    # what the last attempt was answered, or why it was not
    Column("status", Integer),
    Column("error", Text),
    Index("uq_deliveries_event", "hook", "run_id", "event", unique=True),
    Index("ix_deliveries_state", "hook", "state", "next_at"),
    Index("ix_deliveries_ended_at", "hook", "ended_at"),
)

# Up to which event of each run hooks were told, and up to when of those who fell silent: all who
# were silent from before that time on.
told = Table(
    "told",
    metadata,
    _run_id(),
    Column("event", BigInteger, nullable=False),
    Column("silent_until", String(32), nullable=False),
    # when they were last told of any who fell silent
    Column("silence_at", String(32)),
)

# Which process sends to hooks, in its one row, and until when it does unless it says so again.
hook_sender = Table(
    "hook_sender",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", String(32), nullable=False),
    Column("until", String(32), nullable=False),
)


def whole_schema() -> MetaData:
    """
    Return the tables with what no query is written against, as migrations make them.

    An index with a condition loads the dialects of both databases, so it is not made at a start.
    """
    held = text("revoked_at IS NULL")
    if "uq_tokens_name_held" not in {index.name for index in tokens.indexes}:
        Index(
            "uq_tokens_name_held",
            tokens.c.name,
            unique=True,
            sqlite_where=held,
            postgresql_where=held,
        )
    return metadata
