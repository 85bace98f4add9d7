package throwaway

import (
	"os"
	"sync"
)

// Runner is what TestMain gets: *testing.M.
type Runner interface{ Run() int }

// Main is a TestMain: it runs the tests, ends what they shared, and exits.
func Main(m Runner) { os.Exit(Wrap(m).Run()) }

// Wrap returns a Runner that ends what m's tests shared after they ran, for a
// TestMain that does more:
//
//	goleak.VerifyTestMain(throwaway.Wrap(m))
func Wrap(m Runner) Runner { return wrapped{m} }

type wrapped struct{ Runner }

func (w wrapped) Run() int {
	defer endShared()
	return w.Runner.Run()
}

// shared is what outlives the test that first asked for it.
var shared struct {
	sync.Mutex
	db  *DB
	err error
	end []func()
}

func endShared() {
	shared.Lock()
	defer shared.Unlock()
	for _, end := range shared.end {
		end()
	}
	shared.end, shared.db = nil, nil
}
