package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/letserverrun/skadi/core/job"
)

// A connection that net/http serves holds 10 KB of buffers and a stack of 8 to
// 16 KB for as long as its handler waits. An agent waits nearly all of its
// life, so a poll that has waited for parkAfter is taken off net/http. Its
// connection is hijacked, two small goroutines wait for the answer and for the
// caller to leave, and after the answer the connection goes back to the
// server, as if it were a new one, when its next request begins.

// parkAfter is how long a poll waits before it is parked. It is so long that
// the polls of a busy agent never are.
const parkAfter = 200 * time.Millisecond

// lotKey finds the server's lot in the context of a request.
type lotKey struct{}

// lot is a listener that connections come back to.
type lot struct {
	net.Listener
	// stopping ends when the server stops.
	stopping context.Context //nolint:containedctx // the signal of a server's life, no request's

	accepted chan accepted
	returned chan net.Conn
	closed   chan struct{}
	close    sync.Once
	running  sync.WaitGroup

	mu    sync.Mutex
	cars  map[*car]struct{}
	ended bool
	tidy  tidier
}

type accepted struct {
	conn net.Conn
	err  error
}

func newLot(stopping context.Context, l net.Listener) *lot {
	p := &lot{
		Listener: l, stopping: stopping,
		accepted: make(chan accepted), returned: make(chan net.Conn), closed: make(chan struct{}),
		cars: make(map[*car]struct{}),
	}
	p.running.Go(p.accept)
	return p
}

