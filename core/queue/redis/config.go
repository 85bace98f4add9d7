package redis

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Defaults of Config.
const (
	DefaultPartitions = 16
	DefaultBatch      = 256
	DefaultTries      = 10
	DefaultTail       = 8_192
	DefaultMaxLen     = 100_000
	DefaultMinBackoff = 200 * time.Millisecond
	DefaultMaxBackoff = 30 * time.Second
	DefaultPoll       = 500 * time.Millisecond
	DefaultClaimIdle  = 30 * time.Second
	DefaultTrimEvery  = 5 * time.Second
	// DefaultForgetAfter is longer than a node may be frozen and go on.
	DefaultForgetAfter = 24 * time.Hour
)

// Config says where Redis is and how the queue behaves. Addrs and Node are
// required; other zero values stand for the defaults.
type Config struct {
	// Addrs are host:port: of one Redis, of Sentinels when Master is set, or
	// of some nodes when Cluster is.
	Addrs   []string
	Master  string
	Cluster bool
	// Username and Password are those of Redis. Username may be empty.
	Username string
	Password chat.Secret
	// SentinelUsername and SentinelPassword are for Sentinels that want them.
	SentinelUsername string
	SentinelPassword chat.Secret
	TLS              *tls.Config // nil: no TLS

	// Partitions is how many streams there are. It must be the same on every
	// node that uses this Redis.
	Partitions int
	// Node names this process among those that use this Redis.
	Node string

	// Batch is the most messages that Handle gets at once.
	Batch int
	// Tries is how often a message is handled before it is a dead letter.
	Tries int
	// Tail is how many messages a subscriber may lag behind before its channel
	// is closed.
	Tail int
	// MaxLen is how many messages a partition may hold. What exceeds it is
	// dropped though a group has not read it, and the group is told.
	MaxLen int
	// MinBackoff and MaxBackoff bound the time between two tries, which doubles.
	MinBackoff, MaxBackoff time.Duration
	// Poll is how often readers ask for messages though nobody told them.
	Poll time.Duration
	// ClaimIdle is after how long without an acknowledgement a message is
	// taken from a consumer that seems dead.
	ClaimIdle time.Duration
	// TrimEvery is how often a node that publishes trims the streams.
	TrimEvery time.Duration
	// ForgetAfter is after how long the name of a consumer that left nothing
	// is removed.
	ForgetAfter time.Duration
	Logger      *slog.Logger
}

func (c *Config) setDefaults() {
	setDefault(&c.Partitions, DefaultPartitions)
	setDefault(&c.Batch, DefaultBatch)
	setDefault(&c.Tries, DefaultTries)
	setDefault(&c.Tail, DefaultTail)
	setDefault(&c.MaxLen, DefaultMaxLen)
	setDefault(&c.MinBackoff, DefaultMinBackoff)
	setDefault(&c.MaxBackoff, DefaultMaxBackoff)
	setDefault(&c.Poll, DefaultPoll)
	setDefault(&c.ClaimIdle, DefaultClaimIdle)
	setDefault(&c.TrimEvery, DefaultTrimEvery)
	setDefault(&c.ForgetAfter, DefaultForgetAfter)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
