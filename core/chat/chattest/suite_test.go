package chattest_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// pagerHarness is a harness that leaves nothing out.
func pagerHarness(fault string) chattest.Harness {
	bad := func(name string, want int, do func(b *board) *http.Request) chattest.Bad {
		return chattest.Bad{Name: name, Want: want, Do: func(_ *testing.T, f chattest.Far) int {
			b := f.(*board)
			status, _ := b.Call(do(b), pagerWait)
			return status
		}}
	}
	hello := chattest.Message{Text: "local hello"}
	spoilt := func(spoil func(e *pagerEvent)) func(b *board) *http.Request {
		return func(b *board) *http.Request {
			e := b.event(hello)
			spoil(&e)
			return b.request(e, time.Now())
		}
	}
	return chattest.Harness{
		Start: startBoard(fault), Conversations: len(places), People: 2, Ways: []string{"command"},
		AnswerWithin: pagerWait, Notifies: true, Secrets: []string{pagerSecret, pagerToken},
		OverHTTP: &chattest.OverHTTP{Classes: map[int]chat.Class{
			http.StatusForbidden: chat.Auth, http.StatusNotFound: chat.Gone, http.StatusGone: chat.Gone,
			http.StatusConflict: chat.Permanent, http.StatusPreconditionFailed: chat.Permanent,
		}},
		Failures: []chattest.Failure{{
			Name: "locked out", Class: chat.Auth, Set: func(t *testing.T, f chattest.Far) { f.(*board).Lock(t, true) },
		}},
		Bad: []chattest.Bad{
			bad("forged", http.StatusUnauthorized, func(b *board) *http.Request {
				r := b.request(b.event(hello), time.Now())
				r.Header.Set("X-Signature", strings.Repeat("0", 64))
				return r
			}),
			bad("stale", http.StatusUnauthorized, func(b *board) *http.Request {
				return b.request(b.event(hello), time.Now().Add(-time.Hour))
			}),
			bad("oversized", http.StatusRequestEntityTooLarge, func(b *board) *http.Request {
				return b.signed(bytes.Repeat([]byte(" "), 2<<20), time.Now())
			}),
			bad("malformed", http.StatusBadRequest, func(b *board) *http.Request { return b.signed([]byte(`[{"id":7`), time.Now()) }),
			bad("empty", http.StatusBadRequest, func(b *board) *http.Request { return b.signed(nil, time.Now()) }),
			bad("truncated", http.StatusBadRequest, func(b *board) *http.Request { return b.signed([]byte(`{"id":"e1","te`), time.Now()) }),
			bad("own", http.StatusOK, spoilt(func(e *pagerEvent) { e.Bot = "self" })),
			bad("bot", http.StatusOK, spoilt(func(e *pagerEvent) { e.Bot = "other" })),
			bad("edited", http.StatusOK, spoilt(func(e *pagerEvent) { e.Edited = true })),
		},
	}
}

// mutantVariable names the fault of the adapter that TestPager tests.
const mutantVariable = "CHATTEST_MUTANT"

// TestPager runs the suite on an adapter that does everything right, or in a
// process of TestMutants, one thing wrong.
func TestPager(t *testing.T) {
	fault := os.Getenv(mutantVariable)
	if fault != "" {
		chattest.SetPatience(3 * time.Second)
	}
	h := pagerHarness(fault)
	switch fault {
	case "harness without answers over HTTP":
		h.OverHTTP = nil
	case "harness without a limit of time":
		h.AnswerWithin = 0
	case "harness without calls":
		// Only the methods of Far are left of the board.
		h.Start = func(t *testing.T, env chat.Env) chattest.Far {
			return struct{ chattest.Far }{startBoard("")(t, env)}
		}
	}
	chattest.Run(t, h)
}

