-- +goose NO TRANSACTION
-- +goose Up

-- What the queue does not have yet: events of one transaction in one row, since
-- it is the number of rows that costs. `events` is JSON; what it holds is in
-- core/store/mysql/bundle.go. The table `unpublished` is still read: rows are
-- there that an older program left, or that were copied from SQLite.
CREATE TABLE IF NOT EXISTS outbox (
    seq    BIGINT   NOT NULL AUTO_INCREMENT PRIMARY KEY,
    events LONGTEXT NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
