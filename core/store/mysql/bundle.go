package mysql

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// bundleEvents is how many events one row of the table outbox holds: few enough
// for the relay to take whole rows, and for the text to lie in the row's page.
const bundleEvents = 120

// lot is a part of a row of the table outbox: events that follow each other
// and are alike but for whom they are about. Those of which Stored is set are
// read from the table events; of the others, which make up nearly all, this is
// all there is to know, so that a node need not read the events of another
// one by one.
type lot struct {
	Stored   bool       `json:"stored,omitempty"`
	Space    string     `json:"space,omitempty"`
	Agent    string     `json:"agent,omitempty"`
	At       int64      `json:"at,omitempty"`
	Status   job.Status `json:"status,omitempty"`
	Reason   job.Reason `json:"reason,omitempty"`
	By       string     `json:"by,omitempty"`
	Subjects []string   `json:"subjects"`
	Versions []int64    `json:"versions"`
	Nums     []int64    `json:"nums,omitempty"`
}

// lotOf returns the lot that an event belongs into, without the event.
func lotOf(e *row.NewEvent) lot {
	if e.Kind != job.EventJobStatus || e.Conversation != nil || !e.IsPlain() {
		return lot{Stored: true}
	}
	return lot{Space: e.Space, Agent: e.Agent, At: row.Micros(e.At), Status: e.Status, Reason: e.Reason, By: e.By}
}

func (l *lot) isLike(m *lot) bool {
	return l.Stored == m.Stored && l.At == m.At && l.Status == m.Status && l.Agent == m.Agent && l.Space == m.Space &&
		l.By == m.By && l.Reason == m.Reason
}

// bundleText is what stands in outbox.events for these events.
func bundleText(events []*row.NewEvent) (string, error) {
	var lots []lot
	for _, e := range events {
		l := lotOf(e)
		if last := len(lots) - 1; last < 0 || !l.isLike(&lots[last]) {
			lots = append(lots, l)
		}
		in := &lots[len(lots)-1]
		in.Subjects, in.Versions = append(in.Subjects, e.Subject), append(in.Versions, e.Version)
		if !in.Stored {
			in.Nums = append(in.Nums, e.Num)
		}
	}
	return lotsText(lots)
}

func lotsText(lots []lot) (string, error) {
	text, err := json.Marshal(lots)
	return string(text), err
}

// lotsOf reads what bundleText wrote.
func lotsOf(seq int64, text string) (lots []lot, err error) {
	if err = json.Unmarshal([]byte(text), &lots); err != nil {
		return nil, fmt.Errorf("row %d of table outbox: %w", seq, err)
	}
	for _, l := range lots {
		if len(l.Versions) != len(l.Subjects) || !l.Stored && len(l.Nums) != len(l.Subjects) {
			return nil, fmt.Errorf("row %d of table outbox has %d subjects, %d versions and %d numbers in one lot",
				seq, len(l.Subjects), len(l.Versions), len(l.Nums))
		}
	}
	return lots, nil
}

// each calls f for each event of the lots.
func each(lots []lot, f func(k row.EventKey)) {
	for _, l := range lots {
		for i, subject := range l.Subjects {
			f(row.EventKey{Subject: subject, Version: l.Versions[i]})
		}
	}
}

// events returns the events; of those that are stored elsewhere only the name.
func (l *lot) events() []*row.NewEvent {
	all := make([]*row.NewEvent, len(l.Subjects))
	var at time.Time
	if !l.Stored {
		at = row.Time(l.At)
	}
	for i, subject := range l.Subjects {
		e := &row.NewEvent{Event: job.Event{Subject: subject, Version: l.Versions[i]}}
		if !l.Stored {
			e.Kind, e.Space, e.Agent, e.At, e.Num = job.EventJobStatus, l.Space, l.Agent, at, l.Nums[i]
			e.Status, e.Reason, e.By = row.Status(string(l.Status)), l.Reason, l.By
		}
		all[i] = e
	}
	return all
}

// thin returns the lots without some events, and how many are left.
func thin(lots []lot, gone map[row.EventKey]bool) (rest []lot, left int) {
	for _, l := range lots {
		r := l
		r.Subjects, r.Versions, r.Nums = nil, nil, nil
		for i, subject := range l.Subjects {
			if gone[row.EventKey{Subject: subject, Version: l.Versions[i]}] {
				continue
			}
			r.Subjects, r.Versions = append(r.Subjects, subject), append(r.Versions, l.Versions[i])
			if !l.Stored {
				r.Nums = append(r.Nums, l.Nums[i])
			}
		}
		if len(r.Subjects) > 0 {
			rest = append(rest, r)
			left += len(r.Subjects)
		}
	}
	return rest, left
}

// seqList writes numbers as they stand in a statement.
func seqList(seqs []int64) string {
	b := []byte{'('}
	for i, seq := range seqs {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, seq, 10)
	}
	return string(append(b, ')'))
}
