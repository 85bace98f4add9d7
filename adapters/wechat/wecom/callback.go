package wecom

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
)

const (
	// callbackPath is the one address of an application.
	callbackPath = "callback"
	// acceptTimeout leaves time to say that a message was not stored: WeCom
	// waits five seconds, and delivers again up to three times.
	acceptTimeout = 3 * time.Second
)

// serveTest answers WeCom's test of the address with what it has encrypted, and
// nothing else.
func (a *Adapter) serveTest(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !q.Has("echostr") { // no test, then
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, "text/plain", nil)
		return
	}
	echo, err := a.codec.OpenEcho(q)
	if err != nil {
		a.deny(r.Context(), w, err)
		return
	}
	answer(w, http.StatusOK, "text/plain; charset=utf-8", echo)
}

// serveMessage takes a message or an event. An empty body with 200 counts as
// taken; everything else is delivered again.
func (a *Adapter) serveMessage(w http.ResponseWriter, r *http.Request) {
	e, err := a.read(r)
	if err != nil {
		a.deny(r.Context(), w, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acceptTimeout)
	defer cancel()
	m, ok := a.inbound(e)
	if !ok || m.Joined && a.greeted(ctx, m.Conversation.Key) {
		answer(w, http.StatusOK, "text/plain", nil)
		return
	}
	if err := a.env.Inbox.Accept(ctx, m); err != nil {
		a.env.Logger.Error("a message was not stored; WeCom delivers it again", "message", m.ID, "err", err)
		answer(w, http.StatusServiceUnavailable, "text/plain", []byte("not stored"))
		return
	}
	switch {
	case m.Joined:
		a.greet(ctx, m.Conversation.Key)
	case e.click():
		a.answerClick(w, e)
		return
	}
	answer(w, http.StatusOK, "text/plain", nil)
}

// read verifies a call and reads what it brings.
func (a *Adapter) read(r *http.Request) (event, error) {
	body, err := envelope.ReadBody(r.Body)
	if err != nil {
		return event{}, err
	}
	message, err := a.codec.Open(r.URL.Query(), body)
	if err != nil {
		return event{}, err
	}
	e, err := eventOf(message)
	if err == nil {
		err = a.forUs(e)
	}
	if err != nil {
		return event{}, &signed{err}
	}
	return e, nil
}

// answerClick has the card say that the click was taken, and its buttons cannot
// be clicked any more: WeCom shows what the answer says.
func (a *Adapter) answerClick(w http.ResponseWriter, e event) {
	sealed, err := a.codec.Seal(e.clickedReply(a.env.Clock()))
	if err != nil { // it was taken all the same
		a.env.Logger.Warn("a card cannot show that its button was clicked", "err", err)
	}
	answer(w, http.StatusOK, "application/xml; charset=utf-8", sealed)
}

// signed is the error of a call that is WeCom's.
type signed struct{ err error }

func (s *signed) Error() string { return s.err.Error() }

func (s *signed) Unwrap() error { return s.err }

// deny refuses a call. The reason is for the log: whoever calls without a right
// to learns nothing.
func (a *Adapter) deny(ctx context.Context, w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, envelope.ErrTooLong):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, envelope.ErrSignature), errors.Is(err, envelope.ErrStale), errors.Is(err, envelope.ErrReplay),
		errors.Is(err, envelope.ErrReceiver):
		status = http.StatusForbidden
	}
	level := slog.LevelWarn
	var s *signed
	if !errors.As(err, &s) && !a.strangers.Tell(a.env.Clock()) {
		level = slog.LevelDebug // anybody can call
	}
	a.env.Logger.Log(ctx, level, "a call was refused", "status", status, "err", err)
	answer(w, status, "text/plain", []byte(http.StatusText(status)))
}

func answer(w http.ResponseWriter, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // of no HTML, and only who has the key decides what
}
