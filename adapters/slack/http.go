package slack

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
)

// maxBody bounds a request, and a message of Socket Mode. The largest is a
// click, which comes with the whole message that the button is on.
const maxBody = 1 << 20

// Handler implements chat.Pushed: it takes events at events, slash commands at
// commands and clicks at interactivity.
func (p pushed) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /events", p.signed(p.postedEvent))
	mux.HandleFunc("POST /commands", p.signed(p.postedCommand))
	mux.HandleFunc("POST /interactivity", p.signed(p.postedClick))
	return mux
}

// signed serves requests that Slack signed, and answers all others itself.
func (a *Adapter) signed(handle func(ctx context.Context, body []byte) verdict) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// What was begun is finished, even if Slack hangs up.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), answerWithin)
		defer cancel()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			a.answer(w, r, verdict{status: http.StatusRequestEntityTooLarge, why: errors.New("it is too long"), stranger: true})
			return
		}
		if err != nil {
			a.answer(w, r, verdict{status: http.StatusBadRequest, why: errors.New("it did not come whole"), stranger: true})
			return
		}
		if err := verify(a.cfg.SigningSecret, r.Header, body, a.env.Clock()); err != nil {
			a.answer(w, r, verdict{status: http.StatusUnauthorized, why: err, stranger: true})
			return
		}
		a.answer(w, r, handle(ctx, body))
	}
}

// answer writes a verdict. Slack is asked to deliver again only what may be
// taken then.
func (a *Adapter) answer(w http.ResponseWriter, r *http.Request, v verdict) {
	if v.why != nil {
		level := slog.LevelWarn
		if v.stranger && !a.strangers.Tell(a.env.Clock()) {
			level = slog.LevelDebug // anybody can call
		}
		a.env.Logger.Log(r.Context(), level, "a request was not taken", "path", r.URL.Path, "status", v.status, "err", v.why)
	}
	h := w.Header()
	if v.status != http.StatusOK && v.status != http.StatusServiceUnavailable {
		h.Set("X-Slack-No-Retry", "1")
	}
	switch reply := v.reply.(type) {
	case nil:
		w.WriteHeader(v.status)
	case string:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(v.status)
		_, _ = io.WriteString(w, reply)
	default:
		h.Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(v.status)
		if err := json.NewEncoder(w).Encode(reply); err != nil {
			a.env.Logger.Warn("an answer to Slack was not sent", "err", err)
		}
	}
}

// postedEvent takes the body of a call to events.
func (a *Adapter) postedEvent(ctx context.Context, body []byte) verdict {
	var outer struct {
		Type      string `json:"type"`
		Challenge string `json:"challenge"`
	}
	if err := json.Unmarshal(body, &outer); err != nil {
		return malformed
	}
	// Slack checks an address before the account has to work:
	// https://docs.slack.dev/reference/events/url_verification
	if outer.Type == "url_verification" {
		if outer.Challenge == "" {
			return malformed
		}
		return verdict{status: http.StatusOK, reply: outer.Challenge}
	}
	return a.event(ctx, body)
}

// postedCommand takes the body of a call to commands.
func (a *Adapter) postedCommand(ctx context.Context, body []byte) verdict {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return malformed
	}
	if form.Get("ssl_check") == "1" { // Slack looks at the certificate now and then
		return ignored
	}
	return a.slash(ctx, slashCommand{
		TeamID: form.Get("team_id"), EnterpriseID: form.Get("enterprise_id"), AppID: form.Get("api_app_id"),
		ChannelID: form.Get("channel_id"), UserID: form.Get("user_id"), UserName: form.Get("user_name"),
		Text: form.Get("text"), ResponseURL: form.Get("response_url"), TriggerID: form.Get("trigger_id"),
	})
}

// postedClick takes the body of a call to interactivity.
func (a *Adapter) postedClick(ctx context.Context, body []byte) verdict {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return malformed
	}
	return a.interaction(ctx, []byte(form.Get("payload")))
}