// mutants are faults of an adapter or its harness, each with the test that finds it.
var mutants = map[string]string{
	"harness without answers over HTTP": "Complete",
	"harness without a limit of time":   "Complete",
	"harness without calls":             "Complete",
	"names for IDs":                     "Inbound/HandedInOnce/usual",
	"no groups":                         "Inbound/HandedInOnce/command",
	"wrong channel":                     "Inbound/HandedInOnce/usual",
	"knows no person":                   "Inbound/HandedInOnce/usual",
	"knows no group":                    "Inbound/HandedInOnce/command",
	"knows no workspace":                "Inbound/HandedInOnce/usual",
	"knows no conversation":             "Inbound/HandedInOnce/usual",
	"lets any channel pass":             "Inbound/Channels",
	"opens what is no channel":          "Inbound/Channels",
	"no time":                           "Inbound/HandedInOnce/usual",
	"one person":                        "Inbound/PeopleDiffer",
	"random IDs":                        "Inbound/RedeliveryHasTheSameID/usual",
	"IDs of a process":                  "Inbound/RedeliveryHasTheSameID/command",
	"one ID":                            "Inbound/IDsDiffer/usual",
	"threads are one":                   "Inbound/ConversationsDiffer",
	"trims":                             "Inbound/AwkwardText/usual/blanks",
	"does not unescape":                 "Inbound/AwkwardText/command/entities",
	"joins twice":                       "Inbound/Joined",
	"takes part everywhere":             "Inbound/Followed",
	"forgets where it takes part":       "Inbound/Followed",
	"believes anybody":                  "Refused/forged",
	"believes old calls":                "Refused/stale",
	"no limit":                          "Refused/Call/endless/usual",
	"panics":                            "Refused/malformed",
	"hears itself":                      "Refused/own",
	"hears programs":                    "Refused/bot",
	"runs what is edited":               "Refused/edited",
	"takes any method":                  "Refused/Call/by_GET/usual",
	"acknowledges anything":             "Unstored/Fails/usual",
	"tells no asker":                    "Unstored/Fails/click",
	"remembers what it did not store":   "Unstored/Fails/usual",
	"no deadline":                       "Unstored/Hangs/click",
	"takes what panicked":               "Panics/usual",
	"hides panics":                      "Panics/command",
	"returns the context's error":       "Lifetime/EndsWithItsContext",
	"leaks a goroutine":                 "Lifetime/EndsWithItsContext",
	"does not run again":                "Lifetime/RunsAgain",
	"changing capabilities":             "Lifetime/CapabilitiesNeverChange",
	"credentials are temporary":         "Lifetime/Locked",
	"logs a secret":                     "Lifetime/EndsWithItsContext",
	"reports nothing":                   "Lifetime/Unreachable",
	"hides its trouble":                 "Lifetime/Unreachable",
	"works before it does":              "Lifetime/Unreachable",
	"never reports that it works":       "Lifetime/Unreachable",
	"tells a secret":                    "Failing/Status500",
	"replies beside the thread":         "Outbound/ReplyComesWhereItWasAsked",
	"edits by a new message":            "Outbound/Edit",
	"edits what is no more for ever":    "Outbound/EditOfWhatWasDeleted",
	"drops files":                       "Outbound/Files",
	"does not escape":                   "Outbound/AwkwardText/mentions",
	"too long for the channel":          "Outbound/AsLongAsAllowed/escaped",
	"mentions nobody":                   "Outbound/Mention",
	"says too much to nobody":           "Outbound/Quota/command",
	"quota is temporary":                "Outbound/Quota/command",
	"no code":                           "Cards/EveryState",
	"click of everybody":                "Cards/Click$",
	"click by click":                    "Cards/Click$",
	"own client":                        "Failing/Network/refused",
	"classifies nothing":                "Failing/Network/refused",
	"gives up on the network":           "Failing/Network/timeout",
	"believes any answer":               "Failing/Network/a_page_in_between",
	"429 is temporary":                  "Failing/Status429",
	"gone is temporary":                 "Failing/Status404",
	"408 is permanent":                  "Failing/Status408",
	"no patience":                       "Failing/RetryAfter/seconds",
	"no dates":                          "Failing/RetryAfter/date$",
	"negative patience":                 "Failing/RetryAfter/negative",
	"follows redirects":                 "Failing/Redirect/307",
	"ignores its context":               "Failing/ContextEndsDuringACall",
}

// TestMutants runs the suite on adapters with one fault each, in a process of
// their own, and expects the right test to find it.
func TestMutants(t *testing.T) {
	t.Parallel()
	if os.Getenv(mutantVariable) != "" {
		t.Skip("this is the process of a mutant")
	}
	for fault, test := range mutants {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestPager$/^"+strings.ReplaceAll(test, "/", "$/^")+"$")
			cmd.Env = append(os.Environ(), mutantVariable+"="+fault)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestPager/"+strings.TrimSuffix(test, "$")) {
				t.Errorf("%s does not find it (%v):\n%s", test, err, out)
			}
		})
	}
}
