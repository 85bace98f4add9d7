-- +goose NO TRANSACTION
-- +goose Up

-- The events of a job that nobody is told of, which the table events then does
-- not have: a row for each costs more than the job's own changes. One a line, as
-- JSON: version, at, status, reason, by whom.
--
-- Neither server that is meant has ADD COLUMN IF NOT EXISTS in common.
SET @skadi = (SELECT IF(COUNT(*) = 0, 'ALTER TABLE jobs ADD COLUMN history MEDIUMTEXT NOT NULL DEFAULT ('''')', 'DO 0')
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'jobs' AND column_name = 'history');
PREPARE skadi FROM @skadi;
EXECUTE skadi;
DEALLOCATE PREPARE skadi;
