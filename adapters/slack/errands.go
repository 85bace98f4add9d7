package slack

import (
	"context"
	"sync"

	"github.com/letserverrun/skadi/core/chat"
)

// maxErrands is how many errands run at once; further ones are dropped.
const maxErrands = 64

// errands are what is done beside the answer to Slack, and best effort:
// drawing somebody's page, telling somebody that a click was not taken. They
// run while the account does.
type errands struct {
	mu    sync.Mutex
	env   chat.Env
	ctx   context.Context // that of Run
	wg    *sync.WaitGroup
	count int
}

// begin lets errands run. The function that it returns waits for those under
// way, once ctx has ended.
func (e *errands) begin(ctx context.Context, env chat.Env) (stop func()) {
	var wg sync.WaitGroup
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ctx, e.wg, e.env = ctx, &wg, env
	return func() {
		e.mu.Lock()
		e.ctx = nil
		e.mu.Unlock()
		wg.Wait()
	}
}

// run runs an errand, and reports false if it is dropped. It outlives ctx, and
// is told to end when Run is.
func (e *errands) run(ctx context.Context, do func(ctx context.Context)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx == nil || e.count >= maxErrands {
		return false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	linked := context.AfterFunc(e.ctx, cancel) //nolint:contextcheck // it ends with Run, not with what began it
	e.count++
	env := e.env
	e.wg.Go(func() {
		defer func() {
			linked()
			cancel()
			e.mu.Lock()
			defer e.mu.Unlock()
			e.count--
		}()
		_ = env.Guard(ctx, "running an errand", func() error { do(ctx); return nil })
	})
	return true
}
