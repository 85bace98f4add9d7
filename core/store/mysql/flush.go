package mysql

import (
	"cmp"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// prepare reads what the members need, each kind together.
func (t *tx) prepare(creates, named, selects []*member) error {
	agents := map[agentKey]struct{}{}
	keys := map[dedupeKey]struct{}{}
	for _, m := range creates {
		for i := range m.Op.(*createOp).entries { //nolint:errcheck,forcetypeassert // apply has looked
			e := &m.Op.(*createOp).entries[i] //nolint:errcheck,forcetypeassert // same
			if e.Draft != nil {
				agents[agentKey{e.Draft.Space, e.Draft.Agent}] = struct{}{}
			}
			if e.Dedupe != nil {
				keys[keyOf(e.Dedupe)] = struct{}{}
			}
		}
	}
	for _, m := range selects {
		if sel := m.Op.(*selectOp).sel; sel.Kind == job.SelectClaimable { //nolint:errcheck,forcetypeassert // same
			agents[agentKey{sel.Space, sel.Agent}] = struct{}{}
		}
	}
	if err := t.readAgents(agents); err != nil {
		return err
	}
	if err := t.readDedupe(keys); err != nil {
		return err
	}
	t.jobs = map[jobKey]*held{}
	var jobs []jobKey
	for _, m := range named {
		o := m.Op.(loader) //nolint:errcheck,forcetypeassert // same
		_, guarded := o.(*byIDOp)
		for _, k := range o.needs() {
			if j, known := t.s.known.handedOver(k); guarded && known {
				t.jobs[k] = &held{was: j, is: j, unsure: true}
				continue
			}
			jobs = append(jobs, k)
		}
	}
	if err := t.load(jobs); err != nil {
		return err
	}
	return t.readOutputs(named)
}

// tell has the events written with the transaction. j is the job that they are
// about, which the transaction makes or changes, or nil.
func (t *tx) tell(j *job.Job, events []job.Event) error {
	told, err := row.Tell(j, events)
	t.events = append(t.events, told...)
	for _, e := range told {
		if !inHistory(j, e) {
			t.rows = append(t.rows, e)
			continue
		}
		if t.history == nil {
			t.history = map[int64][]byte{}
		}
		t.history[j.Num] = appendHistory(t.history[j.Num], e)
	}
	return err
}

// flush writes what the members left to be written together.
func (t *tx) flush() error {
	for _, write := range []func() error{
		t.insertDedupe, t.insertJobs, t.updateJobs, t.writeOutputs, t.insertEvents,
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// insertEvents inserts the transaction's events and what is left to do about
// them.
func (t *tx) insertEvents() error {
	if len(t.events) == 0 {
		return nil
	}
	var plain, whole []any
	for _, e := range t.rows {
		e.Text = valid(e.Text)
		if e.IsPlain() {
			plain = e.Columns(plain)
		} else {
			whole = e.Rare(e.Columns(whole))
		}
	}
	err := t.insert(`INSERT INTO events (`+row.PlainEventColumns+`) VALUES `, row.PlainEventWidth, plain, "")
	if err != nil {
		return err
	}
	err = t.insert(`INSERT INTO events (`+row.PlainEventColumns+`, `+row.RareEventColumns+`) VALUES `,
		row.PlainEventWidth+row.RareEventWidth, whole, "")
	if err != nil {
		return err
	}
	if err := t.bundle(); err != nil {
		return err
	}
	return t.open()
}

// bundle notes which events are to be published.
func (t *tx) bundle() error {
	t.bundles = nil
	for some := range slices.Chunk(t.events, bundleEvents) {
		text, err := bundleText(some)
		if err != nil {
			return err
		}
		_, seq, err := t.conn.exec(`INSERT INTO outbox (events) VALUES (?)`, text)
		if err != nil {
			return err
		}
		t.bundles = append(t.bundles, &bundle{seq: seq, events: some})
	}
	return nil
}

// open notes which events are to be told. Each conversation is locked until
// the transaction ends, so whoever records a delivery, and has locked it
// before, sees all of its untold events.
//
// Where locks hold on one server alone it takes a row that both have changed:
// else somebody who tells the last event at another server, and removes the
// conversation, does not meet this. A blank at the end of the reason, or none,
// means nothing to anybody.
func (t *tx) open() error {
	type conversation struct {
		account, key string
		part         int64
	}
	var untold []any
	var open []conversation
	for _, e := range t.events {
		if c := e.Conversation; c != nil {
			key := keyText(c.Key)
			untold = append(untold, c.Account, key, e.Subject, e.Version)
			part := events.PartitionOf(c.Account, c.Key, t.s.partitions)
			open = append(open, conversation{c.Account, key, int64(part)})
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := t.insert("INSERT INTO untold (account, `key`, subject, version) VALUES ", 4, untold, ""); err != nil {
		return err
	}
	first := max(t.inserted, 1)
	slices.SortFunc(open, func(a, b conversation) int {
		return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.key, b.key))
	})
	open = slices.Compact(open)
	args := make([]any, 0, 4*len(open)+1)
	for _, c := range open {
		args = append(args, c.account, c.key, c.part, first)
	}
	const head = "INSERT INTO conversations (account, `key`, part, first) VALUES "
	set := ` ON DUPLICATE KEY UPDATE first = IF(first = 0, ?, first)`
	if t.s.optimistic {
		set += `, reason = IF(reason LIKE '% ', LEFT(reason, CHAR_LENGTH(reason) - 1), CONCAT(reason, ' '))`
	}
	_, err := t.exec(head+rowsOf(len(open), 4)+set, append(args, first)...)
	return err
}
