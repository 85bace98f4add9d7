package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"

	"github.com/redis/go-redis/v9"
)

// errNoRedis means that there is nothing to compare with on this machine.
var errNoRedis = errors.New("redis-server is not installed (Debian, Ubuntu: apt-get install redis-server)")

// redisServer is a Redis of our own, on a port of its own.
type redisServer struct {
	addr string
	*process
}

// backing is the part of a node's config that names it.
func (r *redisServer) backing() string {
	return fmt.Sprintf("queue: {driver: redis, addrs: [%q]}", r.addr)
}

// startRedis starts Redis in dir with its append-only file synced every
// second, which is what its documentation advises for queues.
func startRedis(ctx context.Context, dir string) (*redisServer, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	p, err := start(io.Discard, nil, path, "--bind", "127.0.0.1", "--port", port, "--dir", dir,
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no")
	if err != nil {
		return nil, err
	}
	r := &redisServer{addr: addr, process: p}
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	if err := p.until(ctx, "redis-server", func() error { return c.Ping(ctx).Err() }); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return r, nil
}

// version returns the server's version.
func (r *redisServer) version(ctx context.Context) string {
	c := redis.NewClient(&redis.Options{Addr: r.addr})
	defer func() { _ = c.Close() }()
	info, err := c.InfoMap(ctx, "server").Result()
	if err != nil {
		return "?"
	}
	return fmt.Sprint(info["Server"]["redis_version"])
}

// empty removes everything from it.
func (r *redisServer) empty(ctx context.Context) error {
	c := redis.NewClient(&redis.Options{Addr: r.addr})
	defer func() { _ = c.Close() }()
	return c.FlushAll(ctx).Err()
}

// synced has it sync its append-only file at each write while f runs, as
// Skadi's database does at each commit.
func (r *redisServer) synced(ctx context.Context, f func() error) error {
	set := func(ctx context.Context, policy string) error {
		c := redis.NewClient(&redis.Options{Addr: r.addr})
		defer func() { _ = c.Close() }()
		return c.ConfigSet(ctx, "appendfsync", policy).Err()
	}
	if err := set(ctx, "always"); err != nil {
		return err
	}
	return errors.Join(f(), set(context.WithoutCancel(ctx), "everysec"))
}
