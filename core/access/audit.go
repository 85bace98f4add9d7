package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// codePrefix tells the code of an audit record from a job's, which has no
	// hyphen.
	codePrefix = "r-"
	// codeLength is the characters after the prefix, of five bits each.
	codeLength = 8
	// maxAuditText is how much of a message the audit log keeps, in
	// characters, and maxLogText how much goes to the program's log.
	maxAuditText = 2000
	maxLogText   = 200
)

// codeText is the alphabet of job codes: no i, l, o or u.
var codeText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

var auditCode = regexp.MustCompile(`^` + codePrefix + `[0-9a-hjkmnp-tv-z]{8}$`)

// Auditor writes the audit log. Its methods may be called concurrently.
type Auditor struct {
	store  AuditStore
	clock  chat.Clock
	logger *slog.Logger
}

// NewAuditor returns an auditor that logs to slog's default logger too.
func NewAuditor(store AuditStore, clock chat.Clock) *Auditor {
	return &Auditor{store: store, clock: clock, logger: slog.Default()}
}

// WithLogger returns an auditor that logs there instead.
func (a *Auditor) WithLogger(logger *slog.Logger) *Auditor {
	b := *a
	b.logger = logger
	return &b
}

// Refuse records that r was refused, with r.Why, and returns the code that
// `why` takes. See Record for r.ID.
func (a *Auditor) Refuse(ctx context.Context, r Record) (code string, err error) {
	r.Allowed = false
	return a.Record(ctx, r)
}

// Record adds r to the audit log and the program's log, and returns its code,
// even when it fails. It sets r.Code, and r.At unless that is set. When r.ID
// is set, it is the ID of the message or request that asked, unique for r.Who:
// recording the same again changes nothing and gives the same code.
func (a *Auditor) Record(ctx context.Context, r Record) (code string, err error) {
	r.ID, r.Code = identify(r)
	if r.At.IsZero() {
		r.At = a.clock().UTC()
	}
	r.Text = cutText(r.Text, maxAuditText)
	a.log(ctx, r)
	if err := a.store.Audit(ctx, r); err != nil {
		return r.Code, fmt.Errorf("write the audit log: %w", err)
	}
	return r.Code, nil
}

// Find returns the record with this code, as a person types it.
func (a *Auditor) Find(ctx context.Context, space, code string) (Record, bool, error) {
	code, ok := ParseAuditCode(code)
	if !ok {
		return Record{}, false, nil
	}
	return a.store.AuditByCode(ctx, space, code)
}

// List returns up to max records of a space, newest first.
func (a *Auditor) List(ctx context.Context, space string, max int) ([]Record, error) {
	return a.store.AuditLog(ctx, space, max)
}

func (a *Auditor) log(ctx context.Context, r Record) {
	level, text := slog.LevelInfo, "done"
	if !r.Allowed {
		level, text = slog.LevelWarn, "refused"
	}
	attrs := []slog.Attr{
		slog.String("code", r.Code), slog.String("space", r.Space),
		slog.String("action", r.Action), slog.String("who", r.Who),
	}
	for _, optional := range []struct{ key, value string }{
		{"where", r.Where}, {"target", r.Target}, {"text", cutText(r.Text, maxLogText)}, {"why", r.Why},
	} {
		if optional.value != "" {
			attrs = append(attrs, slog.String(optional.key, optional.value))
		}
	}
	a.logger.LogAttrs(ctx, level, text, attrs...)
}

// identify derives the record's ID and code from what is recorded, or draws
// them if it repeats nothing.
func identify(r Record) (id, code string) {
	var digest [sha256.Size]byte
	if r.ID == "" {
		_, _ = rand.Read(digest[:]) // never fails: the program ends instead
	} else {
		h := sha256.New()
		for _, part := range []string{r.Space, r.Who, r.ID, r.Action, r.Target} {
			_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
		}
		h.Sum(digest[:0])
	}
	return hex.EncodeToString(digest[:16]), codePrefix + codeText.EncodeToString(digest[16:])[:codeLength]
}

func cutText(s string, chars int) string {
	short, cut := truncate(s, chars)
	if cut {
		return short + "…"
	}
	return short
}

// ParseAuditCode returns the code of an audit record as a person types it:
// with or without #, in either case, o and i and l for the digits they look
// like. It is false for anything else, codes of jobs among it.
func ParseAuditCode(s string) (code string, ok bool) {
	s = strings.ToLower(strings.TrimPrefix(s, "#"))
	text, ok := strings.CutPrefix(s, codePrefix)
	code = codePrefix + strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(text)
	if !ok || !auditCode.MatchString(code) {
		return "", false
	}
	return code, true
}
