package email

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a KV and a leaser that several signers share.
type memory struct {
	mu     sync.Mutex
	vals   map[string][]byte
	leased map[string]bool
}

func newMemory() *memory { return &memory{vals: map[string][]byte{}, leased: map[string]bool{}} }

func (m *memory) Get(_ context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.vals[key]
	return v, ok, nil
}

func (m *memory) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vals[key] = value
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.vals, key)
	return nil
}

func (m *memory) Acquire(_ context.Context, name string, _ time.Duration) (int64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leased[name] {
		return 0, false, nil
	}
	m.leased[name] = true
	return 1, true, nil
}

func (m *memory) Release(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.leased, name)
	return nil
}

func newSigner(account string, m *memory) *signer { return &signer{account: account, kv: m, lease: m} }

func TestThreadTokens(t *testing.T) {
	t.Parallel()
	shared := newMemory()
	s, other, stranger := newSigner("inbox", shared), newSigner("other", shared), newSigner("inbox", newMemory())
	made, err := s.thread(t.Context(), "k7f3q2", "job.3")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := newSigner("inbox", shared).thread(t.Context(), "k7f3q2", "job.3")
	if made != again {
		t.Errorf("the same reply is called %+v and %+v", made, again)
	}
	id := made.messageID("example.com")
	if len(id) > 200 || strings.ContainsAny(id, " <>") {
		t.Errorf("the Message-ID is %q", id)
	}
	for _, written := range []string{id, "<" + id + ">", strings.Replace(id, "example.com", "elsewhere.example", 1)} {
		got, ok := parseThread(written)
		if ours, err := s.isThread(t.Context(), got); !ok || got != made || !ours || err != nil {
			t.Errorf("%s is %+v, and ours: %t (%v)", written, got, ours, err)
		}
	}
	for name, signer := range map[string]*signer{"another account": other, "somebody else": stranger} {
		if ours, err := signer.isThread(t.Context(), made); ours || err != nil {
			t.Errorf("%s takes it for their own (%v)", name, err)
		}
	}
	for name, spoilt := range map[string]string{
		"another job": strings.Replace(id, "k7f3q2", "aaaaaa", 1), "no job": strings.Replace(id, "k7f3q2", "-", 1),
		"another mail":     strings.Replace(id, made.hash, digest("other"), 1),
		"no signature":     strings.Replace(id, made.mac, strings.Repeat("0", macLength), 1),
		"a bounce's":       strings.Replace(id, made.mac, s.mac(s.key, "bounce", made.hash), 1),
		"a part of it":     strings.Replace(id, made.mac, made.mac[:macLength-1], 1),
		"in large letters": strings.ToUpper(id),
	} {
		got, ok := parseThread(spoilt)
		if ours, err := s.isThread(t.Context(), got); ok && ours || err != nil {
			t.Errorf("%s is taken for ours: %s (%v)", name, spoilt, err)
		}
	}
	none, err := s.thread(t.Context(), "no code at all", "answer.0")
	if got, ok := parseThread(none.messageID("example.com")); err != nil || !ok || got.code != "" {
		t.Errorf("a reply about no job is %+v (%v)", got, err)
	}
}

func TestBounceTags(t *testing.T) {
	t.Parallel()
	s := newSigner("inbox", newMemory())
	tag, err := s.bounce(t.Context(), "job.3")
	if err != nil {
		t.Fatal(err)
	}
	hash, mac, ok := parseBounceTag(tag)
	ours, err := s.isBounce(t.Context(), hash, mac)
	if !ok || !ours || err != nil || hash != digest("job.3") {
		t.Errorf("%q is %q, ours: %t (%v)", tag, hash, ours, err)
	}
	if ours, _ := s.isBounce(t.Context(), digest("job.4"), mac); ours {
		t.Error("a signature is good for another reply")
	}
	address := newInbox(strings.Repeat("a", 20) + "@example.com").with(tag)
	if local, _, _ := strings.Cut(address, "@"); len(local) > longestLocal {
		t.Errorf("%s is too long", address)
	}
}

// Nodes that start together sign with one key.
func TestOneKey(t *testing.T) {
	t.Parallel()
	shared := newMemory()
	var wg sync.WaitGroup
	made := make([]thread, 8)
	for i := range made {
		wg.Go(func() { made[i], _ = newSigner("inbox", shared).thread(t.Context(), "k7f3q2", "job.3") })
	}
	wg.Wait()
	for _, m := range made {
		if m != made[0] || m.mac == "" {
			t.Errorf("two nodes made %+v and %+v", made[0], m)
		}
	}
}

// FuzzThread checks that whatever stands in a mail is read, and only what was
// signed is taken for ours.
func FuzzThread(f *testing.F) {
	s := newSigner("inbox", newMemory())
	made, err := s.thread(context.Background(), "k7f3q2", "job.3")
	if err != nil {
		f.Fatal(err)
	}
	id := made.messageID("example.com")
	for _, seed := range []string{id, "<" + id + ">", "", "<>", "skadi....", strings.ToUpper(id), id + "@x", "skadi.-." + made.hash + "." + made.mac} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseThread(text)
		if ok && got != made {
			if ours, _ := s.isThread(t.Context(), got); ours {
				t.Errorf("%q is taken for ours", text)
			}
		}
		if ok {
			if again, ok := parseThread(got.messageID("example.com")); !ok || again != got {
				t.Errorf("%q is %+v, written again %+v", text, got, again)
			}
		}
		if hash, mac, ok := parseBounceTag(text); ok && bounceTag(hash, mac) != text {
			t.Errorf("the tag %q is read as %q %q", text, hash, mac)
		}
	})
}
