package chattest

import "time"

// SetPatience shortens the wait for what never happens, for tests of the suite
// by adapters in which it does not.
func SetPatience(d time.Duration) { patience = d }
