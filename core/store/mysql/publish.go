package mysql

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	// deleteBatch is how many rows one DELETE names.
	deleteBatch = 200
	// readBatch is how many events one SELECT names.
	readBatch = 200
	// readBundles is how many rows of the outbox one SELECT names.
	readBundles = 50
)

// Numbers of the outbox are given out before their transactions end. The events
// of one job are in order all the same, since each is written by somebody who
// holds the job's lock, except on servers that give numbers out in blocks: see
// Store.scattered. There, and always in the older table, one event waits while
// an older one of the same subject has a higher number.
const (
	bundlesQuery = `SELECT seq FROM outbox ORDER BY seq LIMIT ?`

	unpublishedQuery = `SELECT u.subject, u.version FROM unpublished u
		WHERE NOT EXISTS (SELECT 1 FROM unpublished l FORCE INDEX (unpublished_of)
			WHERE l.subject = u.subject AND l.version < u.version AND l.seq > u.seq)
		ORDER BY u.seq LIMIT ?`

	// What follows is ofEvents.
	eventsQuery = `SELECT ` + row.EventColumns + ` FROM events e` + row.JoinJob + `WHERE `

	backlogQuery = `SELECT COUNT(*) FROM untold`

	oldestQuery = `SELECT e.at FROM untold u JOIN events e ON e.subject = u.subject AND e.version = u.version
		ORDER BY u.seq LIMIT 1`
)

// Unpublished implements events.Store.
func (s *Store) Unpublished(ctx context.Context, max int) ([]job.Event, error) {
	if max <= 0 {
		return nil, nil
	}
	if s.outbox.look() {
		if found, err := s.unpublishedRows(ctx, max); err != nil || len(found) > 0 {
			return found, err
		}
	}
	var seqs []int64
	var seq int64
	from, err := s.query(ctx, bundlesQuery, int64(max))
	if err != nil {
		return nil, err
	}
	if err := row.Each(from, []any{&seq}, func() { seqs = append(seqs, seq) }); err != nil {
		return nil, s.explain(err)
	}
	bundles, err := s.bundles(ctx, seqs, max)
	if err != nil {
		return nil, err
	}
	if s.scattered {
		if err := s.wait(ctx, bundles); err != nil {
			return nil, err
		}
	}
	if err := s.fillStored(ctx, bundles); err != nil {
		return nil, err
	}
	var all []job.Event
	for _, b := range bundles {
		begin := len(all)
		for _, e := range b.ready {
			if len(all) < max && e.Kind != "" { // else it was removed between the reads
				all = append(all, e.Event)
			}
		}
		s.outbox.read(all[begin:], b.seq, b.size)
	}
	return all, nil
}

// reading is a row of the table outbox while it is read.
type reading struct {
	seq   int64
	size  int             // how many events it has
	ready []*row.NewEvent // those that may be published
}

// bundles returns as many of the rows as have up to max events together, at
// least one. Those that this process wrote it does not read.
func (s *Store) bundles(ctx context.Context, seqs []int64, max int) (all []reading, err error) {
	n := 0
	for some := range slices.Chunk(seqs, readBundles) {
		texts := map[int64]string{}
		var missing []int64
		known := make([]*bundle, len(some))
		for i, seq := range some {
			if known[i] = s.outbox.get(seq); known[i] == nil {
				missing = append(missing, seq)
			}
		}
		if len(missing) > 0 {
			if texts, err = s.bundleTexts(ctx, `WHERE seq IN `+seqList(missing)); err != nil {
				return nil, err
			}
		}
		for i, seq := range some {
			r := reading{seq: seq}
			if known[i] != nil {
				r.ready = slices.Clone(known[i].events)
			} else if text, there := texts[seq]; there {
				lots, err := lotsOf(seq, text)
				if err != nil {
					return nil, err
				}
				for i := range lots {
					r.ready = append(r.ready, lots[i].events()...)
				}
			}
			r.size = len(r.ready)
			if n > 0 && n+r.size > max {
				return all, nil
			}
			n += r.size
			all = append(all, r)
		}
	}
	return all, nil
}

// bundleTexts reads rows of the table outbox.
func (s *Store) bundleTexts(ctx context.Context, which string) (map[int64]string, error) {
	from, err := s.query(ctx, `SELECT seq, events FROM outbox `+which)
	if err != nil {
		return nil, err
	}
	texts := map[int64]string{}
	var seq int64
	var text string
	err = row.Each(from, []any{&seq, &text}, func() { texts[seq] = text })
	return texts, s.explain(err)
}

// wait leaves out events of which an older one of the same subject has a higher
// number.
func (s *Store) wait(ctx context.Context, bundles []reading) error {
	if len(bundles) == 0 {
		return nil
	}
	oldest := map[string]int64{} // of those with higher numbers
	see := func(subject string, version int64) {
		if v, seen := oldest[subject]; !seen || version < v {
			oldest[subject] = version
		}
	}
	texts, err := s.bundleTexts(ctx, `WHERE seq > `+strconv.FormatInt(bundles[len(bundles)-1].seq, 10))
	if err != nil {
		return err
	}
	for seq, text := range texts {
		lots, err := lotsOf(seq, text)
		if err != nil {
			return err
		}
		each(lots, func(k row.EventKey) { see(k.Subject, k.Version) })
	}
	for i := len(bundles) - 1; i >= 0; i-- {
		b := &bundles[i]
		for _, e := range b.ready {
			see(e.Subject, e.Version)
		}
		b.ready = slices.DeleteFunc(b.ready, func(e *row.NewEvent) bool { return oldest[e.Subject] < e.Version })
	}
	return nil
}

