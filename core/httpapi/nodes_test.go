package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// registryOn is the registry of a node on the database.
func registryOn(s *sqlite.Store, id string, started time.Time) *node.Registry {
	return node.NewRegistry(node.RegistryConfig{
		Store: s, Lease: s.Leaser(id),
		Self: node.Node{ID: id, Host: "host-" + id, Addr: "10.0.0.1:8080", Version: "v1.2.3", StartedAt: started},
	})
}

func TestNodes(t *testing.T) {
	t.Parallel()
	var e *env
	registry := &lateNodes{}
	e = setup(t, func(c *Config) {
		c.Nodes = node.NewRegistry(node.RegistryConfig{
			Store: registry, Lease: registry,
			Self: node.Node{ID: "a", Host: "host-a", Addr: "10.0.0.1:8080", Version: "v1.2.3", StartedAt: time.Unix(1000, 0)},
		})
	})
	registry.Store, registry.Leaser = e.db, e.db.Leaser("a")
	ctx := t.Context()
	other := registryOn(e.db, "b", time.Unix(2000, 0))
	for _, r := range []*node.Registry{other, e.api.cfg.Nodes} {
		if err := e.db.SaveNode(ctx, r.Self()); err != nil {
			t.Fatal(err)
		}
	}
	for lease, of := range map[string]chat.Leaser{"sweep": other.Leaser(), "relay": e.api.cfg.Nodes.Leaser()} {
		if _, held, err := of.Acquire(ctx, lease, time.Hour); err != nil || !held {
			t.Fatal(held, err)
		}
	}

	list := as[agentapi.NodeList](t, e.call(t, http.MethodGet, "/v1/nodes", e.admin, ""), http.StatusOK)
	want := []agentapi.Node{
		{ID: "b", Host: "host-b", Addr: "10.0.0.1:8080", Version: "v1.2.3", StartedAt: time.Unix(2000, 0).UTC(), SeenAt: e.clock.Now(), Alive: true, Duties: []string{"sweep"}},
		{ID: "a", Host: "host-a", Addr: "10.0.0.1:8080", Version: "v1.2.3", StartedAt: time.Unix(1000, 0).UTC(), SeenAt: e.clock.Now(), Alive: true, Self: true, Duties: []string{"relay"}},
	}
	if encode(t, list.Nodes) != encode(t, want) {
		t.Errorf("got %s\nwant %s", encode(t, list.Nodes), encode(t, want))
	}
	e.clock.advance(node.AliveFor)
	for _, n := range as[agentapi.NodeList](t, e.call(t, http.MethodGet, "/v1/nodes", e.admin, ""), http.StatusOK).Nodes {
		if n.Alive {
			t.Errorf("%s is alive after its silence", n.ID)
		}
	}

	e.call(t, http.MethodGet, "/v1/nodes", e.reader, "").problem(t, agentapi.ProblemWrongRole)
	elsewhere := e.tokenIn(t, "other", "root", access.RoleAdmin)
	e.call(t, http.MethodGet, "/v1/nodes", elsewhere, "").problem(t, agentapi.ProblemWrongRole)

	registry.err = job.ErrUnavailable
	e.call(t, http.MethodGet, "/v1/nodes", e.admin, "").problem(t, agentapi.ProblemUnavailable)
	text := e.call(t, http.MethodGet, "/metrics", "", "").want(t, http.StatusOK)
	for _, line := range []string{
		`skadi_node_info{addr="10.0.0.1:8080",host="host-a",id="a",version="v1.2.3"} 1`,
		`skadi_duty_held{duty="relay"} 1`,
		`skadi_nodes{state="alive"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// lateNodes is a store of nodes and leases that is there later.
type lateNodes struct {
	node.Store
	chat.Leaser
	err error
}

func (l *lateNodes) Nodes(ctx context.Context) ([]node.Node, error) {
	if l.err != nil {
		return nil, l.err
	}
	return l.Store.Nodes(ctx)
}

func TestNoNodes(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.call(t, http.MethodGet, "/v1/nodes", e.admin, "").problem(t, agentapi.ProblemUnavailable)
}

// A poll that waits with a token that was revoked takes nothing more.
func TestRotationEndsOpenPolls(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) (*env, func(*testing.T)){
		"on its connection": func(t *testing.T) (*env, func(*testing.T)) {
			e := setup(t)
			return e, func(t *testing.T) { e.waitForPoll(t) }
		},
		"parked": func(t *testing.T) (*env, func(*testing.T)) {
			e, _, _ := parking(t)
			return e, e.waitForParked
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, wait := open(t)
			polled := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55}`)
			wait(t)
			e.call(t, http.MethodPost, "/v1/agents/web-1/token", e.admin, "").want(t, http.StatusCreated)
			(<-polled).problem(t, agentapi.ProblemBadToken)
		})
	}
}

