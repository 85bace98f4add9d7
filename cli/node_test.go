package cli

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	nodes "github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/internal/throwaway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(throwaway.Wrap(m)) }

// testNode is a node on a database of its own, started.
func testNode(t *testing.T, owners ...string) *node {
	t.Helper()
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(t.TempDir(), databaseFile)
	n, err := newNode(t.Context(), cfg, "127.0.0.1:8080", slog.New(slog.DiscardHandler), owners...)
	if err != nil {
		t.Fatal(err)
	}
	n.adapters = adapters.Factories()
	n.start()
	t.Cleanup(func() {
		hurry, cancel := context.WithCancel(context.Background())
		cancel()
		if err := n.close(hurry); err != nil {
			t.Error(err)
		}
	})
	return n
}

// fakeAdapter notes what it is to send, and fails as it is told.
type fakeAdapter struct {
	runErr error
	sent   chan chat.Outbound
}

func (a *fakeAdapter) Run(ctx context.Context) error {
	if a.runErr != nil {
		return a.runErr
	}
	<-ctx.Done()
	return nil
}

func (a *fakeAdapter) Send(_ context.Context, m chat.Outbound) (chat.MessageRef, error) {
	a.sent <- m
	return chat.MessageRef{ID: m.ID}, nil
}

func (a *fakeAdapter) Capabilities() chat.Capabilities { return chat.Capabilities{Edit: true} }

func TestAnAccountThatFailsDisturbsNoOther(t *testing.T) {
	n := testNode(t, "well:ada")
	well := &fakeAdapter{sent: make(chan chat.Outbound, 10)}
	if err := n.addAccount("well", "fake", well); err != nil {
		t.Fatal(err)
	}
	if err := n.addAccount("broken", "fake", &fakeAdapter{runErr: errors.New("bad token")}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var accounts sync.WaitGroup
	accounts.Go(func() { _ = n.accounts.Run(ctx) })
	defer func() { stop(); accounts.Wait() }()

	err := n.env(n.cfg, "well").Inbox.Accept(t.Context(), chat.Inbound{
		ID: "1", Sender: chat.Sender{Account: "well", User: "ada"}, Text: "whoami", Direct: true,
		Conversation: chat.ConversationRef{Account: "well", Key: "k"},
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-well.sent:
		if m.Refused || m.Text == "" {
			t.Errorf("answer %+v", m)
		}
	case <-t.Context().Done():
		t.Fatal("no answer")
	}

	rec := httptest.NewRecorder()
	n.api(false, nil).Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if rec.Code != http.StatusOK {
		t.Errorf("readyz: %d %s", rec.Code, rec.Body)
	}
	for _, h := range n.accounts.Health() {
		if h.Account == "well" && h.State != events.Healthy {
			t.Errorf("%+v", h)
		}
	}
}

// TestLeasesOfAccounts: two mailboxes are read at the same time.
func TestLeasesOfAccounts(t *testing.T) {
	t.Parallel()
	n := testNode(t)
	for _, account := range []string{"job-inbox", "office-inbox"} {
		if _, held, err := n.env(n.cfg, account).Lease.Acquire(t.Context(), "mailbox", time.Minute); err != nil || !held {
			t.Errorf("%s: %t, %v", account, held, err)
		}
	}
	other := nodes.OwnLeases(n.base.Leaser("another node"), "adapter/job-inbox/")
	if _, held, err := other.Acquire(t.Context(), "mailbox", time.Minute); err != nil || held {
		t.Errorf("another node has it too: %t, %v", held, err)
	}
	if err := n.env(n.cfg, "job-inbox").Lease.Release(t.Context(), "mailbox"); err != nil {
		t.Fatal(err)
	}
	if _, held, err := other.Acquire(t.Context(), "mailbox", time.Minute); err != nil || !held {
		t.Errorf("another node does not get it: %t, %v", held, err)
	}
}

// TestCloseTellsWhatIsOpen stops a node right after something was said: it is
// told before the node is closed.
func TestCloseTellsWhatIsOpen(t *testing.T) {
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(t.TempDir(), databaseFile)
	n, err := newNode(t.Context(), cfg, "127.0.0.1:8080", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := &fakeAdapter{sent: make(chan chat.Outbound, 2)}
	if err := n.addAccount("fake", "fake", a); err != nil {
		t.Fatal(err)
	}
	n.start()
	say := func(text string) {
		t.Helper()
		err := n.jobs.Say(t.Context(), job.Event{
			Space: job.DefaultSpace, Kind: job.EventMessage, Text: text,
			Conversation: &chat.ConversationRef{Account: "fake", Key: "k"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// A node that does not serve the conversation yet leaves it to whoever will.
	say("hello")
	if m := <-a.sent; m.Text != "hello" {
		t.Errorf("%+v", m)
	}
	say("bye")
	if err := n.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-a.sent:
		if m.Text != "bye" {
			t.Errorf("%+v", m)
		}
	default:
		t.Error("nothing was told")
	}
}
