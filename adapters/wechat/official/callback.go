package official

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/core/chat"
)

const (
	// callbackPath is the one address of the account.
	callbackPath = "callback"
	// answerWithin is how long an answer is waited for. WeChat waits five
	// seconds for ours, and asks three times.
	answerWithin = 4 * time.Second
	// writeWithin is how long the answer may take on its way.
	writeWithin = 800 * time.Millisecond
	// acceptTimeout leaves time to say that a message was not stored.
	acceptTimeout = 3 * time.Second
	// success is the one answer that counts as taken and says nothing.
	success = "success"
)

// serveTest answers WeChat's test of the address.
func (a *Adapter) serveTest(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	echo := q["echostr"]
	if len(echo) == 0 {
		answer(w, http.StatusMethodNotAllowed, "text/plain", "messages come by POST")
		return
	}
	if err := a.codec.Verify(q); err != nil {
		a.deny(r.Context(), w, err)
		return
	}
	if len(echo) != 1 || !isEcho(echo[0]) {
		a.deny(r.Context(), w, errors.New("the test of the address has an odd echostr"))
		return
	}
	answer(w, http.StatusOK, "text/plain; charset=utf-8", echo[0])
}

// isEcho reports whether an echostr is what WeChat sends, letters and digits,
// and not a page for somebody's browser.
func isEcho(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

// serveMessage takes a message or an event.
func (a *Adapter) serveMessage(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	in, err := a.read(r)
	if err != nil {
		a.deny(r.Context(), w, err)
		return
	}
	m, ok := in.inbound(a.env.Account, a.cfg.AppID)
	switch {
	case !ok: // nothing that anybody asks
		answer(w, http.StatusOK, "text/plain", success)
		return
	case m.Joined && a.cfg.Greeting != "":
		a.reply(w, in, fit(a.cfg.Greeting))
		return
	}
	c := a.calls.enter(m.ID)
	defer c.leave()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acceptTimeout)
	defer cancel()
	if err := a.env.Inbox.Accept(ctx, m); err != nil {
		a.env.Logger.Error("a message was not stored; WeChat delivers it again", "message", m.ID, "err", err)
		answer(w, http.StatusInternalServerError, "text/plain", "not stored")
		return
	}
	text, written, ok := c.wait(r.Context(), a.patience-time.Since(arrived))
	if !ok {
		answer(w, http.StatusOK, "text/plain", success)
		return
	}
	// Not after: a caller who has the answer may hang up before this goes on.
	written(r.Context().Err() == nil && a.reply(w, in, text))
}

// read verifies a call and reads what it brings.
func (a *Adapter) read(r *http.Request) (incoming, error) {
	body, err := envelope.ReadBody(r.Body)
	if err != nil {
		return incoming{}, err
	}
	if a.cfg.Plain {
		body, err = a.codec.OpenPlain(r.URL.Query(), body)
	} else {
		body, err = a.codec.Open(r.URL.Query(), body)
	}
	if err != nil {
		return incoming{}, err
	}
	in, err := parse(body)
	if err != nil {
		return incoming{}, &signed{err}
	}
	return in, nil
}

// signed is the error of a call that is WeChat's.
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
	case errors.Is(err, envelope.ErrSignature), errors.Is(err, envelope.ErrStale), errors.Is(err, envelope.ErrReplay):
		status = http.StatusForbidden
	}
	level := slog.LevelWarn
	var s *signed
	if !errors.As(err, &s) && !a.strangers.Tell(a.env.Clock()) {
		level = slog.LevelDebug // anybody can call
	}
	a.env.Logger.Log(ctx, level, "a call was refused", "status", status, "err", err)
	answer(w, status, "text/plain", http.StatusText(status))
}

// reply answers the call with a text, and reports whether it was written.
func (a *Adapter) reply(w http.ResponseWriter, in incoming, text string) bool {
	body := in.reply(text, a.env.Clock())
	if !a.cfg.Plain {
		sealed, err := a.codec.Seal(body)
		if err != nil {
			a.env.Logger.Error("an answer cannot be encrypted", "err", err)
			answer(w, http.StatusOK, "text/plain", success)
			return false
		}
		body = sealed
	}
	return answer(w, http.StatusOK, "application/xml; charset=utf-8", string(body))
}

// answer writes an answer to its end, and reports whether that worked.
func answer(w http.ResponseWriter, status int, kind, body string) bool {
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(writeWithin)) // not every writer has one
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write([]byte(body)); err != nil { //nolint:gosec // no page: see isEcho, and CDATA
		return false
	}
	err := rc.Flush()
	return err == nil || errors.Is(err, http.ErrNotSupported)
}

// classes say what codes mean to an official account, beside those of
// [tencent.Client]:
// https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html
var classes = map[int64]chat.Class{
	40003: chat.Gone, // no such person, or not of this account
	43004: chat.Gone, // who does not follow the account any more
	45015: chat.Shut, // the person wrote too long ago
	45047: chat.Shut, // too many messages since
}
