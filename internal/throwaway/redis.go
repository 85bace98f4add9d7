package throwaway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const redisPackage = "redis-server"

// RedisServer is a Redis of its own test. It writes an append-only file and
// syncs it at each write, so that what it acknowledged survives Kill.
type RedisServer struct {
	*server
	// CAFile is the certificate to trust, of a server that speaks TLS.
	CAFile string

	tls *tls.Config
}

// Redis starts a server, with more options as redis-server takes them:
//
//	throwaway.Redis(t, "--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
//	throwaway.Redis(t, "--user", "skadi", "on", ">secret", "~skadi:*", "&skadi:*", "+@all")
func Redis(t testing.TB, options ...string) *RedisServer {
	t.Helper()
	return newRedis(t, nil, options)
}

// RedisTLS is Redis for a server that speaks only TLS; clients need no
// certificate and must trust CAFile.
func RedisTLS(t testing.TB, options ...string) *RedisServer {
	t.Helper()
	return newRedis(t, newCertificates(t), options)
}

// Client returns a client of this server for the test itself.
func (r *RedisServer) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(r.options())
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Do runs one command, such as r.Do(t, "config", "set", "maxmemory", "1mb").
func (r *RedisServer) Do(t testing.TB, command ...any) any {
	t.Helper()
	got, err := r.do(t.Context(), command...)
	if err != nil {
		t.Fatalf("%v on Redis %s: %v", command, r.Addr, err)
	}
	return got
}

// Empty removes all data of a server that was killed.
func (r *RedisServer) Empty() {
	r.t.Helper()
	if r.cmd != nil {
		r.t.Fatalf("Redis on %s still runs", r.Addr)
	}
	// Redis 7 writes a folder, those before it one file.
	for _, name := range []string{"appendonlydir", "appendonly.aof"} {
		if err := os.RemoveAll(filepath.Join(r.dir, name)); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *RedisServer) do(ctx context.Context, command ...any) (any, error) {
	c := redis.NewClient(r.options())
	defer func() { _ = c.Close() }()
	return c.Do(ctx, command...).Result()
}

func (r *RedisServer) options() *redis.Options {
	return &redis.Options{Addr: r.Addr, TLSConfig: r.tls, MaxRetries: -1, DisableIdentity: true}
}

// ping succeeds also where a password is wanted: the server is there.
func (r *RedisServer) ping(ctx context.Context) error {
	_, err := r.do(ctx, "ping")
	if err != nil && strings.HasPrefix(err.Error(), "NOAUTH") {
		return nil
	}
	return err
}

func newRedis(t testing.TB, certs *certificates, options []string) *RedisServer {
	t.Helper()
	r := &RedisServer{}
	if certs != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(certs.ca)
		r.CAFile, r.tls = certs.caFile, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	r.launch(t, func(_, port string) ([]string, error) {
		listen := []string{"--port", port}
		if certs != nil {
			listen = []string{
				"--port", "0", "--tls-port", port, "--tls-auth-clients", "no",
				"--tls-ca-cert-file", certs.caFile, "--tls-cert-file", certs.certFile, "--tls-key-file", certs.keyFile,
			}
		}
		args := append(listen, "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", "")
		return append(args, options...), nil
	})
	return r
}

// launch starts redis-server with the arguments that go with a port.
func (r *RedisServer) launch(t testing.TB, args func(dir, port string) ([]string, error)) {
	t.Helper()
	program := Program(t, "redis-server", redisPackage)
	s, err := launch(func(port int) (*server, error) {
		dir, err := os.MkdirTemp("", "skadi-redis-")
		if err != nil {
			return nil, err
		}
		s := &server{dir: dir, program: program, ready: r.ping}
		r.server = s
		if s.args, err = args(dir, strconv.Itoa(port)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.own(t)
}