// fillStored reads the events of which the outbox has only the name.
func (s *Store) fillStored(ctx context.Context, bundles []reading) error {
	at := map[row.EventKey]*row.NewEvent{}
	var missing []row.EventKey
	for _, b := range bundles {
		for _, e := range b.ready {
			if e.Kind == "" {
				k := row.KeyOf(&e.Event)
				at[k], missing = e, append(missing, k)
			}
		}
	}
	for batch := range slices.Chunk(missing, readBatch) {
		read, err := s.eventsOf(ctx, batch)
		if err != nil {
			return err
		}
		for _, e := range read {
			at[row.KeyOf(&e)].Event = e
		}
	}
	return nil
}

// unpublishedRows returns events that have rows of their own.
func (s *Store) unpublishedRows(ctx context.Context, max int) ([]job.Event, error) {
	var keys []row.EventKey
	var key row.EventKey
	from, err := s.query(ctx, unpublishedQuery, int64(max))
	if err != nil {
		return nil, err
	}
	if err := row.Each(from, []any{&key.Subject, &key.Version}, func() { keys = append(keys, key) }); err != nil {
		return nil, s.explain(err)
	}
	at := map[row.EventKey]job.Event{}
	for batch := range slices.Chunk(keys, readBatch) {
		read, err := s.eventsOf(ctx, batch)
		if err != nil {
			return nil, err
		}
		for _, e := range read {
			at[row.KeyOf(&e)] = e
		}
	}
	var found []job.Event
	for _, k := range keys {
		if e, there := at[k]; there {
			found = append(found, e)
		}
	}
	s.outbox.read(found, noRow, 0)
	return found, nil
}

// MarkPublished implements events.Store.
func (s *Store) MarkPublished(ctx context.Context, events []job.Event) error {
	if len(events) == 0 {
		return nil
	}
	m := s.outbox.mark(events)
	return s.write(ctx, 1+len(m.whole)+4*len(m.parts)+len(m.single)+len(m.lost), func(t *tx) error { return t.published(&m) })
}

func (t *tx) published(m *marks) error {
	for batch := range slices.Chunk(m.whole, deleteBatch) {
		if _, err := t.exec(`DELETE FROM outbox WHERE seq IN ` + seqList(batch)); err != nil {
			return err
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(m.parts)) {
		if err := t.thin(`WHERE seq = `+strconv.FormatInt(seq, 10), m.parts[seq]); err != nil {
			return err
		}
	}
	if len(m.lost) > 0 {
		gone := map[row.EventKey]bool{}
		for _, k := range m.lost {
			gone[k] = true
		}
		if err := t.thin(``, gone); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(slices.Concat(m.single, m.lost), deleteBatch) {
		which, args := ofEvents("", batch)
		if _, err := t.exec(`DELETE FROM unpublished WHERE `+which, args...); err != nil {
			return err
		}
	}
	return nil
}

// thin takes events out of rows of the outbox.
func (t *tx) thin(which string, gone map[row.EventKey]bool) error {
	from, err := t.query(`SELECT seq, events FROM outbox ` + which + ` ORDER BY seq FOR UPDATE`)
	if err != nil {
		return err
	}
	var seq int64
	var text string
	texts := map[int64]string{}
	if err := row.Each(from, []any{&seq, &text}, func() { texts[seq] = text }); err != nil {
		return err
	}
	for _, seq := range slices.Sorted(maps.Keys(texts)) {
		lots, err := lotsOf(seq, texts[seq])
		if err != nil {
			return err
		}
		before := 0
		each(lots, func(row.EventKey) { before++ })
		rest, left := thin(lots, gone)
		switch left {
		case before:
			continue
		case 0:
			_, err = t.exec(`DELETE FROM outbox WHERE seq = ?`, seq)
		default:
			if text, err = lotsText(rest); err == nil {
				_, err = t.exec(`UPDATE outbox SET events = ? WHERE seq = ?`, text, seq)
			}
		}
		if err != nil {
			return err
		}
		t.after = append(t.after, func() { t.s.outbox.forget(seq) })
	}
	return nil
}

// ofEvents is a condition that rows are of these events, in the form that
// both servers read from an index. prefix is the table's name, with a dot, if
// the query has several.
func ofEvents(prefix string, keys []row.EventKey) (which string, args []any) {
	one := `(` + prefix + `subject = ? AND ` + prefix + `version = ?)`
	for _, k := range keys {
		args = append(args, k.Subject, k.Version)
	}
	return `(` + one + strings.Repeat(` OR `+one, len(keys)-1) + `)`, args
}

// Backlog implements events.Store.
func (s *Store) Backlog(ctx context.Context) (open int64, oldest time.Duration, err error) {
	if _, err := s.row(ctx, backlogQuery, nil, &open); err != nil || open == 0 {
		return 0, 0, err
	}
	var at int64
	found, err := s.row(ctx, oldestQuery, nil, &at)
	if err != nil || !found {
		return open, 0, err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return open, 0, err
	}
	return open, max(now.Sub(row.Time(at)), 0), nil
}
