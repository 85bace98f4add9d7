-- +goose Up

-- When an agent that is offline was seen last, once that was told; 0 while it
-- is online, or nobody has noticed yet. -1 is an outage that was there before
-- anybody told of any: its end is not told either.
ALTER TABLE agents ADD COLUMN away_since INTEGER NOT NULL DEFAULT 0;

UPDATE agents SET away_since = -1 WHERE last_seen_at > 0;
