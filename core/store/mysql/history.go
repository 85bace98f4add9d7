package mysql

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// inHistory reports whether an event about a job is kept in jobs.history: one
// that is told nowhere and says no more than a line there does.
func inHistory(j *job.Job, e *row.NewEvent) bool {
	return j != nil && e.Subject == j.ID && e.Space == j.Space && e.Kind == job.EventJobStatus && e.Conversation == nil && e.IsPlain()
}

// appendHistory adds an event's line.
func appendHistory(b []byte, e *row.NewEvent) []byte {
	b = strconv.AppendInt(append(b, '['), e.Version, 10)
	b = strconv.AppendInt(append(b, ','), row.Micros(e.At), 10)
	for _, text := range [...]string{string(e.Status), string(e.Reason), e.By} {
		b = appendText(append(b, ','), text)
	}
	return append(b, ']', '\n')
}

// appendText adds a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(text) // a string always can
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// past is what jobs has of a job's events.
type past struct {
	id, space, agent string
	num              int64
	history          string
}

const pastColumns = `j.id, j.space, j.agent, j.num, j.history`

func (p *past) dest() []any { return []any{&p.id, &p.space, &p.agent, &p.num, &p.history} }

// events reads the lines.
func (p *past) events() (all []job.Event, err error) {
	for line := range strings.Lines(p.history) {
		e := job.Event{Subject: p.id, Space: p.space, Kind: job.EventJobStatus, Agent: p.agent, Num: p.num}
		var at int64
		var status string
		parts := []any{&e.Version, &at, &status, &e.Reason, &e.By}
		if err := json.Unmarshal([]byte(line), &parts); err != nil || len(parts) != 5 {
			return nil, fmt.Errorf("the history of job %s has a line that cannot be read (%w): %q", p.id, err, line)
		}
		e.At, e.Status = row.Time(at), row.Status(status)
		all = append(all, e)
	}
	return all, nil
}

// pasts reads the events that jobs has of its rows. which follows WHERE.
func (s *Store) pasts(ctx context.Context, which string, args ...any) (all []job.Event, err error) {
	from, err := s.query(ctx, `SELECT `+pastColumns+` FROM jobs j WHERE `+which, args...)
	if err != nil {
		return nil, err
	}
	var p past
	var failed error
	err = row.Each(from, p.dest(), func() {
		events, err := p.events()
		failed = cmp.Or(failed, err)
		all = append(all, events...)
	})
	return all, cmp.Or(s.explain(err), failed)
}

// History implements job.Store.
func (s *Store) History(ctx context.Context, space, id string) ([]job.Event, error) {
	history, err := s.events(ctx, `SELECT `+row.EventColumns+` FROM events e`+row.JoinJob+`
		WHERE e.subject = ? AND e.space = ?`, id, space)
	if err != nil {
		return nil, err
	}
	more, err := s.pasts(ctx, `j.id = ? AND j.space = ?`, id, space)
	if err != nil {
		return nil, err
	}
	history = append(history, more...)
	if len(history) == 0 {
		return nil, job.ErrNotFound
	}
	slices.SortStableFunc(history, func(a, b job.Event) int { return cmp.Compare(a.Version, b.Version) })
	return history, nil
}

// eventsOf reads events by their names, in any order.
func (s *Store) eventsOf(ctx context.Context, keys []row.EventKey) ([]job.Event, error) {
	which, args := ofEvents("e.", keys)
	found, err := s.events(ctx, eventsQuery+which, args...)
	if err != nil || len(found) == len(keys) {
		return found, err
	}
	missing := make(map[row.EventKey]bool, len(keys))
	for _, k := range keys {
		missing[k] = true
	}
	for i := range found {
		delete(missing, row.KeyOf(&found[i]))
	}
	var ids []string
	for k := range missing {
		ids = append(ids, k.Subject)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	more, err := s.pasts(ctx, `j.id IN `+in(len(ids)), anys(ids)...)
	if err != nil {
		return nil, err
	}
	return append(found, slices.DeleteFunc(more, func(e job.Event) bool { return !missing[row.KeyOf(&e)] })...), nil
}
