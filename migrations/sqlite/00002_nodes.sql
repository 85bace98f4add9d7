-- +goose Up

-- What must be the same for every process that uses the database.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A conversation's partition; -1 until a program that knows partitions has
-- seen it.
ALTER TABLE conversations ADD COLUMN part INTEGER NOT NULL DEFAULT -1;

-- The servers that run, or ran lately.
CREATE TABLE nodes (
    id         TEXT    NOT NULL PRIMARY KEY,
    host       TEXT    NOT NULL,
    addr       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
