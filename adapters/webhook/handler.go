package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// endpoint is below the adapter's mount.
	endpoint = "events"
	// maxBody bounds a call. GitHub's are up to 25 MB, of which those that
	// long are pushes of thousands of commits:
	// https://docs.github.com/webhooks/webhook-events-and-payloads#payload-cap
	maxBody = 5 << 20
	// acceptTimeout is less than GitHub and GitLab wait for an answer, which is
	// 10 seconds.
	acceptTimeout = 5 * time.Second
)

// answer is what a caller is told, and the log.
type answer struct {
	status int
	// Status is taken, ignored, refused or failed.
	Status string `json:"status"`
	// Detail is for whoever looks at the deliveries at the far side. It is
	// empty for who has proved nothing.
	Detail string `json:"detail,omitempty"`

	err      error
	stranger bool
}

// Handler implements chat.Pushed. It serves POST /events.
func (a *Adapter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+endpoint, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, r, a.serve(w, r))
	})
	return mux
}

// serve takes a call. It reads nothing out of the body before the signature of
// all of it was right.
func (a *Adapter) serve(w http.ResponseWriter, r *http.Request) answer {
	if err := a.scheme.claim(r.Header); err != nil {
		return stranger(http.StatusUnauthorized, err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return stranger(http.StatusRequestEntityTooLarge, fmt.Errorf("its body is longer than %d bytes", maxBody))
	}
	if err != nil {
		return stranger(http.StatusBadRequest, errors.New("it did not come whole"))
	}
	id, err := a.scheme.verify(r.Header, body, a.env.Clock())
	if err != nil {
		return stranger(http.StatusUnauthorized, err)
	}
	if err := isJSON(r.Header); err != nil {
		return answer{status: http.StatusUnsupportedMediaType, Status: "refused", Detail: err.Error(), err: err}
	}
	e, err := readEvent(a.cfg, r.Header, id, body)
	if err != nil {
		return answer{status: http.StatusBadRequest, Status: "refused", Detail: err.Error(), err: err}
	}
	// What was begun is finished, even if the caller hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acceptTimeout)
	defer cancel()
	return a.take(ctx, e)
}

func stranger(status int, err error) answer {
	return answer{status: status, Status: "refused", err: err, stranger: true}
}

// isJSON reports an error unless the call says that its body is JSON.
func isJSON(h http.Header) error {
	const name = "Content-Type"
	text, err := one(h, name)
	if err != nil {
		return err
	}
	kind, params, err := mime.ParseMediaType(text)
	if err != nil || kind != "application/json" {
		return errors.New("its content type is not application/json; choose that where the webhook is set up")
	}
	if set := params["charset"]; set != "" && set != "utf-8" && set != "UTF-8" {
		return errors.New("its text is not UTF-8")
	}
	return nil
}

// take makes a message of an event and hands it in.
func (a *Adapter) take(ctx context.Context, e *event) answer {
	if a.cfg.Provider == GitHub && e.kind == "ping" {
		return answer{status: http.StatusOK, Status: "ignored", Detail: "the webhook works"}
	}
	if a.caused(e) {
		return answer{status: http.StatusAccepted, Status: "ignored", Detail: "it tells of a status that this webhook's own jobs have"}
	}
	for i := range a.rules {
		if !a.rules[i].matcher.fits(e) {
			continue
		}
		m, err := a.message(&a.rules[i], e)
		if err != nil {
			return a.refused(fmt.Errorf("rules[%d]: %w", i, err))
		}
		if err := a.env.Inbox.Accept(ctx, m); err != nil {
			return answer{
				status: http.StatusServiceUnavailable, Status: "failed", err: err,
				Detail: "the message was not stored; deliver it again",
			}
		}
		a.env.Logger.DebugContext(ctx, "an event became a message", "event", e.kind, "rule", i, "message", m.ID)
		return answer{status: http.StatusOK, Status: "taken", Detail: fmt.Sprintf("by rules[%d]", i)}
	}
	a.env.Logger.DebugContext(ctx, "no rule is for an event", "event", e.kind, "from", e.name())
	if a.env.Unmatched != nil {
		a.env.Unmatched()
	}
	return answer{status: http.StatusAccepted, Status: "ignored", Detail: "no rule is for this event"}
}

// refused is the answer for an event that no message can be made of. GitHub
// shows it as a failed delivery. Others shut a webhook that fails some times,
// which must not be in the hand of whoever names a branch.
func (a *Adapter) refused(err error) answer {
	status := http.StatusAccepted
	if a.cfg.Provider == GitHub {
		status = http.StatusUnprocessableEntity
	}
	return answer{status: status, Status: "refused", Detail: err.Error(), err: err}
}

// message makes what a rule says of an event.
func (a *Adapter) message(r *rule, e *event) (chat.Inbound, error) {
	text, err := r.send.expand(e.payload)
	if err != nil {
		return chat.Inbound{}, fmt.Errorf("send: %w", err)
	}
	m := chat.Inbound{
		ID:     e.id,
		Sender: chat.Sender{Account: a.env.Account, User: User, Name: chat.Readable(e.name())},
		Text:   text, Addressed: true, At: a.env.Clock(),
		CallbackURL: r.replies.callback,
	}
	m.Conversation = silence(a.env.Account, e.repo())
	if to := r.replies.to; to != (chat.Destination{}) {
		m.ReplyTo = &to
	}
	if r.replies.status == (CommitStatus{}) {
		return m, nil
	}
	c, err := r.commit(a.cfg.Provider, e)
	if err != nil {
		return chat.Inbound{}, fmt.Errorf("commit_status: %w", err)
	}
	m.ID = c.once(a.cfg.Provider, e)
	// What comes of the job is told at once and in order there; where nothing
	// else is answered, a refusal becomes a status too.
	m.Also = []chat.ConversationRef{c.ref(a.env.Account)}
	m.Conversation = m.Also[0]
	if m.ReplyTo == nil {
		c.Words = true
		m.Conversation = c.ref(a.env.Account)
	}
	return m, nil
}

// reply writes an answer.
func (a *Adapter) reply(w http.ResponseWriter, r *http.Request, v answer) {
	if v.err != nil {
		level := slog.LevelWarn
		switch {
		case v.status == http.StatusServiceUnavailable:
			level = slog.LevelError
		case v.stranger && !a.strangers.Tell(a.env.Clock()):
			level = slog.LevelDebug // anybody can call
		}
		a.env.Logger.Log(r.Context(), level, "a webhook call was not taken", "status", v.status, "err", v.err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if v.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "10")
	}
	w.WriteHeader(v.status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.env.Logger.Debug("an answer to a webhook was not sent", "err", err)
	}
}
