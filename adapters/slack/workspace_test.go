package slack

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// What the workspace of the tests is made of.
const (
	teamID        = "T0001"
	appID         = "A0001"
	botUser       = "U0BOT"
	botID         = "B0BOT"
	botToken      = "xoxb-the-bot-token-of-the-tests"
	appLevelToken = "xapp-1-" + appID + "-the-app-token-of-the-tests"
	signingSecret = "the-signing-secret-of-the-tests"
	socketTicket  = "the-ticket-of-a-connection"
	groupID       = "S0001"
)

// workspace is the far side: Slack's Web API, its response_urls, Socket Mode,
// and what people see. It reads what it is sent by itself.
type workspace struct {
	srv   *httptest.Server
	clock chat.Clock
	sockets

	mu        sync.Mutex
	n         int
	locked    bool
	faults    map[string]string // by method: the error that it answers
	calls     map[string]int
	posts     []*post
	uploads   map[string]*chat.File
	responses map[string]*responseURL
}

// post is a message that the bot sent.
type post struct {
	Channel  string          `json:"channel"`
	TS       string          `json:"ts"`
	Thread   string          `json:"thread_ts"`
	Text     string          `json:"text"`
	Blocks   json.RawMessage `json:"blocks"`
	User     string          `json:"user"` // set if only they see it
	notified []string
	files    []chat.File
	// place is the conversation of a response_url, or -1.
	place int
}

// responseURL is a way to answer one slash command or click.
type responseURL struct {
	channel, thread, user string
	place, used           int
	until                 time.Time
}

