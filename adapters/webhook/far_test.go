package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

const (
	farSecret = "hook-hunter2-secret"
	oldSecret = "hook-hunter2-before"
	farToken  = "ghp_hunter2token"
	// farSigning is a signing token, of the 32 bytes that GitLab asks for.
	farSigning = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ="
)

// hub is GitHub, or GitLab: it delivers events, and keeps the statuses of
// commits.
type hub struct {
	provider string
	cfg      Config
	a        *Adapter
	api      *httptest.Server

	mu       sync.Mutex
	locked   bool
	statuses []commitStatus
	last     *delivery
	n        int
}

// commitStatus is what stands at a commit.
type commitStatus struct {
	Repo, SHA                              string
	State, Context, Description, TargetURL string
}

// delivery is a call as it can be made again.
type delivery struct {
	header http.Header
	body   []byte
}

// farWaits is how long GitHub and GitLab wait for an answer.
const farWaits = 10 * time.Second

// commits are those that conversations are about.
func commit(i int) string { return strings.Repeat(strconv.Itoa(i+1), 40) }

func startHub(provider string) func(t *testing.T, env chat.Env) chattest.Far {
	return func(t *testing.T, env chat.Env) chattest.Far { return newHub(t, provider, env) }
}

// newHub starts a far side whose adapter takes any text that an event brings.
func newHub(t *testing.T, provider string, env chat.Env) *hub {
	t.Helper()
	h := &hub{provider: provider}
	h.api = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.api.Close)
	h.cfg = Config{
		Provider: provider, Secrets: []chat.Secret{oldSecret, farSecret}, MessageBytes: 1 << 20,
		// So that the conversation is the one that tells everything.
		ReplyTo:      chat.Destination{Account: "elsewhere", Channel: "C1"},
		CommitStatus: CommitStatus{Token: farToken, APIURL: h.api.URL + "/api/", SHA: "{{.client_payload.sha}}"},
		Rules: []Rule{{
			On: map[string]string{"event": "repository_dispatch", "repo": "acme/shop"}, Send: "{{.client_payload.text | words}}",
		}},
	}
	if provider == GitLab {
		h.cfg.Secrets = []chat.Secret{farSigning}
		h.cfg.CommitStatus.SHA = ""
		h.cfg.Rules = []Rule{{
			On: map[string]string{"event": "push", "branch": "release/*"}, Send: "{{(index .commits 0).message | words}}",
		}}
	}
	h.a = h.make(t, env)
	return h
}

func (h *hub) make(t *testing.T, env chat.Env) *Adapter {
	t.Helper()
	a, err := New(h.cfg, env)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (h *hub) Adapter() chat.Adapter { return h.a }

func (h *hub) Restart(t *testing.T, env chat.Env) chat.Adapter {
	t.Helper()
	h.a = h.make(t, env)
	return h.a
}

func (h *hub) Lock(_ *testing.T, locked bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.locked = locked
}

// serve is the API.
func (h *hub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	token := r.Header.Get("Authorization")
	var repo string
	switch {
	case h.provider == GitHub && len(parts) == 5 && parts[0] == "repos" && parts[3] == "statuses":
		repo = parts[1] + "/" + parts[2]
	case h.provider == GitLab && len(parts) == 4 && parts[0] == "projects" && parts[2] == "statuses":
		repo, token = parts[1], "Bearer "+r.Header.Get("Private-Token")
	default:
		answerJSON(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
		return
	}
	if h.locked || token != "Bearer "+farToken {
		answerJSON(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials"})
		return
	}
	var in struct {
		State, Context, Description string
		TargetURL                   string `json:"target_url"`
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &in) != nil || len([]rune(in.Description)) > 140 || r.Method != http.MethodPost {
		answerJSON(w, http.StatusUnprocessableEntity, map[string]string{"message": "Validation Failed"})
		return
	}
	h.statuses = append(h.statuses, commitStatus{repo, parts[len(parts)-1], in.State, in.Context, in.Description, in.TargetURL})
	answerJSON(w, http.StatusCreated, map[string]any{"id": len(h.statuses), "state": in.State, "context": in.Context})
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (h *hub) Shown(*testing.T) []chattest.Shown {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []chattest.Shown
	for _, s := range h.statuses {
		at := 0
		for commit(at) != s.SHA {
			at++
		}
		all = append(all, chattest.Shown{Conversation: at, Text: s.Description})
	}
	return all
}

// event is the body of the delivery that asks for something.
func (h *hub) event(m chattest.Message) []byte {
	h.n++
	body := map[string]any{}
	if h.provider == GitLab {
		mustRead("gitlab/push.json", &body)
		body["checkout_sha"] = commit(m.Conversation)
		body["commits"] = []any{map[string]any{"message": m.Text}}
	} else {
		mustRead("github/repository_dispatch.json", &body)
		body["client_payload"] = map[string]any{"text": m.Text, "sha": commit(m.Conversation)}
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return data
}

// signed makes the delivery of an event now.
func (h *hub) signed(kind string, body []byte) *delivery {
	d := &delivery{header: http.Header{"Content-Type": {"application/json"}}, body: body}
	id := rand.Text()
	if h.provider == GitLab {
		d.header.Set("X-Gitlab-Event", kind)
		d.header.Set("Idempotency-Key", id)
		signStandard(d.header, farSigning, id, time.Now(), body)
		return d
	}
	d.header.Set("X-GitHub-Event", kind)
	d.header.Set("X-GitHub-Delivery", id)
	d.header.Set("X-Hub-Signature-256", hubSignature(farSecret, body))
	return d
}

func hubSignature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func signStandard(h http.Header, secret, id string, at time.Time, body []byte) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func (d *delivery) request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/events", bytes.NewReader(d.body))
	r.Header = d.header.Clone()
	return r
}

// deliver makes the call and returns how it was answered.
func (h *hub) deliver(d *delivery) (int, string) {
	w := httptest.NewRecorder()
	h.a.Handler().ServeHTTP(w, d.request())
	return w.Code, w.Body.String()
}

func (h *hub) Request(_ *testing.T, m chattest.Message) *http.Request {
	return h.signed(h.kind(), h.event(m)).request()
}

func (h *hub) kind() string {
	if h.provider == GitLab {
		return "Push Hook"
	}
	return "repository_dispatch"
}

func (h *hub) Say(t *testing.T, m chattest.Message) chattest.Receipt {
	t.Helper()
	h.last = h.signed(h.kind(), h.event(m))
	return h.Again(t, m)
}

func (h *hub) Again(*testing.T, chattest.Message) chattest.Receipt {
	status, _ := h.deliver(h.last)
	return chattest.Receipt{Taken: status/100 == 2}
}

func (h *hub) Expect(m chattest.Message) chat.Inbound {
	channel := "acme/shop"
	if h.provider == GitLab {
		channel = "acme/web/shop"
	}
	return chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, User: "webhook"},
		Conversation: chat.ConversationRef{Account: chattest.Account, Channel: channel},
		Text:         m.Text, Addressed: true,
	}
}

// read returns a recorded payload.
func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustRead(name string, into any) {
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		panic(err)
	}
}
