package events_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// process is a Replier with a database connection of its own, as another
// process on the same file has it.
type process struct {
	*sqlite.Store
	replier *events.Replier
	stop    func()
}

// brittle is a store whose Record is never done once it is told so.
type brittle struct {
	events.Store
	mu     sync.Mutex
	broken bool
}

func (b *brittle) breakDown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = true
}

func (b *brittle) Record(ctx context.Context, d events.Delivery) error {
	b.mu.Lock()
	broken := b.broken
	b.mu.Unlock()
	if broken {
		<-ctx.Done()
		return ctx.Err()
	}
	return b.Store.Record(ctx, d)
}

// deaf is a leaser that cannot give anything back, as a process that is killed
// does not.
type deaf struct{ chat.Leaser }

func (deaf) Release(context.Context, string) error { return nil }

func startProcess(t *testing.T, path, id string, ch *channel, edit func(*events.ReplierConfig)) *process {
	t.Helper()
	db, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Store: db}
	q := queue.NewEmbedded()
	accounts := events.NewAccounts(nil, nil)
	add(t, accounts, "work", ch)
	cfg := events.ReplierConfig{
		Store: db, Jobs: job.New(job.Config{Store: db, Waker: queue.NewWaker()}), Senders: accounts, Queue: q,
		Lease: db.Leaser(id), Shared: true, Partitions: db.Partitions(), Node: id,
	}
	if edit != nil {
		edit(&cfg)
	}
	p.replier = events.NewReplier(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.replier.Run(ctx) })
	p.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// say has a text told in a conversation.
func (p *process) say(t *testing.T, key, id string) {
	t.Helper()
	e := job.Event{
		Subject: id, Space: job.DefaultSpace, Kind: job.EventMessage, At: time.Now(), Text: id, Conversation: conversation(key),
	}
	if _, err := p.Create(t.Context(), []job.Entry{{Messages: []job.Event{e}}}); err != nil {
		t.Fatal(err)
	}
}

func texts(ch *channel) (all []string) {
	for _, m := range ch.messages() {
		all = append(all, m.Text)
	}
	return all
}

// Two processes on one database file, of which the one that replies is killed
// between sending and recording: that reply comes twice, the others once, and
// what the dead one still had in hand is refused.
func TestTwoProcessesOnOneDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path, ch := filepath.Join(t.TempDir(), "skadi.db"), &channel{caps: plain}
		var store *brittle
		a := startProcess(t, path, "a", ch, func(cfg *events.ReplierConfig) {
			store = &brittle{Store: cfg.Store}
			cfg.Store, cfg.Lease = store, deaf{cfg.Lease}
		})
		after(time.Second)
		b := startProcess(t, path, "b", ch, nil)
		after(time.Second)
		if n := len(a.replier.Serving()); n != events.DefaultPartitions || len(b.replier.Serving()) != 0 {
			t.Fatalf("a serves %d partitions and b %d", n, len(b.replier.Serving()))
		}
		b.say(t, "C1", "one")
		after(2 * time.Second)
		store.breakDown()
		b.say(t, "C1", "two")
		b.say(t, "C1", "three")
		after(2 * time.Second)
		a.stop()
		after(20 * time.Second)
		if got := texts(ch); !slices.Equal(got, []string{"one", "two", "two", "three"}) {
			t.Errorf("it was told as %q", got)
		}
		if open, _, err := b.Backlog(t.Context()); err != nil || open != 0 {
			t.Errorf("%d are open (%v)", open, err)
		}
		b.stop()
	})
}

// With leases of the file's lock one process replies, and another at once when
// that one has gone.
func TestOneProcessReplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "skadi.db")
		alone := func(cfg *events.ReplierConfig) {
			cfg.Lease, cfg.Shared = cfg.Store.(*sqlite.Store).Alone(), false
		}
		one, two := &channel{caps: plain}, &channel{caps: plain}
		a := startProcess(t, path, "a", one, alone)
		after(time.Second)
		b := startProcess(t, path, "b", two, alone)
		b.say(t, "C1", "one")
		after(10 * time.Second)
		a.stop()
		after(3 * time.Second)
		b.say(t, "C1", "two")
		after(10 * time.Second)
		if got := texts(one); !slices.Equal(got, []string{"one"}) {
			t.Errorf("the first told %q", got)
		}
		if got := texts(two); !slices.Equal(got, []string{"two"}) {
			t.Errorf("the second told %q", got)
		}
		b.stop()
	})
}