func startWorkspace(t *testing.T, clock chat.Clock) *workspace {
	t.Helper()
	w := &workspace{
		clock: clock, faults: map[string]string{}, calls: map[string]int{},
		uploads: map[string]*chat.File{}, responses: map[string]*responseURL{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", w.method)
	mux.HandleFunc("GET /api/{method}", w.method)
	mux.HandleFunc("POST /upload/{id}", w.upload)
	mux.HandleFunc("POST /response/{id}", w.respond)
	mux.HandleFunc("GET /socket", w.socket)
	w.srv = httptest.NewServer(mux)
	t.Cleanup(func() { w.hangUp(); w.srv.Close() })
	return w
}

func (w *workspace) api() string { return w.srv.URL + "/api/" }

// next returns a number that was not used before, and the ts of now.
func (w *workspace) next() (n int, ts string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nextLocked()
}

func (w *workspace) nextLocked() (n int, ts string) {
	w.n++
	return w.n, fmt.Sprintf("%d.%06d", w.clock().Unix(), w.n)
}

// fail makes a method of the Web API answer with an error.
func (w *workspace) fail(method, with string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[method] = with
}

func (w *workspace) called(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[method]
}

// values are the arguments of a call, sent in either way that Slack takes.
func values(r *http.Request) (map[string]string, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if len(body) == 0 {
			return all, nil
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			return nil, err
		}
		for k, raw := range fields {
			var s string
			if json.Unmarshal(raw, &s) != nil {
				s = string(raw)
			}
			all[k] = s
		}
		return all, nil
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	for k := range r.Form {
		all[k] = r.Form.Get(k)
	}
	return all, nil
}

// method serves a method of the Web API.
func (w *workspace) method(rw http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	args, err := values(r)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	token := args["token"]
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[name]++
	right := botToken
	if name == "apps.connections.open" {
		right = appLevelToken
	}
	answer := map[string]any{"ok": true}
	switch fault := w.faults[name]; {
	case fault != "":
		answer = map[string]any{"ok": false, "error": fault}
	case w.locked || token != right:
		answer = map[string]any{"ok": false, "error": "invalid_auth"}
	default:
		w.answer(name, args, answer)
	}
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(rw).Encode(answer)
}

// answer carries out a method and fills its answer.
func (w *workspace) answer(name string, args map[string]string, answer map[string]any) {
	refuse := func(reason string) { answer["ok"], answer["error"] = false, reason }
	switch name {
	case "auth.test":
		answer["team_id"], answer["user_id"], answer["bot_id"] = teamID, botUser, botID
	case "usergroups.list":
		answer["usergroups"] = []map[string]any{
			{"id": groupID, "team_id": teamID, "is_usergroup": true, "date_delete": 0, "users": []string{person(0), person(1)}},
			{"id": "S0GONE", "team_id": teamID, "is_usergroup": true, "date_delete": 1700000000, "users": []string{person(0)}},
		}
	case "apps.connections.open":
		answer["url"] = strings.Replace(w.srv.URL, "http", "ws", 1) + "/socket?ticket=" + socketTicket
	case "chat.postMessage", "chat.postEphemeral":
		if args["text"] == "" && args["blocks"] == "" {
			refuse("no_text")
			return
		}
		p := &post{Channel: args["channel"], Thread: args["thread_ts"], Text: args["text"], Blocks: json.RawMessage(args["blocks"]), User: args["user"], place: -1}
		_, p.TS = w.nextLocked()
		w.show(p)
		answer["channel"], answer["ts"], answer["message_ts"] = p.Channel, p.TS, p.TS
		answer["message"] = p
	case "chat.update":
		i := slices.IndexFunc(w.posts, func(p *post) bool { return p.Channel == args["channel"] && p.TS == args["ts"] })
		if i < 0 {
			refuse("message_not_found")
			return
		}
		w.posts[i].Text, w.posts[i].Blocks = args["text"], json.RawMessage(args["blocks"])
		answer["channel"], answer["ts"], answer["text"] = args["channel"], args["ts"], args["text"]
	case "files.getUploadURLExternal":
		n, _ := w.nextLocked()
		id := fmt.Sprintf("F%04d", n)
		w.uploads[id] = &chat.File{Name: args["filename"]}
		answer["file_id"], answer["upload_url"] = id, w.srv.URL+"/upload/"+id
	case "files.completeUploadExternal":
		w.complete(args, answer, refuse)
	case "conversations.open":
		answer["channel"] = map[string]string{"id": args["users"]}
	case "reactions.add", "reactions.remove", "views.publish", "assistant.threads.setStatus":
	default:
		refuse("unknown_method")
	}
}

func (w *workspace) complete(args map[string]string, answer map[string]any, refuse func(string)) {
	var files []struct{ ID, Title string }
	if err := json.Unmarshal([]byte(args["files"]), &files); err != nil || len(files) == 0 {
		refuse("invalid_arguments")
		return
	}
	p := &post{Channel: args["channel_id"], Thread: args["thread_ts"], Text: args["initial_comment"], Blocks: json.RawMessage(args["blocks"]), place: -1}
	_, p.TS = w.nextLocked()
	for _, f := range files {
		up, ok := w.uploads[f.ID]
		if !ok {
			refuse("file_not_found")
			return
		}
		p.files = append(p.files, *up)
	}
	w.show(p)
	answer["files"] = files
}

// upload takes the bytes of a file, plain or as a form.
func (w *workspace) upload(rw http.ResponseWriter, r *http.Request) {
	var content []byte
	var err error
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		if err = r.ParseMultipartForm(32 << 20); err == nil {
			for _, headers := range r.MultipartForm.File {
				f, failed := headers[0].Open()
				if failed != nil {
					rw.WriteHeader(http.StatusBadRequest)
					return
				}
				content, err = io.ReadAll(f)
				_ = f.Close()
			}
		}
	} else {
		content, err = io.ReadAll(r.Body)
	}
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if up, ok := w.uploads[r.PathValue("id")]; ok {
		up.Text = string(content)
	}
	_, _ = fmt.Fprintf(rw, "OK - %d", len(content))
}

// respond serves a response_url: five times, within half an hour.
func (w *workspace) respond(rw http.ResponseWriter, r *http.Request) {
	args, err := values(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	to, ok := w.responses[r.PathValue("id")]
	switch {
	case err != nil:
		rw.WriteHeader(http.StatusBadRequest)
		return
	case !ok || to.used >= 5 || w.clock().After(to.until):
		rw.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(rw, "used_url")
		return
	}
	to.used++
	p := &post{Channel: to.channel, Thread: to.thread, Text: args["text"], Blocks: json.RawMessage(args["blocks"]), User: to.user, place: to.place}
	if args["response_type"] == "in_channel" {
		p.User = ""
	}
	_, p.TS = w.nextLocked()
	w.show(p)
	_, _ = io.WriteString(rw, "ok")
}

// responseTo makes a response_url.
func (w *workspace) responseTo(channel, thread, user string, place int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	id := fmt.Sprintf("secret-%d", w.n)
	w.responses[id] = &responseURL{channel: channel, thread: thread, user: user, place: place, until: w.clock().Add(30 * time.Minute)}
	return w.srv.URL + "/response/" + id
}

// show adds a message for people to see, and notifies whom it mentions.
func (w *workspace) show(p *post) {
	_, notified := read(p)
	p.notified = notified
	w.posts = append(w.posts, p)
}

// shown returns what is seen, oldest first.
func (w *workspace) shown() []post {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]post, 0, len(w.posts))
	for _, p := range w.posts {
		all = append(all, *p)
	}
	return all
}

