-- For MySQL 8.0 and MariaDB 10.6, in statements that both document. A DDL
-- statement commits by itself, so each can be run again where a process died
-- half-way. There is no foreign key, and every table has a primary key, as
-- group replication and sharding want it.
--
-- Times are microseconds since 1970 UTC; 0 is "not yet" or "never".
-- Texts that are not there are '', so that no column needs a NULL.
-- What is compared, such as IDs, names and keys, is VARBINARY: byte for byte.
-- Every collation that both servers have would take "a " for "a". What people
-- read is utf8mb4.

-- +goose NO TRANSACTION
-- +goose Up

-- What holds for all nodes. `partitions` is written by the first that opens
-- the store. `min_reader` is the oldest version of the schema whose programs
-- may still use this one.
CREATE TABLE IF NOT EXISTS settings (
    name  VARBINARY(64) NOT NULL PRIMARY KEY,
    value VARCHAR(255)  NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO settings (name, value) VALUES ('min_reader', '1');

-- Where job numbers come from: in blocks, so some are never used.
CREATE TABLE IF NOT EXISTS sequences (
    name  VARBINARY(64) NOT NULL PRIMARY KEY,
    value BIGINT        NOT NULL -- the last one taken
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO sequences (name, value) VALUES ('job', 0);

-- The last transaction of each writer, to see after a COMMIT without an answer
-- whether it came to be.
CREATE TABLE IF NOT EXISTS writers (
    id        VARBINARY(64) NOT NULL PRIMARY KEY,
    operation VARBINARY(64) NOT NULL,
    at        BIGINT        NOT NULL,
    KEY writers_age (at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- An index has every row, since there are no partial ones. The last four
-- columns see to it that jobs that are done lie apart from the others in each
-- index, and cost a query nothing:
--   stage    1 queuing, 2 waiting for approval, 3 sent, 4 sent and a cancel was
--            asked, 5 succeeded, 6 failed, 7 expired, 8 canceled
--   sweep    due_at while it is live; below 0 when it is done: minus finished_at
--   outcome  1 failed, 2 expired, 3 canceled; 0 for all others, so that most
--            jobs never move in that index
--   person   who asked for it, by principal; NULL for the many of tokens
CREATE TABLE IF NOT EXISTS jobs (
    num                 BIGINT         NOT NULL PRIMARY KEY,
    id                  VARBINARY(64)  NOT NULL,
    space               VARBINARY(64)  NOT NULL,
    agent               VARBINARY(64)  NOT NULL,
    status              VARCHAR(16)    NOT NULL,
    reason              VARCHAR(64)    NOT NULL,
    approval            VARCHAR(16)    NOT NULL,
    version             BIGINT         NOT NULL,
    lease               VARBINARY(255) NOT NULL DEFAULT '',
    attempt             BIGINT         NOT NULL DEFAULT 0,
    offered_until       BIGINT         NOT NULL DEFAULT 0,
    created_at          BIGINT         NOT NULL,
    sent_at             BIGINT         NOT NULL DEFAULT 0,
    last_word_at        BIGINT         NOT NULL DEFAULT 0,
    finished_at         BIGINT         NOT NULL,
    due_at              BIGINT         NOT NULL,
    cancel_requested_at BIGINT         NOT NULL DEFAULT 0,
    sender_account      VARBINARY(255) NOT NULL,
    sender_workspace    VARBINARY(512) NOT NULL,
    sender_user         VARBINARY(512) NOT NULL,
    sender_name         MEDIUMTEXT     NOT NULL,
    callback_url        TEXT           NOT NULL,
    conversation        MEDIUMTEXT     NOT NULL, -- JSON
    result              BIGINT         NOT NULL DEFAULT 0, -- bits: 1 reported, 2 truncated, 4 streamed
    exit_code           BIGINT, -- NULL: none was reported
    digest              VARBINARY(128) NOT NULL DEFAULT '',
    message             LONGTEXT       NOT NULL,
    output              LONGTEXT       NOT NULL DEFAULT (''),
    late                LONGTEXT       NOT NULL DEFAULT (''), -- JSON

    stage TINYINT AS (CASE
        WHEN status = 'queuing' AND approval <> 'waiting' THEN 1
        WHEN status = 'queuing' THEN 2
        WHEN status = 'sent' AND cancel_requested_at = 0 THEN 3
        WHEN status = 'sent' THEN 4
        WHEN status = 'succeeded' THEN 5
        WHEN status = 'failed' THEN 6
        WHEN status = 'expired' THEN 7
        ELSE 8 END) STORED,
    sweep BIGINT AS (CASE WHEN finished_at = 0 THEN due_at ELSE -finished_at END) STORED,
    outcome TINYINT AS (CASE status WHEN 'failed' THEN 1 WHEN 'expired' THEN 2 WHEN 'canceled' THEN 3 ELSE 0 END) STORED,
    person VARBINARY(1300) AS (CASE
        WHEN sender_account = 'token' THEN NULL
        WHEN sender_workspace = '' THEN CONCAT(sender_account, ':', sender_user)
        ELSE CONCAT(sender_account, ':', sender_workspace, '/', sender_user) END) STORED,

    UNIQUE KEY jobs_id (id),
    -- The stage leads, so that the agents with something to do are found by
    -- leaping over those without. Every query names it.
    KEY jobs_of_agent (stage, space, agent),
    KEY jobs_sweep (sweep, stage),
    KEY jobs_in (space, outcome),
    KEY jobs_of_person (space, person)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What is known of a job's live output as a whole. Chunks up to head_seq are
-- its head; what was dropped lay between the head and the other chunks.
CREATE TABLE IF NOT EXISTS outputs (
    job           BIGINT NOT NULL PRIMARY KEY, -- jobs.num
    last_seq      BIGINT NOT NULL,
    head_seq      BIGINT NOT NULL,
    head_bytes    BIGINT NOT NULL,
    tail_bytes    BIGINT NOT NULL,
    dropped_bytes BIGINT NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS output_chunks (
    job  BIGINT   NOT NULL,
    seq  BIGINT   NOT NULL,
    at   BIGINT   NOT NULL,
    text LONGTEXT NOT NULL,
    PRIMARY KEY (job, seq)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A job's events are its history. alone_at is when an event of no job
-- happened, to remove those that are old; NULL for the others.
CREATE TABLE IF NOT EXISTS events (
    subject       VARBINARY(128) NOT NULL,
    version       BIGINT         NOT NULL,
    space         VARBINARY(64)  NOT NULL,
    kind          TINYINT        NOT NULL, -- 1 EventMessage, 2 EventJobStatus, 3 EventMessage that shows the page of output that reason says
    at            BIGINT         NOT NULL,
    agent         VARBINARY(64)  NOT NULL,
    num           BIGINT         NOT NULL,
    status        VARCHAR(16)    NOT NULL,
    reason        VARCHAR(64)    NOT NULL,
    by_whom       VARCHAR(1300)  NOT NULL,
    conversation  MEDIUMTEXT     NOT NULL, -- JSON; 'job': that of the job; '': none
    agent_seen_at BIGINT         NOT NULL DEFAULT 0,
    text          LONGTEXT       NOT NULL DEFAULT (''),
    mention       TEXT           NOT NULL DEFAULT (''), -- JSON
    refused       TINYINT        NOT NULL DEFAULT 0,

    alone_at BIGINT AS (CASE WHEN version = 0 THEN at END) STORED,

    PRIMARY KEY (subject, version),
    KEY events_alone (alone_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What is left to do about events. These rows go when it is done, so the
-- tables stay small and the events themselves are written only once. The
-- order of seq is about that of time, and no more: transactions end in any
-- order, and some servers hand numbers out in blocks.
CREATE TABLE IF NOT EXISTS unpublished (
    seq     BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subject VARBINARY(128) NOT NULL,
    version BIGINT         NOT NULL,
    KEY unpublished_of (subject, version)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A key above 1,024 bytes is stored in a shorter form, here and in all tables
-- that have keys of strangers.
CREATE TABLE IF NOT EXISTS untold (
    seq     BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account VARBINARY(255)  NOT NULL,
    `key`   VARBINARY(1024) NOT NULL,
    subject VARBINARY(128)  NOT NULL,
    version BIGINT          NOT NULL,
    KEY untold_in (account, `key`, seq),
    KEY untold_of (subject, version)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Conversations with something untold, and parked ones.
CREATE TABLE IF NOT EXISTS conversations (
    account      VARBINARY(255)  NOT NULL,
    `key`        VARBINARY(1024) NOT NULL,
    part         INT             NOT NULL,
    first        BIGINT          NOT NULL, -- about the lowest untold.seq; 0: nothing is untold
    parked_until BIGINT          NOT NULL DEFAULT 0,
    tries        BIGINT          NOT NULL DEFAULT 0,
    reason       TEXT            NOT NULL DEFAULT (''),
    PRIMARY KEY (account, `key`),
    KEY conversations_open (part, parked_until, first),
    KEY conversations_first (first, parked_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS message_refs (
    job VARBINARY(64) NOT NULL PRIMARY KEY, -- jobs.id
    ref MEDIUMTEXT    NOT NULL -- JSON
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS dead_letters (
    id      BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    space   VARBINARY(64)  NOT NULL,
    subject VARBINARY(128) NOT NULL,
    version BIGINT         NOT NULL,
    at      BIGINT         NOT NULL,
    reason  TEXT           NOT NULL,
    UNIQUE KEY dead_letters_of (subject, version),
    KEY dead_letters_in (space, at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS dedupe (
    space      VARBINARY(64)   NOT NULL,
    scope      VARBINARY(255)  NOT NULL,
    `key`      VARBINARY(1024) NOT NULL,
    digest     VARBINARY(128)  NOT NULL,
    job        BIGINT          NOT NULL, -- jobs.num; 0: it made none
    created_at BIGINT          NOT NULL,
    PRIMARY KEY (space, scope, `key`),
    KEY dedupe_age (created_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- live_name is NULL for an agent that was removed, so that its name is free.
CREATE TABLE IF NOT EXISTS agents (
    id               VARBINARY(64) NOT NULL PRIMARY KEY,
    space            VARBINARY(64) NOT NULL,
    name             VARBINARY(64) NOT NULL,
    created_at       BIGINT        NOT NULL,
    removed_at       BIGINT        NOT NULL DEFAULT 0,
    paused_at        BIGINT        NOT NULL DEFAULT 0,
    paused_by        VARCHAR(1300) NOT NULL DEFAULT '',
    last_seen_at     BIGINT        NOT NULL DEFAULT 0,
    instance         VARCHAR(255)  NOT NULL DEFAULT '',
    instance_seen_at BIGINT        NOT NULL DEFAULT 0,
    version          VARCHAR(255)  NOT NULL DEFAULT '',
    commands         MEDIUMTEXT    NOT NULL DEFAULT (''), -- JSON

    live_name VARBINARY(64) AS (CASE WHEN removed_at = 0 THEN name END) STORED,

    UNIQUE KEY agents_name (space, live_name)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- live_name is NULL for a token that was revoked, so that its name is free.
CREATE TABLE IF NOT EXISTS tokens (
    hash       VARBINARY(64) NOT NULL PRIMARY KEY, -- SHA-256
    space      VARBINARY(64) NOT NULL,
    name       VARBINARY(255) NOT NULL,
    role       VARCHAR(16)   NOT NULL,
    agent_id   VARBINARY(64) NOT NULL,
    agent      VARBINARY(64) NOT NULL,
    created_at BIGINT        NOT NULL,
    revoked_at BIGINT        NOT NULL,

    live_name VARBINARY(255) AS (CASE WHEN revoked_at = 0 THEN name END) STORED,

    UNIQUE KEY tokens_name (space, live_name),
    KEY tokens_in (space, name)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS audit (
    num     BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    id      VARBINARY(1024) NOT NULL,
    space   VARBINARY(64)   NOT NULL,
    code    VARBINARY(64)   NOT NULL,
    at      BIGINT          NOT NULL,
    who     TEXT            NOT NULL,
    name    TEXT            NOT NULL,
    place   TEXT            NOT NULL,
    action  TEXT            NOT NULL,
    target  TEXT            NOT NULL,
    text    LONGTEXT        NOT NULL,
    allowed TINYINT         NOT NULL,
    why     MEDIUMTEXT      NOT NULL,
    UNIQUE KEY audit_id (space, id),
    KEY audit_code (space, code),
    KEY audit_in (space, at),
    KEY audit_age (at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS kv (
    prefix     VARBINARY(255)  NOT NULL,
    `key`      VARBINARY(1024) NOT NULL,
    value      LONGBLOB        NOT NULL,
    expires_at BIGINT          NOT NULL, -- 0: never
    PRIMARY KEY (prefix, `key`),
    KEY kv_expiry (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A lease that was released stays, with no holder, so that its epoch goes on
-- growing.
CREATE TABLE IF NOT EXISTS leases (
    name   VARBINARY(255) NOT NULL PRIMARY KEY,
    holder VARBINARY(255) NOT NULL,
    epoch  BIGINT         NOT NULL,
    `until` BIGINT        NOT NULL -- a word that TiDB reserves
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The servers that run on this database, or did lately.
CREATE TABLE IF NOT EXISTS nodes (
    id         VARBINARY(255) NOT NULL PRIMARY KEY,
    host       VARCHAR(255)   NOT NULL,
    addr       VARCHAR(255)   NOT NULL,
    version    VARCHAR(255)   NOT NULL,
    started_at BIGINT         NOT NULL,
    seen_at    BIGINT         NOT NULL,
    KEY nodes_seen (seen_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The agent that a conversation means when it names none.
CREATE TABLE IF NOT EXISTS conversation_agents (
    space   VARBINARY(64)   NOT NULL,
    account VARBINARY(255)  NOT NULL,
    `key`   VARBINARY(1024) NOT NULL,
    agent   VARBINARY(64)   NOT NULL,
    PRIMARY KEY (space, account, `key`)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
