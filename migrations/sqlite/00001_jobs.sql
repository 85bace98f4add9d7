-- Times are microseconds since 1970 UTC; 0 is "not yet" or "never".
-- Texts that are not there are '', so that no column needs a NULL.

-- +goose Up

-- Where numbers come from. A job's number is taken from blocks, so some are
-- never used; the outbox's numbers are taken within the transaction that uses
-- them, so their order is the order of commits.
CREATE TABLE sequences (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL -- the last one taken
) STRICT, WITHOUT ROWID;

INSERT INTO sequences (name, value) VALUES ('job', 0), ('outbox', 0);

-- The wide columns stand last, so that a reader of the others need not follow
-- a long row.
CREATE TABLE jobs (
    num                 INTEGER PRIMARY KEY,
    id                  TEXT    NOT NULL,
    space               TEXT    NOT NULL,
    agent               TEXT    NOT NULL,
    status              TEXT    NOT NULL,
    reason              TEXT    NOT NULL,
    approval            TEXT    NOT NULL,
    version             INTEGER NOT NULL,
    lease               TEXT    NOT NULL DEFAULT '',
    attempt             INTEGER NOT NULL DEFAULT 0,
    offered_until       INTEGER NOT NULL DEFAULT 0,
    created_at          INTEGER NOT NULL,
    sent_at             INTEGER NOT NULL DEFAULT 0,
    last_word_at        INTEGER NOT NULL DEFAULT 0,
    finished_at         INTEGER NOT NULL,
    due_at              INTEGER NOT NULL,
    cancel_requested_at INTEGER NOT NULL DEFAULT 0,
    sender_account      TEXT    NOT NULL,
    sender_workspace    TEXT    NOT NULL,
    sender_user         TEXT    NOT NULL,
    sender_name         TEXT    NOT NULL,
    callback_url        TEXT    NOT NULL,
    conversation        TEXT    NOT NULL, -- JSON
    result              INTEGER NOT NULL DEFAULT 0, -- bits: 1 reported, 2 truncated, 4 streamed
    exit_code           INTEGER, -- NULL: none was reported
    digest              TEXT    NOT NULL DEFAULT '',
    message             TEXT    NOT NULL,
    output              TEXT    NOT NULL DEFAULT '',
    late                TEXT    NOT NULL DEFAULT '' -- JSON
) STRICT;

-- Every index is paid for by every job. Those on a status are partial, so
-- that the jobs that are done weigh nothing; num, being the rowid, ends each.
-- Their conditions name the status only where they must, since an update of a
-- column looks at every index that names it, and hold no list of more than two
-- values: SQLite would build a table of it for every row.
CREATE UNIQUE INDEX jobs_id ON jobs (id);
CREATE INDEX jobs_of_agent ON jobs (space, agent);
CREATE INDEX jobs_queuing ON jobs (space, agent) WHERE status = 'queuing' AND approval <> 'waiting';
CREATE INDEX jobs_waiting ON jobs (space, agent) WHERE finished_at = 0 AND approval = 'waiting';
CREATE INDEX jobs_canceling ON jobs (space, agent) WHERE finished_at = 0 AND cancel_requested_at > 0;
CREATE INDEX jobs_live ON jobs (due_at, status) WHERE finished_at = 0;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at > 0;
CREATE INDEX jobs_unsuccessful ON jobs (space, status) WHERE finished_at > 0 AND status <> 'succeeded';
-- What a person asked for, by principal. Tokens push too many jobs to pay for
-- this.
CREATE INDEX jobs_of_person ON jobs (
    space,
    sender_account || ':' || iif(sender_workspace = '', '', sender_workspace || '/') || sender_user
) WHERE sender_account <> 'token';