// told returns what one person alone was told since the first n messages.
func (w *workspace) told(n int, user string) string {
	var b strings.Builder
	for _, p := range w.shown()[n:] {
		if p.User == user {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

var (
	tag     = regexp.MustCompile(`<([@!#])([^<>|]*)(\|[^<>]*)?>`)
	seenAs  = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
	escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
)

// read returns what can be read of a message and whom it notifies. Blocks take
// the place of the text, which then is for the notification alone.
func read(p *post) (text string, notified []string) {
	r := &reader{}
	var blocks []any
	if err := json.Unmarshal(p.Blocks, &blocks); err == nil && len(blocks) > 0 {
		r.walk(blocks)
	} else {
		r.marked(p.Text)
	}
	return r.text.String(), slices.Compact(r.notified)
}

type reader struct {
	text     strings.Builder
	notified []string
}

// marked reads text with Slack's markup.
func (r *reader) marked(text string) {
	for _, m := range tag.FindAllStringSubmatch(text, -1) {
		if m[1] != "#" {
			r.notified = append(r.notified, m[2])
		}
	}
	r.text.WriteString(seenAs.Replace(tag.ReplaceAllString(text, "")))
}

// walk reads blocks, as deep as they go.
func (r *reader) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			r.walk(one)
		}
	case map[string]any:
		r.block(v)
	}
}

func (r *reader) block(v map[string]any) {
	text, _ := v["text"].(string)
	switch kind, _ := v["type"].(string); kind {
	case "mrkdwn":
		r.marked(text)
		r.text.WriteByte('\n')
		return
	case "plain_text":
		r.text.WriteString(text + "\n")
		return
	case "text": // of rich text
		r.text.WriteString(text)
		return
	case "link":
		url, _ := v["url"].(string)
		r.text.WriteString(url + text)
		return
	case "emoji":
		name, _ := v["name"].(string)
		r.text.WriteString(":" + name + ":")
		return
	case "user":
		id, _ := v["user_id"].(string)
		r.notified = append(r.notified, id)
		return
	case "usergroup", "broadcast":
		r.notified = append(r.notified, kind)
		return
	}
	for _, key := range []string{"text", "fields", "elements", "accessory"} {
		r.walk(v[key])
	}
	if v["type"] == "rich_text_section" || v["type"] == "rich_text_preformatted" || v["type"] == "rich_text" {
		r.text.WriteByte('\n')
	}
}

// button is one that people can click on.
type button struct {
	on                  post
	actionID, blockID   string
	value, label, style string
}

// buttons returns those of a message.
func buttons(p post) []button {
	var blocks []struct {
		ID       string `json:"block_id"`
		Elements []struct {
			Type     string `json:"type"`
			ActionID string `json:"action_id"`
			Value    string `json:"value"`
			Style    string `json:"style"`
			Text     struct {
				Text string `json:"text"`
			} `json:"text"`
		} `json:"elements"`
	}
	_ = json.Unmarshal(p.Blocks, &blocks) // elements of other blocks have no such text
	var all []button
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.Type == "button" {
				all = append(all, button{p, e.ActionID, b.ID, e.Value, e.Text.Text, e.Style})
			}
		}
	}
	return all
}

// person is the ID of a person.
func person(n int) string { return fmt.Sprintf("U%04d", n) }
