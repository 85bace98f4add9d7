package access

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"
)

// journal is an AuditStore in memory.
type journal struct {
	records []Record
	broken  error
}

func (j *journal) Audit(_ context.Context, r Record) error {
	if j.broken != nil {
		return j.broken
	}
	for _, old := range j.records {
		if old.ID == r.ID {
			return nil
		}
	}
	j.records = append(j.records, r)
	return nil
}

func (j *journal) AuditByCode(_ context.Context, space, code string) (Record, bool, error) {
	for _, r := range j.records {
		if r.Space == space && r.Code == code {
			return r, true, nil
		}
	}
	return Record{}, false, nil
}

func (j *journal) AuditLog(_ context.Context, _ string, max int) ([]Record, error) {
	return j.records[:min(max, len(j.records))], nil
}

func auditSetup(t *testing.T) (*Auditor, *journal, *bytes.Buffer) {
	t.Helper()
	j, log := &journal{}, &bytes.Buffer{}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	a := NewAuditor(j, func() time.Time { return now }).WithLogger(slog.New(slog.NewTextHandler(log, nil)))
	return a, j, log
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	a, j, log := auditSetup(t)
	ctx := context.Background()
	r := Record{
		ID: "Ev1", Space: "default", Who: bob, Where: ops, Action: "send", Target: "web-1",
		Text: strings.Repeat("é", 3000), Why: "no rule", Allowed: true,
	}
	code, err := a.Refuse(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^r-[0-9a-hjkmnp-tv-z]{8}$`).MatchString(code) {
		t.Errorf("code %q", code)
	}
	got := j.records[0]
	if got.Allowed || got.Code != code || got.ID == "Ev1" || got.At.Format(time.RFC3339) != "2026-01-02T02:04:05Z" {
		t.Errorf("recorded %+v", got)
	}
	if n := len([]rune(got.Text)); n != maxAuditText+1 {
		t.Errorf("the text of 3000 characters is kept with %d", n)
	}
	line := log.String()
	if !strings.Contains(line, "level=WARN msg=refused code="+code) || !strings.Contains(line, `why="no rule"`) || strings.Count(line, "é") != maxLogText {
		t.Errorf("logged %s", line)
	}

	t.Log("a redelivered message is refused once, with the same code")
	again, err := a.Refuse(ctx, r)
	if err != nil || again != code || len(j.records) != 1 {
		t.Errorf("again: %q, %v, %d records", again, err, len(j.records))
	}
	for _, change := range []func(*Record){
		func(r *Record) { r.ID = "Ev2" },
		func(r *Record) { r.Who = alice },
		func(r *Record) { r.Target = "web-2" },
		func(r *Record) { r.Space = "other" },
		func(r *Record) { r.Action = "cancel" },
		func(r *Record) { r.ID = "" },
		func(r *Record) { r.ID = "" },
	} {
		other := r
		change(&other)
		if c, err := a.Refuse(ctx, other); err != nil || c == code {
			t.Errorf("%+v has the same code (%v)", other, err)
		}
	}
	if len(j.records) != 8 {
		t.Errorf("%d records, want 8", len(j.records))
	}
}

func TestRecordOfAnAdministrator(t *testing.T) {
	t.Parallel()
	a, j, log := auditSetup(t)
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	code, err := a.Record(context.Background(), Record{Space: "default", Who: dave, Action: "token.create", Target: "ci", Allowed: true, Why: "owner", At: at})
	if err != nil || !j.records[0].Allowed || !j.records[0].At.Equal(at) || !strings.Contains(log.String(), "level=INFO msg=done") {
		t.Errorf("%v, %+v, %s", err, j.records, log)
	}
	got, ok, err := a.Find(context.Background(), "default", "#"+strings.ToUpper(code))
	if err != nil || !ok || got.Target != "ci" {
		t.Errorf("Find = %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := a.Find(context.Background(), "other", code); ok || err != nil {
		t.Errorf("found in another space: %v, %v", ok, err)
	}
	if _, ok, err := a.Find(context.Background(), "default", "k7f3q2"); ok || err != nil {
		t.Errorf("a job's code: %v, %v", ok, err)
	}
	if all, err := a.List(context.Background(), "default", 10); err != nil || len(all) != 1 {
		t.Errorf("List = %v, %v", all, err)
	}
}

func TestRefuseWithABrokenStore(t *testing.T) {
	t.Parallel()
	a, j, log := auditSetup(t)
	j.broken = errors.New("disk full")
	code, err := a.Refuse(context.Background(), Record{Space: "default", Who: bob, Action: "send"})
	if !errors.Is(err, j.broken) || code == "" || !strings.Contains(log.String(), code) {
		t.Errorf("Refuse = %q, %v; logged %s", code, err, log)
	}
}

func TestParseAuditCode(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"r-k7f3q2m9": "r-k7f3q2m9", "#R-K7F3Q2M9": "r-k7f3q2m9", "r-oil3q2m9": "r-0113q2m9",
		"k7f3q2": "", "r-": "", "r-k7f3q2m": "", "r-k7f3q2m9a": "", "r-u7f3q2m9": "", "r-k7f3\nq2m": "", "r-k7f3q2m9\n": "", "": "",
	} {
		if got, ok := ParseAuditCode(in); got != want || ok != (want != "") {
			t.Errorf("ParseAuditCode(%q) = %q, %v", in, got, ok)
		}
	}
}
