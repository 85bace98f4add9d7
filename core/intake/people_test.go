package intake

import (
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
)

// The people of the tests, beside ada and bob.
var (
	eve      = chat.Sender{Account: "work", Workspace: "T1", User: "eve", Name: "Eve"}
	root     = chat.Sender{Account: "work", Workspace: "T1", User: "root"}
	stranger = chat.Sender{Account: "work", Workspace: "T9", User: "mallory"}
)

// rules are those of the tests: ada runs things, bob looks on, eve approves.
var rules = access.Rules{Rules: []access.Rule{
	{
		Who: []string{"work:T1/ada"}, Agents: []string{"web-*"},
		May: []string{"deploy *", "status", "say **"}, Cancel: access.CancelAny, See: true, Pause: true,
	},
	{Who: []string{"work:T1/ada"}, Agents: []string{"db"}, May: []string{"drop *"}, Approval: []string{"work:T1/eve", "work:T1/ada"}},
	{Who: []string{"work:T1/bob"}, Agents: []string{"web-1"}, May: []string{"status"}, In: []string{"work:ops"}},
}}
