package mysql

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// TestBundlesOfAnotherNode has a node publish what another one wrote: all of
// it, as the history has it, a part at a time.
func TestBundlesOfAnotherNode(t *testing.T) {
	t.Parallel()
	nodes := openNodes(t, 2, Config{})
	ctx := t.Context()
	var want []job.Event
	for _, c := range []*chat.ConversationRef{nil, {Account: "work-slack", Key: "C1"}, nil} {
		j := putJob(t, nodes[0], "web-<1>", c)
		if us, err := nodes[0].Update(ctx, job.ByID("default", j.ID), moved(job.Sent)); err != nil || us[0].Err != nil {
			t.Fatal(us, err)
		}
		history, err := nodes[0].History(ctx, "default", j.ID)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, history...)
	}
	for _, s := range nodes {
		got, err := s.Unpublished(ctx, 100)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatalf("%v (-history +to be published):\n%s", err, diff)
		}
	}
	for len(want) > 0 {
		// The last one first, and one of those before it that nobody read.
		some := []job.Event{want[len(want)-1], want[0]}
		if err := nodes[1].MarkPublished(ctx, some); err != nil {
			t.Fatal(err)
		}
		want = slices.DeleteFunc(want, func(e job.Event) bool { return e.ID() == some[0].ID() || e.ID() == some[1].ID() })
		got, err := nodes[1].Unpublished(ctx, 100)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("%v (-left +to be published):\n%s", err, diff)
		}
	}
}

// TestThinBundle takes events one by one out of rows that hold many.
func TestThinBundle(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{DSN: newDatabase(t)})
	ctx := t.Context()
	var ids []string
	for range 5 {
		ids = append(ids, putJob(t, s, "web-1", nil).ID)
	}
	created, err := s.Unpublished(ctx, 100)
	if err == nil {
		err = s.MarkPublished(ctx, created)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(ctx, job.ByID("default", ids...), moved(job.Sent)); err != nil {
		t.Fatal(err)
	}
	if texts, err := s.bundleTexts(ctx, ""); err != nil || len(texts) != 1 {
		t.Fatalf("the events of one transaction are in %d rows: %v", len(texts), err)
	}
	for n := len(ids); n > 0; n-- {
		some, err := s.Unpublished(ctx, 100)
		if err != nil || len(some) != n {
			t.Fatalf("%d events are to be published, want %d: %v", len(some), n, err)
		}
		if err := s.MarkPublished(ctx, some[n/2:n/2+1]); err != nil {
			t.Fatal(err)
		}
	}
	if texts, err := s.bundleTexts(ctx, ""); err != nil || len(texts) != 0 {
		t.Fatalf("%d rows are left: %v", len(texts), err)
	}
}

// TestUnbundle gives each event a row of its own, and publishes it from there.
func TestUnbundle(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{DSN: newDatabase(t)})
	ctx := t.Context()
	for range 3 {
		putJob(t, s, "web-1", nil)
	}
	want, err := s.Unpublished(ctx, 100)
	if err != nil || len(want) != 3 {
		t.Fatal(want, err)
	}
	if err := s.Unbundle(ctx); err != nil {
		t.Fatal(err)
	}
	s.outbox.looked = s.outbox.looked.Add(-unpublishedEvery)
	got, err := s.Unpublished(ctx, 100)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("%v (-bundled +alone):\n%s", err, diff)
	}
	if err := s.MarkPublished(ctx, got); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Unpublished(ctx, 100); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
}
