package storetest

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/access"
)

func hashOf(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

var accessTests = map[string]func(*suite){
	"tokens": func(s *suite) {
		now := s.now()
		ci := access.Token{Hash: hashOf("ci"), Space: space, Name: "ci", Role: access.RolePush, CreatedAt: now}
		agent := access.Token{
			Hash: hashOf("agent"), Space: space, Name: "agent.web-1", Role: access.RoleAgent, AgentID: "a1", Agent: "web-1",
			CreatedAt: now.Add(time.Microsecond),
		}
		s.must(s.Store.CreateToken(s.ctx, ci))
		s.must(s.Store.CreateToken(s.ctx, agent))
		again := ci
		again.Hash = hashOf("ci 2")
		if err := s.Store.CreateToken(s.ctx, again); !errors.Is(err, access.ErrTokenExists) {
			s.Fatalf("the same name again: %v", err)
		}
		theirs := again
		theirs.Space = "other"
		s.must(s.Store.CreateToken(s.ctx, theirs))
		for _, want := range []access.Token{ci, agent, theirs} {
			got, err := s.Store.TokenByHash(s.ctx, want.Hash)
			s.must(err)
			equal(s, got, want)
		}
		if _, err := s.Store.TokenByHash(s.ctx, hashOf("x")); !errors.Is(err, access.ErrNoToken) {
			s.Fatalf("a token that is not there: %v", err)
		}
		if _, err := s.Store.TokenByHash(s.ctx, nil); !errors.Is(err, access.ErrNoToken) {
			s.Fatalf("no token: %v", err)
		}
		revoked := now.Add(time.Hour)
		s.must(s.Store.RevokeToken(s.ctx, space, "agent.web-1", revoked))
		for _, name := range []string{"agent.web-1", "nobody"} {
			if err := s.Store.RevokeToken(s.ctx, space, name, revoked); !errors.Is(err, access.ErrNoToken) {
				s.Fatalf("revoke %s: %v", name, err)
			}
		}
		agent.RevokedAt = revoked
		got, err := s.Store.TokenByHash(s.ctx, agent.Hash)
		s.must(err)
		equal(s, got, agent)
		anew := agent
		anew.Hash, anew.RevokedAt = hashOf("agent 2"), time.Time{}
		s.must(s.Store.CreateToken(s.ctx, anew))
		list, err := s.Store.Tokens(s.ctx, space)
		s.must(err)
		equal(s, list, []access.Token{anew, ci, agent})
	},
	"the audit log": func(s *suite) {
		r := access.Record{
			ID: "id-1", Space: space, Code: "r-abcdefgh", At: s.now(), Who: "work-slack:T0123/U0456", Name: "Ada 👩‍💻",
			Where: "work-slack:C1", Action: "send", Target: "web-1", Text: "deploy\nnow", Why: "no rule lets them",
		}
		s.must(s.Store.Audit(s.ctx, r))
		repeated := r
		repeated.Text = "something else"
		s.must(s.Store.Audit(s.ctx, repeated))
		done := access.Record{ID: "id-2", Space: space, Code: "r-2", At: s.now().Add(time.Second), Action: "token.create", Allowed: true}
		s.must(s.Store.Audit(s.ctx, done))
		theirs := r
		theirs.Space = "other"
		s.must(s.Store.Audit(s.ctx, theirs))
		got, ok, err := s.Store.AuditByCode(s.ctx, space, r.Code)
		s.must(err)
		if !ok {
			s.Fatal("the record is not found by its code")
		}
		equal(s, got, r)
		if _, ok, err = s.Store.AuditByCode(s.ctx, "other", done.Code); err != nil || ok {
			s.Fatalf("another space's record is found: %v", err)
		}
		log, err := s.Store.AuditLog(s.ctx, space, 10)
		s.must(err)
		equal(s, log, []access.Record{done, r})
		if log, err = s.Store.AuditLog(s.ctx, space, 1); err != nil || len(log) != 1 {
			s.Fatalf("the newest record is %+v, %v", log, err)
		}
	},
}
