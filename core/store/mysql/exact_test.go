package mysql

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// alike are keys that some collation or padding, or an index of limited
// length, would take for one another.
var alike = []string{
	"a", "A", "a ", " a", "a\t", "a\x00", "á", "a\u0301", "ａ", "ss", "ß", "👩‍💻", "👩", "\xff", "\xfe", "a\\", "a'", "%", "_", "",
	strings.Repeat("k", maxKey), strings.Repeat("k", maxKey+1), strings.Repeat("k", 70_000), strings.Repeat("k", 70_000) + " ",
}

// TestExactKeys stores something under each of the keys, and wants back what
// was stored under that one.
func TestExactKeys(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	ctx := t.Context()
	kv := s.KV("work-slack")
	for i, key := range alike {
		if err := kv.Set(ctx, key, []byte{byte(i)}, 0); err != nil {
			t.Fatalf("%.20q: %v", key, err)
		}
		if err := s.SetDefault(ctx, "default", "work-slack", key, string(rune('a'+i))); err != nil {
			t.Fatalf("%.20q: %v", key, err)
		}
	}
	for i, key := range alike {
		value, ok, err := kv.Get(ctx, key)
		if err != nil || !ok || len(value) != 1 || value[0] != byte(i) {
			t.Errorf("%.20q (%d bytes): %v, %v, %v", key, len(key), value, ok, err)
		}
		agent, err := s.Default(ctx, "default", "work-slack", key)
		if err != nil || agent != string(rune('a'+i)) {
			t.Errorf("%.20q (%d bytes): agent %q, %v", key, len(key), agent, err)
		}
		if form := keyText(key); len(form) > maxKey || keyText(form) != form {
			t.Errorf("%.20q (%d bytes) has a form of %d bytes that has another form", key, len(key), len(form))
		}
	}
}

// TestExactNames looks for what only a sloppy comparison finds.
func TestExactNames(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	ctx := t.Context()
	now, err := s.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	j := putJob(t, s, "web-1", nil)
	if err := s.CreateToken(ctx, access.Token{Hash: []byte("hash"), Space: "default", Name: "ci", Role: access.RolePush, CreatedAt: now}); err != nil {
		t.Fatal(err)
	}
	for _, odd := range []string{"WEB-1", "web-1 ", "web-1\x00", "wéb-1", "web-_", "\xff"} {
		if _, err := s.Agent(ctx, "default", odd); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("agent %q: %v", odd, err)
		}
	}
	for _, odd := range []string{strings.ToUpper(j.ID), j.ID + " ", j.ID + "\x00", " " + j.ID} {
		if _, err := s.Job(ctx, "default", odd); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("job %q: %v", odd, err)
		}
		if _, err := s.History(ctx, "default", odd); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("history of %q: %v", odd, err)
		}
	}
	for _, odd := range []string{"Default", "default "} {
		if _, err := s.Job(ctx, odd, j.ID); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("space %q: %v", odd, err)
		}
	}
	for _, odd := range []string{"HASH", "hash ", "hash\x00", ""} {
		if _, err := s.TokenByHash(ctx, []byte(odd)); !errors.Is(err, access.ErrNoToken) {
			t.Errorf("token %q: %v", odd, err)
		}
	}
	for _, odd := range []string{"CI", "ci "} {
		if err := s.RevokeToken(ctx, "default", odd, now); !errors.Is(err, access.ErrNoToken) {
			t.Errorf("token named %q: %v", odd, err)
		}
	}
}

// TestLongConversation tells, parks and records a conversation whose key is
// longer than what an index takes.
func TestLongConversation(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	ctx := t.Context()
	keys := []string{strings.Repeat("é", 5000) + "1", strings.Repeat("é", 5000) + "2"}
	for _, key := range keys {
		putJob(t, s, "web-1", &chat.ConversationRef{Account: "work-slack", Key: key})
	}
	open, err := s.OpenConversations(ctx, nil, 10)
	if err != nil || len(open) != 2 {
		t.Fatal(open, err)
	}
	for i, key := range keys {
		// As whoever knows the event names it, and as the store does.
		for _, c := range []events.Conversation{{Account: "work-slack", Key: key}, open[i]} {
			es, err := s.Open(ctx, c, 10)
			if err != nil || len(es) != 1 || es[0].Conversation.Key != key {
				t.Fatalf("conversation %d has %d events, %v", i, len(es), err)
			}
		}
		if want := events.PartitionOf("work-slack", key, s.Partitions()); open[i].Partition != want {
			t.Errorf("conversation %d lies in partition %d, want %d", i, open[i].Partition, want)
		}
	}
	c := events.Conversation{Account: "work-slack", Key: keys[0]}
	now, err := s.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	reason := strings.Repeat("x\xff", 100_000)
	if err := s.Park(ctx, c, now.Add(time.Hour), 1, reason, events.Guard{}); err != nil {
		t.Fatal(err)
	}
	left, err := s.OpenConversations(ctx, nil, 10)
	if err != nil || len(left) != 1 || left[0] != open[1] {
		t.Fatal("the other one is not left alone", err)
	}
	es, err := s.Open(ctx, c, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Record(ctx, events.Delivery{Conversation: c, Events: es, Dead: reason}); err != nil {
		t.Fatal(err)
	}
	if es, err = s.Open(ctx, c, 10); err != nil || len(es) != 0 {
		t.Fatal("what was recorded is open still", err)
	}
	if dead, err := s.DeadLetters(ctx, "default", 10); err != nil || len(dead) != 1 {
		t.Fatal(dead, err)
	}
}
