package redis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
)

// The keys and channels. The braces are literal: what belongs to a partition
// shares a hash slot of a Cluster.
const (
	streamPrefix = "skadi:events:"
	deadPrefix   = "skadi:dead:"
	lostPrefix   = "skadi:lost:"
	checkKey     = "skadi:check:{0}"
	wakeChannel  = "skadi:wake"
	newsChannel  = "skadi:news"
)

func tagged(prefix string, partition int) string {
	return prefix + "{" + strconv.Itoa(partition) + "}"
}

// entry is a message as it stands in a stream.
type entry struct {
	id string // of the stream
	m  queue.Message
}

// fields returns a message as an entry's fields.
func fields(m queue.Message) []any {
	return []any{"id", m.ID, "space", m.Space, "kind", m.Kind, "data", m.Data}
}

var errNoEvent = errors.New("the entry is no event: it needs the fields id, space, kind and data")

// conversationKey stands in data that names a conversation; looking for it
// spares the decoding of the rest.
var conversationKey = []byte(`"conversation"`)

// decode reads an entry. The message is as complete as can be on error too.
func decode(x redis.XMessage, partition int) (entry, error) {
	text := func(name string) string {
		s, _ := x.Values[name].(string)
		return s
	}
	e := entry{id: x.ID, m: queue.Message{
		ID: text("id"), Space: text("space"), Kind: text("kind"), Partition: partition, Data: []byte(text("data")),
	}}
	if e.m.ID == "" || e.m.Kind == "" || len(e.m.Data) == 0 {
		return e, errNoEvent
	}
	if bytes.Contains(e.m.Data, conversationKey) {
		var p struct {
			Conversation *queue.Conversation `json:"conversation"`
		}
		if err := json.Unmarshal(e.m.Data, &p); err != nil {
			return e, fmt.Errorf("the entry's data: %w", err)
		}
		e.m.Conversation = p.Conversation
	}
	return e, nil
}

// streamID is the two numbers of an entry's ID.
type streamID struct{ ms, seq uint64 }

func parseID(s string) streamID {
	ms, seq, _ := strings.Cut(s, "-")
	var id streamID
	id.ms, _ = strconv.ParseUint(ms, 10, 64)
	id.seq, _ = strconv.ParseUint(seq, 10, 64)
	return id
}

func (a streamID) less(b streamID) bool {
	return a.ms < b.ms || a.ms == b.ms && a.seq < b.seq
}

func (a streamID) next() streamID { return streamID{a.ms, a.seq + 1} }

func (a streamID) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.seq, 10)
}

// time is when Redis took the entry, by its clock.
func (a streamID) time() time.Time { return time.UnixMilli(int64(a.ms)) } //nolint:gosec // milliseconds since 1970

// deadLetter reads an entry of a dead letters' stream.
func deadLetter(x redis.XMessage, partition int) queue.DeadLetter {
	e, _ := decode(x, partition) // why it could not be handled stands in reason
	group, _ := x.Values["group"].(string)
	reason, _ := x.Values["reason"].(string)
	return queue.DeadLetter{Group: group, Message: e.m, Reason: reason, At: parseID(x.ID).time()}
}