-- What is known of a job's live output as a whole. Chunks up to head_seq are
-- its head; what was dropped lay between the head and the other chunks.
CREATE TABLE outputs (
    job           INTEGER PRIMARY KEY, -- jobs.num
    last_seq      INTEGER NOT NULL,
    head_seq      INTEGER NOT NULL,
    head_bytes    INTEGER NOT NULL,
    tail_bytes    INTEGER NOT NULL,
    dropped_bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE output_chunks (
    job  INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    text TEXT    NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

-- A job's events are its history.
CREATE TABLE events (
    subject       TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    space         TEXT    NOT NULL,
    kind          INTEGER NOT NULL, -- 1 EventMessage, 2 EventJobStatus, 3 EventMessage that shows the page of output that reason says
    at            INTEGER NOT NULL,
    agent         TEXT    NOT NULL,
    num           INTEGER NOT NULL,
    status        TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    by_whom       TEXT    NOT NULL,
    conversation  TEXT    NOT NULL, -- JSON; 'job': that of the job; '': none
    agent_seen_at INTEGER NOT NULL DEFAULT 0,
    text          TEXT    NOT NULL DEFAULT '',
    mention       TEXT    NOT NULL DEFAULT '', -- JSON
    refused       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subject, version)
) STRICT, WITHOUT ROWID;

-- Events of no job, to remove them when they are old.
CREATE INDEX events_alone ON events (at) WHERE version = 0;

-- What is left to do about events. These rows go when it is done, so the
-- tables stay small and the events themselves are written only once.
CREATE TABLE unpublished (
    seq     INTEGER PRIMARY KEY,
    subject TEXT    NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE TABLE untold (
    account TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    subject TEXT    NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (account, key, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX untold_of ON untold (subject);

-- Conversations with something untold, and parked ones.
CREATE TABLE conversations (
    account      TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    first        INTEGER NOT NULL, -- the lowest untold.seq; 0: nothing is untold
    parked_until INTEGER NOT NULL DEFAULT 0,
    tries        INTEGER NOT NULL DEFAULT 0,
    reason       TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX conversations_open ON conversations (parked_until, first) WHERE first > 0;
CREATE INDEX conversations_idle ON conversations (parked_until) WHERE first = 0;

CREATE TABLE message_refs (
    job TEXT NOT NULL PRIMARY KEY, -- jobs.id
    ref TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    id      INTEGER PRIMARY KEY,
    space   TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX dead_letters_of ON dead_letters (subject, version);
CREATE INDEX dead_letters_in ON dead_letters (space);

CREATE TABLE dedupe (
    space      TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    job        INTEGER NOT NULL, -- jobs.num; 0: it made none
    created_at INTEGER NOT NULL,
    PRIMARY KEY (space, scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX dedupe_age ON dedupe (created_at);

CREATE TABLE agents (
    id               TEXT    NOT NULL PRIMARY KEY,
    space            TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    removed_at       INTEGER NOT NULL DEFAULT 0,
    paused_at        INTEGER NOT NULL DEFAULT 0,
    paused_by        TEXT    NOT NULL DEFAULT '',
    last_seen_at     INTEGER NOT NULL DEFAULT 0,
    instance         TEXT    NOT NULL DEFAULT '',
    instance_seen_at INTEGER NOT NULL DEFAULT 0,
    version          TEXT    NOT NULL DEFAULT '',
    commands         TEXT    NOT NULL DEFAULT '' -- JSON
) STRICT;

CREATE UNIQUE INDEX agents_name ON agents (space, name) WHERE removed_at = 0;

CREATE TABLE tokens (
    hash       BLOB    NOT NULL PRIMARY KEY, -- SHA-256
    space      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    agent_id   TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX tokens_name ON tokens (space, name) WHERE revoked_at = 0;
CREATE INDEX tokens_in ON tokens (space, name);

CREATE TABLE audit (
    num     INTEGER PRIMARY KEY,
    id      TEXT    NOT NULL,
    space   TEXT    NOT NULL,
    code    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    place   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    text    TEXT    NOT NULL,
    allowed INTEGER NOT NULL,
    why     TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX audit_id ON audit (space, id);
CREATE INDEX audit_code ON audit (space, code);
CREATE INDEX audit_in ON audit (space);
CREATE INDEX audit_age ON audit (at);

CREATE TABLE kv (
    prefix     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    expires_at INTEGER NOT NULL, -- 0: never
    PRIMARY KEY (prefix, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX kv_expiry ON kv (expires_at) WHERE expires_at > 0;

-- A lease that was released stays, with no holder, so that its epoch goes on
-- growing.
CREATE TABLE leases (
    name   TEXT    NOT NULL PRIMARY KEY,
    holder TEXT    NOT NULL,
    epoch  INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The agent that a conversation means when it names none.
CREATE TABLE conversation_agents (
    space   TEXT NOT NULL,
    account TEXT NOT NULL,
    key     TEXT NOT NULL,
    agent   TEXT NOT NULL,
    PRIMARY KEY (space, account, key)
) STRICT, WITHOUT ROWID;
