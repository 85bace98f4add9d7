package cli

import (
	"context"
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

func (a answering) Destinations() []chat.Destination { return a.to }

// open is an account that can be written to.
type open struct{ chat.Adapter }

func (open) Open(context.Context, string) (chat.ConversationRef, error) {
	return chat.ConversationRef{}, nil
}

func TestPlacesOfAdapters(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("skadi.yaml", []byte("adapters:\n  - {name: ci, kind: webhook}\n  - {name: work, kind: slack}\n"), config.Lookup{})
	if err != nil {
		t.Fatal(err)
	}
	for to, why := range map[string]string{
		"work": "", "labour": `no adapter has the name "labour"`, "ci": `answers only who wrote to it`,
	} {
		all := made{"ci": answering{to: []chat.Destination{{Account: to, Channel: "C1"}}}, "work": open{}}
		err := all.places(cfg)
		if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "skadi.yaml:2:")) {
			t.Errorf("%s: %v, want %q", to, err, why)
		}
	}
}

func TestCallbacksNeedASecret(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	s, closed, err := newCallbacks(cfg)
	if err != nil || s != nil {
		t.Fatal(s, err)
	}
	closed()
	if _, ok := (senders{events.NewAccounts(nil, nil), s}).Adapter(job.CallbackAccount); ok {
		t.Error("there are callbacks without a secret")
	}
	cfg.Callbacks.Secrets = []chat.Secret{"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"}
	if s, closed, err = newCallbacks(cfg); err != nil {
		t.Fatal(err)
	}
	defer closed()
	if _, ok := (senders{events.NewAccounts(nil, nil), s}).Adapter(job.CallbackAccount); !ok {
		t.Error("there are no callbacks")
	}
	if s.Check("https://169.254.169.254/") == nil || s.Check("https://hooks.example.com/") != nil {
		t.Error("the wrong addresses may be called")
	}
}
