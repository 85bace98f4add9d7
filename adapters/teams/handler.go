package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/infracloudio/msbotbuilder-go/core"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// maxBody is far more than the longest message of Teams, in bytes:
	// https://learn.microsoft.com/microsoftteams/limits-specifications-teams
	maxBody = 1 << 20
	// The Bot Framework waits 15 seconds for an answer. Getting keys, storing,
	// and telling the asker that storing failed take less than that together.
	acceptTimeout = 5 * time.Second
	tellTimeout   = 4 * time.Second
)

// verdict is how a call is answered.
type verdict struct {
	status int
	body   any // as JSON; nil is none
}

var (
	taken   = verdict{status: http.StatusOK}
	ignored = verdict{status: http.StatusOK}
)

// Handler implements chat.Pushed. It serves POST /messages, the messaging
// endpoint of the bot.
func (a *Adapter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /messages", func(w http.ResponseWriter, r *http.Request) {
		v, err := a.serve(r)
		if err != nil {
			v = a.deny(r.Context(), w, err)
		}
		if v.body == nil {
			w.WriteHeader(v.status)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(v.status)
		if err := json.NewEncoder(w).Encode(v.body); err != nil {
			a.env.Logger.Warn("an answer to Teams was not sent", "err", err)
		}
	})
	return mux
}

// deny answers a call that is not taken. The reason is for the log: whoever
// calls without a right to learns nothing.
func (a *Adapter) deny(ctx context.Context, w http.ResponseWriter, err error) verdict {
	status := http.StatusBadRequest
	var d *denial
	if errors.As(err, &d) {
		status = d.status
	}
	level, text := slog.LevelWarn, "a call was refused"
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
		level, text = slog.LevelInfo, "a call was refused that does not prove to be the Bot Framework's"
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
		level, text = slog.LevelError, "a message cannot be checked now"
	}
	var s *stranger
	if errors.As(err, &s) && !a.strangers.Tell(a.env.Clock()) {
		level = slog.LevelDebug // anybody can call
	}
	a.env.Logger.Log(ctx, level, text, "status", status, "err", err)
	return verdict{status: status}
}

// stranger is the error of a call of which it is not known who makes it.
type stranger struct{ err error }

func (s *stranger) Error() string { return s.err.Error() }

func (s *stranger) Unwrap() error { return s.err }

// serve takes a call. It looks at the body only when the token was believed.
func (a *Adapter) serve(r *http.Request) (verdict, error) {
	header, err := a.caller(r)
	if err != nil {
		return verdict{}, &stranger{err}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return verdict{}, denied(http.StatusBadRequest, "the body cannot be read to its end: %w", err)
	case len(body) > maxBody:
		return verdict{}, denied(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", maxBody)
	}
	in, err := a.parse(r.Context(), header, body)
	if err != nil {
		return verdict{}, err
	}
	if err := in.admitted(a.cfg); err != nil {
		return verdict{}, err
	}
	return a.dispatch(r.Context(), in), nil
}

// caller checks who calls, and returns the header that says so.
func (a *Adapter) caller(r *http.Request) (header string, err error) {
	if a.cfg.UnauthenticatedLoopback {
		return unchecked, fromThisMachine(r)
	}
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", denied(http.StatusUnauthorized, "the call has %d Authorization headers", len(headers))
	}
	_, err = a.validator.verify(r.Context(), headers[0])
	return headers[0], err
}

// parse has the library read the activity, and our validator hold the token
// against it.
func (a *Adapter) parse(ctx context.Context, header string, body []byte) (*incoming, error) {
	body, err := trim(body)
	if err != nil {
		return nil, denied(http.StatusBadRequest, "%w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/messages", bytes.NewReader(body))
	if err != nil {
		return nil, denied(http.StatusBadRequest, "%w", err)
	}
	req.Header.Set("Authorization", header)
	act, err := a.framework.ParseRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	in, err := incomingOf(act, body)
	if err != nil {
		return nil, denied(http.StatusBadRequest, "%w", err)
	}
	return in, nil
}

// newFramework makes the library's adapter with our parts in it. Nothing is
// sent through it, so it has no client.
func newFramework(cfg Config, env chat.Env) (*core.BotFrameworkAdapter, *validator) {
	v := newValidator(cfg, env)
	f := &core.BotFrameworkAdapter{
		AdapterSetting: core.AdapterSetting{AppID: v.app, CredentialProvider: v.credentials()},
		TokenValidator: v,
	}
	if cfg.UnauthenticatedLoopback {
		f.TokenValidator = loopback{}
	}
	return f, v
}