func (l *lot) accept() {
	for {
		conn, err := l.Listener.Accept()
		select {
		case l.accepted <- accepted{conn, err}:
		case <-l.closed:
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// Accept returns a new connection, or one that was parked.
func (l *lot) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case c := <-l.returned:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. Parked connections stay until end.
func (l *lot) Close() error {
	var err error
	l.close.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

// giveBack has the server go on with a connection.
func (l *lot) giveBack(c net.Conn) {
	select {
	case l.returned <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

// end closes the connections that wait for their next request, waits for the
// others to be answered, since stopping has ended their polls, and closes
// them when the grace is over.
func (l *lot) end(grace context.Context) {
	_ = l.Close()
	l.mu.Lock()
	l.ended = true
	for c := range l.cars {
		if c.idle {
			_ = c.conn.Close()
		}
	}
	l.mu.Unlock()
	done := make(chan struct{})
	go func() { l.running.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-grace.Done():
	}
	l.mu.Lock()
	for c := range l.cars {
		_ = c.conn.Close()
	}
	l.mu.Unlock()
	<-done
}

// car is a parked connection with the poll that it waits for.
type car struct {
	lot    *lot
	conn   net.Conn
	caller job.Caller
	poll   job.PollRequest
	of     finished
	// again says that the connection may be used again after the answer.
	again    bool
	idle     bool // answered; guarded by the lot's mu
	answered chan struct{}
}

// What net/http held for a connection that was parked is garbage, and the
// stacks that were deep once are too large. On a server that does little else,
// nobody would collect them for two minutes.
const (
	tidyCount = 1000
	tidyEvery = 15 * time.Second
	tidyDelay = 2 * time.Second
)

// tidier says when enough was parked to be worth a collection.
type tidier struct {
	count int
	next  time.Time // of the last collection, which may still be to come
}

// parked counts a connection, and reports whether a collection is due and in
// what time.
func (t *tidier) parked(now time.Time) (in time.Duration, due bool) {
	t.count++
	ahead := t.next.Sub(now)
	if t.count < tidyCount || (ahead > 0 && ahead <= tidyEvery) {
		return 0, false
	}
	in = tidyDelay
	if since := -ahead; since >= 0 && since < tidyEvery {
		in = max(in, tidyEvery-since)
	}
	t.count, t.next = 0, now.Add(in)
	return in, true
}

// park takes the call off net/http and has it wait for what r asks. It
// reports false if the connection cannot be parked, as with HTTP/2, which has
// many calls on one.
func (l *lot) park(c *call, r job.PollRequest) bool {
	if !l.enter() {
		return false
	}
	again := c.request().ProtoAtLeast(1, 1) && !c.request().Close
	of := c.finished()
	conn, rw, err := http.NewResponseController(c.response().Writer).Hijack()
	if err != nil {
		l.running.Add(-2)
		return false
	}
	c.parked = true
	k := &car{lot: l, conn: conn, caller: c.waiter(), poll: r, of: of, again: again, answered: make(chan struct{})}
	// A caller that did not wait for the answer may have sent more already.
	early, _ := rw.Peek(rw.Reader.Buffered())
	if used, ok := conn.(*resumed); ok && len(used.early) == 0 {
		k.conn = used.Conn
	}
	l.mu.Lock()
	l.cars[k] = struct{}{}
	if in, due := l.tidy.parked(time.Now()); due {
		time.AfterFunc(in, debug.FreeOSMemory)
	}
	l.mu.Unlock()
	ctx, leave := context.WithCancel(l.stopping)
	early = bytes.Clone(early)
	go func() { defer l.running.Done(); k.watch(leave, early) }()
	go func() { defer l.running.Done(); k.wait(ctx) }()
	return true
}

// enter counts the two goroutines of a car, unless the lot was ended.
func (l *lot) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.running.Add(2)
	return true
}

// watch reads what comes while the call waits and after it: the first byte of
// the next request, or the end.
func (k *car) watch(leave context.CancelFunc, early []byte) {
	defer leave()
	if len(early) == 0 {
		early = make([]byte, 1)
		n, _ := k.conn.Read(early)
		if early = early[:n]; n == 0 {
			leave()
		}
	}
	<-k.answered
	k.lot.mu.Lock()
	delete(k.lot.cars, k)
	k.lot.mu.Unlock()
	if len(early) == 0 || !k.again {
		_ = k.conn.Close()
		return
	}
	_ = k.conn.SetDeadline(time.Time{})
	k.lot.giveBack(&resumed{Conn: k.conn, early: early})
}

// wait answers the call.
func (k *car) wait(ctx context.Context) {
	defer close(k.answered)
	status, err := k.answer(ctx)
	k.of.log(ctx, status)
	l := k.lot
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || !k.again || l.ended {
		_ = k.conn.Close()
		k.again = false
		return
	}
	k.idle = true
	_ = k.conn.SetDeadline(time.Now().Add(idleTime))
}

// answer polls and writes what came of it.
func (k *car) answer(ctx context.Context) (status int, err error) {
	defer func() {
		if p := recover(); p != nil {
			k.of.api.metrics.panics.Inc()
			status, err = k.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	answer, err := k.of.api.cfg.Jobs.Poll(ctx, k.caller, k.poll)
	stopping := k.lot.stopping.Err() != nil
	switch {
	case ctx.Err() != nil && !stopping:
		return statusClientGone, ctx.Err()
	case err != nil && !stopping: // to an agent, the server's stop is no error
		return k.fail(err)
	}
	return http.StatusOK, k.write(http.StatusOK, http.Header{}, "application/json", k.of.api.wirePollAnswer(answer))
}

func (k *car) fail(err error) (status int, _ error) {
	f, h := failureOf(err), http.Header{}
	f.headers(h)
	return f.problem.Status, k.write(f.problem.Status, h, problemType, f.tell(k.of, err))
}

// write writes a whole response of HTTP/1.1.
func (k *car) write(status int, h http.Header, contentType string, v any) error {
	var body, head bytes.Buffer
	if err := encodeJSON(&body, v); err != nil {
		return err
	}
	h["Cache-Control"] = noStore
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(body.Len())}
	h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	h[echo.HeaderXRequestID] = []string{k.of.id}
	if !k.again || k.lot.stopping.Err() != nil {
		h["Connection"] = []string{"close"}
	}
	head.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	if err := h.Write(&head); err != nil {
		return err
	}
	head.WriteString("\r\n")
	_ = k.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := (&net.Buffers{head.Bytes(), body.Bytes()}).WriteTo(k.conn)
	return err
}

// resumed is a connection of whose next request some bytes were read.
type resumed struct {
	net.Conn
	early []byte
}

func (r *resumed) Read(p []byte) (int, error) {
	if len(r.early) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.early)
	if r.early = r.early[n:]; len(r.early) == 0 {
		r.early = nil
	}
	return n, nil
}

// CloseWrite lets the server end a connection so that its last answer is
// still read.
func (r *resumed) CloseWrite() error {
	if c, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
