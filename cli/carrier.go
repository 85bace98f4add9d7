package cli

import (
	"context"
	"crypto/tls"
	"log/slog"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/queue/redis"
)

// eventQueue is what a queue does for a node.
type eventQueue interface {
	queue.Consumer
	Publish(ctx context.Context, messages []queue.Message) error
	Subscribe(ctx context.Context, space string) (<-chan []queue.Message, error)
	DeadLetters(ctx context.Context, group string, max int) ([]queue.DeadLetter, error)
	Close() error
}

// carrier takes events and wakes to where they are waited for.
type carrier struct {
	eventQueue
	waker job.Waker
	// ping reports whether the queue that all nodes share is there; nil for
	// one within the process.
	ping func(ctx context.Context) error
}

// openQueue opens the queue that the config names, for the node with that ID.
// A Redis that is away is waited for while the node works.
func openQueue(ctx context.Context, cfg config.Queue, partitions int, nodeID string, log *slog.Logger) (*carrier, error) {
	waker := queue.NewWaker()
	if cfg.Driver != config.Redis {
		return &carrier{eventQueue: queue.NewEmbeddedWith(queue.EmbeddedConfig{Logger: log}), waker: waker}, nil
	}
	q, err := redis.Open(ctx, redisConfig(cfg, partitions, nodeID, log))
	if err != nil {
		return nil, err
	}
	return &carrier{eventQueue: q, waker: q.Waker(waker), ping: q.Ping}, nil
}

func redisConfig(cfg config.Queue, partitions int, nodeID string, log *slog.Logger) redis.Config {
	c := redis.Config{
		Addrs: cfg.Addrs, Master: cfg.Master, Cluster: cfg.Cluster, Username: cfg.Username, Password: cfg.Password,
		SentinelUsername: cfg.SentinelUsername, SentinelPassword: cfg.SentinelPassword,
		Partitions: partitions, Node: nodeID, Logger: log,
	}
	if cfg.TLS {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return c
}