// Another process revokes, which wakes nobody here: the job that then comes
// is not for the old token.
func TestOldTokenTakesNoJob(t *testing.T) {
	t.Parallel()
	e := setup(t)
	polled := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55}`)
	watched(t, e.store.claimed, "web-1") // for jobs that there were before
	elsewhere := access.NewTokens(e.db, e.clock.Now)
	if err := elsewhere.Revoke(t.Context(), job.DefaultSpace, access.AgentTokenName("web-1")); err != nil {
		t.Fatal(err)
	}
	e.clock.advance(time.Second)
	j := e.push(t, "web-1", "m")
	(<-polled).problem(t, agentapi.ProblemBadToken)
	if got := e.job(t, j.ID); got.Status != "queuing" {
		t.Errorf("the job is %s", got.Status)
	}
}

// crowded is a store of tokens on which others rotate all the time.
type crowded struct{ access.TokenStore }

func (c crowded) CreateToken(ctx context.Context, t access.Token) error {
	if t.Role == access.RoleAgent {
		return errors.Join(errors.New("others were first"), access.ErrTokenExists)
	}
	return c.TokenStore.CreateToken(ctx, t)
}

func TestRotationThatOthersOvertake(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.api.cfg.Tokens = access.NewTokens(crowded{e.db}, e.clock.Now)
	e.call(t, http.MethodPost, "/v1/agents/web-1/token", e.admin, "").problem(t, agentapi.ProblemConflict)
}

func TestKeyOfAJobThatIsGone(t *testing.T) {
	t.Parallel()
	e := setup(t)
	body := encode(t, agentapi.Push{Agent: "web-1", Message: "m"})
	first := as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/jobs", e.admin, body, "Idempotency-Key", "k"), http.StatusCreated)
	batch := encode(t, agentapi.Batch{Jobs: []agentapi.Push{{Agent: "web-1", Message: "n"}}})
	made := as[agentapi.BatchAnswer](t, e.call(t, http.MethodPost, "/v1/jobs/batch", e.admin, batch, "Idempotency-Key", "k2"), http.StatusOK)
	e.expire(t, first.ID)
	e.expire(t, made.Jobs[0].Job.ID)
	e.publishAll(t)
	e.clock.advance(time.Hour)
	if n, err := e.db.Prune(t.Context(), e.clock.Now(), 10); err != nil || n != 2 {
		t.Fatalf("%d were removed: %v", n, err)
	}
	e.call(t, http.MethodPost, "/v1/jobs", e.admin, body, "Idempotency-Key", "k").problem(t, agentapi.ProblemJobGone)
	again := as[agentapi.BatchAnswer](t, e.call(t, http.MethodPost, "/v1/jobs/batch", e.admin, batch, "Idempotency-Key", "k2"), http.StatusOK)
	if p := again.Jobs[0].Problem; p == nil || p.Type != agentapi.ProblemJobGone || again.Jobs[0].Job != nil {
		t.Errorf("the batch got %+v", again.Jobs[0])
	}
}

// publishAll records that every event was published.
func (e *env) publishAll(t *testing.T) {
	t.Helper()
	for {
		events, err := e.db.Unpublished(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return
		}
		if err := e.db.MarkPublished(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
}
