package cli

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// answering is an account that is answered elsewhere, and cannot be written to.
type answering struct {
	chat.Adapter
	to []chat.Destination
}

func (a answering) Directions() (all []chat.Direction) {
	for _, to := range a.to {
		all = append(all, chat.Direction{Key: "reply_to", To: to})
	}
	return all
}

// open is an account that can be written to.
type open struct{ chat.Adapter }

func (open) Open(context.Context, string) (chat.ConversationRef, error) {
	return chat.ConversationRef{}, nil
}

func TestAdaptersFit(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("skadi.yaml", []byte("adapters:\n  - {name: ci, kind: webhook}\n  - {name: work, kind: slack}\n"), config.Lookup{})
	if err != nil {
		t.Fatal(err)
	}
	for to, why := range map[string]string{
		"work": "", "labour": `no adapter has the name "labour"`, "ci": `answers only who wrote to it`,
	} {
		all := made{"ci": answering{to: []chat.Destination{{Account: to, Channel: "C1"}}}, "work": open{}}
		err := all.fits(cfg)
		if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "skadi.yaml:2:")) {
			t.Errorf("%s: %v, want %q", to, err, why)
		}
	}
}

func TestCallbacksNeedASecret(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	b := &callbacks{}
	all := senders{events.NewAccounts(nil, nil), b}
	set := func() {
		t.Helper()
		c, err := newCalls(cfg)
		if err != nil {
			t.Fatal(err)
		}
		b.set(c)
	}
	set()
	if _, ok := all.Adapter(job.CallbackAccount); ok {
		t.Error("there are callbacks without a secret")
	}
	if err := b.check("https://hooks.example.com/"); !errors.Is(err, job.ErrCallbacksOff) {
		t.Errorf("without a secret: %v", err)
	}
	cfg.Callbacks.Secrets = []chat.Secret{"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"}
	set()
	defer b.set(nil)
	if _, ok := all.Adapter(job.CallbackAccount); !ok {
		t.Error("there are no callbacks")
	}
	if b.check("https://169.254.169.254/") == nil || b.check("https://hooks.example.com/") != nil {
		t.Error("the wrong addresses may be called")
	}
}
