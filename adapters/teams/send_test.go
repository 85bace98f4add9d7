package teams

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/letserverrun/skadi/core/chat"
)

var update = flag.Bool("update", false, "write the golden files")

// golden is what a file of testdata/sent has: what core sends, where to, and
// what reaches the Bot Connector.
type golden struct {
	Conversation conversation  `json:"conversation"`
	Message      chat.Outbound `json:"message"`
	Calls        []goldenCall  `json:"calls"`
}

type goldenCall struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body"`
}

func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "sent", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no golden files (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			if err := json.Unmarshal(data, &g); err != nil {
				t.Fatal(err)
			}
			far := newService(t)
			m := g.Message
			to := g.Conversation
			to.ServiceURL = strings.Replace(to.ServiceURL, "https://smba.trafficmanager.net", far.URL, 1)
			m.To = to.ref("work")
			mustSend(t, far.sender(t), m)
			g.Calls = nil
			for _, call := range far.got() {
				g.Calls = append(g.Calls, goldenCall{
					call.Method, call.Path, json.RawMessage(strings.ReplaceAll(string(call.Body), far.URL, "https://smba.trafficmanager.net")),
				})
			}
			got := pretty(t, g)
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(data), string(got)); diff != "" {
				t.Errorf("it differs from %s, which -update writes anew:\n%s", file, diff)
			}
		})
	}
}

func pretty(t *testing.T, v any) []byte {
	t.Helper()
	compact, err := encode(v)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(json.RawMessage(compact)); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

func TestATextIsSeenAsItIs(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	text := "Hi <at>all</at>, *this* is `it`:\n- [a](http://e.example)\n  {b} & c"
	mustSend(t, s, chat.Outbound{ID: "a", To: far.place(), Text: text})
	seen := asSeen(t, far.got()[0])
	if seen.Text != text || len(seen.Notified) > 0 {
		t.Errorf("it is seen as %q and notifies %q", seen.Text, seen.Notified)
	}
}

func asSeen(t *testing.T, call received) shown {
	t.Helper()
	s, err := asShown(call.Body)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMention(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	asker := chat.Sender{User: testPerson, Name: "Ada <at>Love</at>lace"}
	other := chat.Sender{User: "12121212-3434-5656-7878-909090909090", Name: "Grace"}
	for i, c := range []struct {
		m    chat.Outbound
		id   string
		text string
	}{
		{chat.Outbound{Text: "done <at>all</at>", Mention: &asker}, "29:1person", "Ada at Love at lace done <at>all</at>"},
		{chat.Outbound{Text: "done", Mention: &other}, other.User, "Grace done"},
		{chat.Outbound{Card: jobCard(), Mention: &asker}, "29:1person", "Ada at Love at lace \n"},
	} {
		c.m.ID, c.m.To = fmt.Sprint(i), far.place(func(c *conversation) { c.Type = inChannel })
		mustSend(t, s, c.m)
		seen := asSeen(t, far.got()[i])
		if !slices.Equal(seen.Notified, []string{c.id}) || !strings.HasPrefix(seen.Text, c.text) {
			t.Errorf("%d: it notifies %q with %q", i, seen.Notified, seen.Text)
		}
	}
	mustSend(t, s, chat.Outbound{ID: "nobody", To: far.place(), Text: "done", Mention: &chat.Sender{Name: "Nobody"}})
	if seen := asSeen(t, far.got()[3]); len(seen.Notified) > 0 || seen.Text != "done" {
		t.Errorf("a mention of nobody is %+v", seen)
	}
}

func TestTooBigIsCutOnceMore(t *testing.T) {
	t.Parallel()
	card := jobCard()
	card.Final, card.Mark = true, chat.MarkSucceeded
	card.Output = strings.Repeat("\"a line\" of output\n", 400) + "the end"
	for name, c := range map[string]struct {
		m    chat.Outbound
		left string
	}{
		"text": {chat.Outbound{Text: "the beginning" + strings.Repeat(" <of> a <text>", 400)}, "the beginning <of> a <text>"},
		"card": {chat.Outbound{Card: card}, "\"a line\" of output\nthe end\nOnly the end of the output is shown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := newService(t)
			c.m.ID, c.m.To = "a", far.place()
			const limit = 9_000
			far.set(func(w http.ResponseWriter, r *http.Request) {
				if r.ContentLength > limit {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					fmt.Fprint(w, `{"error":{"code":"MessageSizeTooBig","message":"Message size too large."}}`)
					return
				}
				fmt.Fprint(w, `{"id":"1:x"}`)
			}, nil)
			s := far.sender(t)
			ref := mustSend(t, s, c.m)
			calls := far.got()
			if len(calls) != 2 || len(calls[0].Body) <= limit || ref.ID != "1:x" {
				t.Fatalf("it took %d calls, the first of %d bytes; the reference is %+v", len(calls), len(calls[0].Body), ref)
			}
			if seen := asSeen(t, calls[1]); !strings.Contains(seen.Text, c.left) {
				t.Errorf("what is left is %q", seen.Text)
			}
			far.answers(http.StatusRequestEntityTooLarge, "")
			_, err := send(t.Context(), t, s, c.m)
			isClass(t, err, chat.Permanent, 0)
			if n := len(far.got()); n != 4 {
				t.Errorf("it was tried %d times, want 2", n-2)
			}
		})
	}
}

func TestACutCardTellsWhereTheRestIs(t *testing.T) {
	t.Parallel()
	card := jobCard()
	card.Final, card.Mark = true, chat.MarkFailed
	card.Output = strings.Repeat("\"a line\"\n", 4000) + "the end"
	card.Buttons = []chat.Button{{Label: "Run again", Command: "rerun k7f3q2"}}
	drawn, err := draw(card, cardBytes)
	if err != nil || len(drawn) > cardBytes || len(drawn) < cardBytes*9/10 {
		t.Fatalf("it takes %d bytes (%v)", len(drawn), err)
	}
	a := message("")
	attach(&a, drawn)
	body, err := encode(outgoing{Activity: a})
	if err != nil {
		t.Fatal(err)
	}
	seen := asSeen(t, received{Body: body})
	if !strings.Contains(seen.Text, "…\n\"a line\"\n") || !strings.Contains(seen.Text, "the end\nOnly the end of the output is shown; `output k7f3q2` shows all of it.") {
		t.Errorf("it is seen as %.300q", seen.Text)
	}
	if seen.Orders["Show output"] != "output k7f3q2" || seen.Orders["Run again"] != "rerun k7f3q2" || len(card.Buttons) != 1 {
		t.Errorf("its buttons are %q", seen.Orders)
	}
}

func TestAnEditOfWhatIsNoMoreIsSentAnew(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	far.set(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":"ActivityNotFoundInConversation","message":"no"}}`)
			return
		}
		fmt.Fprint(w, `{"id":"1:new"}`)
	}, nil)
	ref := mustSend(t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello", Edit: &chat.MessageRef{ID: "1:old"}})
	if ref.ID != "1:new" || len(far.got()) != 2 {
		t.Errorf("the reference is %+v after %d calls", ref, len(far.got()))
	}
	// Where the ID was never told, there is nothing to edit.
	ref = mustSend(t, s, chat.Outbound{ID: "b", To: far.place(), Text: "hello", Edit: &chat.MessageRef{}})
	if ref.ID != "1:new" || len(far.got()) != 3 {
		t.Errorf("the reference is %+v after %d calls", ref, len(far.got()))
	}
}

