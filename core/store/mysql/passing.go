package mysql

import (
	"context"
	"errors"
)

// IsPassing reports whether an error of Open, SchemaOf or Migrate may mend by
// itself: the server is not there, not ready or has no room. What is wrong in
// the config or at the server, such as a password, somebody has to change.
func IsPassing(err error) bool {
	return isLost(err) || isBusy(err) || isReadOnly(err) || isConflict(err) || errors.Is(err, context.DeadlineExceeded)
}
