package access

import (
	"context"
	"errors"
	"time"
)

// Errors of the stores, to be tested with errors.Is.
var (
	// ErrNoToken: no such token, or it was revoked.
	ErrNoToken = errors.New("this token is unknown or was revoked")
	// ErrTokenExists: a live token of that name exists.
	ErrTokenExists = errors.New("a token of that name exists")
)

// TokenStore keeps tokens by the hash of their secret.
type TokenStore interface {
	// CreateToken adds a token; ErrTokenExists if its name is taken by one
	// that is not revoked.
	CreateToken(ctx context.Context, t Token) error
	// TokenByHash returns the token with this SHA-256, revoked ones too, or
	// ErrNoToken.
	TokenByHash(ctx context.Context, hash []byte) (Token, error)
	// Tokens lists a space's tokens by name, revoked ones last.
	Tokens(ctx context.Context, space string) ([]Token, error)
	// RevokeToken revokes the live token of that name, or ErrNoToken.
	RevokeToken(ctx context.Context, space, name string, at time.Time) error
}

// AuditStore keeps the audit log.
type AuditStore interface {
	// Audit adds a record. One with an ID that is there already is ignored,
	// so that a redelivered message is refused once.
	Audit(ctx context.Context, r Record) error
	// AuditByCode returns one record, and false if there is none.
	AuditByCode(ctx context.Context, space, code string) (r Record, ok bool, err error)
	// AuditLog lists records, newest first.
	AuditLog(ctx context.Context, space string, max int) ([]Record, error)
}

// Record is one line of the audit log: a refusal, or something that an
// administrator did.
type Record struct {
	// ID is derived from what is recorded, so that a repetition is known.
	ID    string
	Space string
	// Code is the record's short name, which `why` takes.
	Code string
	At   time.Time
	// Who is the principal; Name is for people to read.
	Who  string
	Name string
	// Where is the conversation as account:channel; empty over the API.
	Where string
	// Action is what was asked for: send, cancel, pause, token.create …
	Action  string
	Target  string // the agent, job or token concerned
	Text    string // what was to be sent
	Allowed bool
	// Why is the rule that allowed it, or what is missing.
	Why string
}

// Role is what a token may do.
type Role string

// The roles.
const (
	RoleAdmin Role = "admin" // everything in its space
	RolePush  Role = "push"  // what the rules allow token:NAME
	RoleRead  Role = "read"  // see jobs, agents and events
	RoleAgent Role = "agent" // the agent API, as one agent
)

// Token is a bearer token, of which only the hash is kept.
type Token struct {
	Hash  []byte // SHA-256 of the token
	Space string
	Name  string
	Role  Role
	// AgentID and Agent name the agent of a RoleAgent token.
	AgentID   string
	Agent     string
	CreatedAt time.Time
	RevokedAt time.Time // zero while it is live
}
