-- +goose NO TRANSACTION
-- +goose Up

-- When an agent that is offline was seen last, once that was told; 0 while it
-- is online, or nobody has noticed yet. -1 is an outage that was there before
-- anybody told of any: its end is not told either.
SET @skadi = (SELECT IF(COUNT(*) = 0, 'ALTER TABLE agents ADD COLUMN away_since BIGINT NOT NULL DEFAULT -1', 'DO 0')
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'agents' AND column_name = 'away_since');
PREPARE skadi FROM @skadi;
EXECUTE skadi;
DEALLOCATE PREPARE skadi;

ALTER TABLE agents ALTER COLUMN away_since SET DEFAULT 0;