func TestAReplyToWhatIsNoMoreIsSentByItself(t *testing.T) {
	t.Parallel()
	far := newService(t)
	far.set(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/activities") {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":"ActivityNotFoundInConversation","message":"no"}}`)
			return
		}
		fmt.Fprint(w, `{"id":"1:new"}`)
	}, nil)
	s := far.sender(t)
	if ref := mustSend(t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello"}); ref.ID != "1:new" || len(far.got()) != 2 {
		t.Errorf("the reference is %+v after %d calls", ref, len(far.got()))
	}
	// Of a conversation that is no more, all is known after one call.
	far.answers(http.StatusNotFound, `{"error":{"code":"ConversationNotFound","message":"no"}}`)
	_, err := send(t.Context(), t, s, chat.Outbound{ID: "b", To: far.place(), Text: "hello"})
	isClass(t, err, chat.Gone, 0)
	if n := len(far.got()); n != 3 {
		t.Errorf("it was tried %d times, want 1", n-2)
	}
}

func TestTypingIsShownOnceWhenAJobStarts(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int{personal: 1, groupChat: 1, inChannel: 0} {
		far := newService(t)
		s := far.sender(t)
		to := far.place(func(c *conversation) { c.Type = kind })
		var ref *chat.MessageRef
		for i, mark := range []chat.Mark{chat.MarkWaiting, chat.MarkRunning, chat.MarkRunning, chat.MarkSucceeded} {
			card := jobCard()
			card.Mark, card.Final = mark, mark == chat.MarkSucceeded
			next := mustSend(t, s, chat.Outbound{ID: fmt.Sprint(i), To: to, Card: card, Edit: ref})
			ref = &next
		}
		typing := 0
		for i, call := range far.got() {
			if strings.Contains(string(call.Body), `"type":"typing"`) {
				typing++
				if i != 2 || call.Method != http.MethodPost || !strings.HasSuffix(call.Path, "/activities") {
					t.Errorf("%s: call %d is %s %s", kind, i, call.Method, call.Path)
				}
			}
		}
		if typing != want || len(far.got()) != 4+want {
			t.Errorf("%s: typing is shown %d times in %d calls, want %d", kind, typing, len(far.got()), want)
		}
	}
}

func TestNothingFailsByTyping(t *testing.T) {
	t.Parallel()
	far := newService(t)
	far.set(func(w http.ResponseWriter, _ *http.Request) {
		if body := far.got(); strings.Contains(string(body[len(body)-1].Body), `"typing"`) {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, `{"id":"1:x"}`)
	}, nil)
	if ref := mustSend(t, far.sender(t), chat.Outbound{ID: "a", To: far.place(), Card: jobCard()}); ref.ID != "1:x" {
		t.Errorf("the reference is %+v", ref)
	}
}

func TestReferencesThatNobodyMade(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	for _, data := range []string{"", "null", "{}", `"x"`, `{"id":"a:1"}`, `{"service_url":"https://smba.trafficmanager.net/"}`} {
		_, err := send(t.Context(), t, s, chat.Outbound{ID: "a", To: chat.ConversationRef{Account: "work", Key: "k", Data: json.RawMessage(data)}, Text: "hello"})
		isClass(t, err, chat.Permanent, 0)
	}
	// A reference of something else's edit is one without a mark.
	for _, data := range []string{"", "null", "[]", `{"mark":7}`} {
		if m := markOf(&chat.MessageRef{ID: "x", Data: json.RawMessage(data)}); m != "" {
			t.Errorf("%q has the mark %q", data, m)
		}
	}
}

func TestElapsed(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Microsecond:                     "1 ms",
		85 * time.Millisecond:                "85 ms",
		4250 * time.Millisecond:              "4.2 s",
		42*time.Second + time.Millisecond:    "42 s",
		3*time.Minute + 5*time.Second:        "3 min 5 s",
		26*time.Hour + 5*time.Minute + 1e9*9: "26 h 5 min",
	} {
		if got := elapsed(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
}
