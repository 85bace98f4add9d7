package httpapi

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

// waitingAgents is how many agents wait at once in the benchmark.
const waitingAgents = 2000

// BenchmarkWaitingAgents opens connections of agents that wait in a poll and
// reports what each costs in all, in heap and in stacks. The clients' ends
// are bare connections of the same process and are counted too.
func BenchmarkWaitingAgents(b *testing.B) {
	for _, scheme := range []string{"http", "https"} {
		b.Run(scheme, func(b *testing.B) {
			e := setup(b, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) })
			var cfg ListenConfig
			if scheme == "https" {
				cfg.Cert, cfg.Key = writeCert(b, b.TempDir(), "bench")
			}
			cfg.Addr = "127.0.0.1:0"
			s := listen(b, cfg)
			start(b, s, e.api.Handler())
			tokens := manyAgents(b, e, waitingAgents)
			before := inUse()
			for b.Loop() {
				conns := waitAll(b, e, s, tokens)
				after := inUse()
				n := float64(len(conns))
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/conn")
				b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/conn")
				b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/n, "inuse-B/conn")
				for _, c := range conns {
					_ = c.Close()
				}
				for range conns {
					<-e.waker.ended
				}
			}
		})
	}
}

func inUse() (m runtime.MemStats) {
	runtime.GC() // a second time frees what the first found in pools
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// manyAgents makes agents and returns their tokens.
func manyAgents(b *testing.B, e *env, n int) []string {
	b.Helper()
	tokens := make([]string, n)
	var wg sync.WaitGroup
	limit := make(chan struct{}, 64)
	for i := range tokens {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			a, err := e.jobs.CreateAgent(b.Context(), job.DefaultSpace, fmt.Sprintf("agent-%d", i))
			if err != nil {
				b.Error(err)
				return
			}
			secret, err := e.tokens.Create(b.Context(), a.Space, "", access.RoleAgent, a.ID, a.Name)
			if err != nil {
				b.Error(err)
				return
			}
			tokens[i] = secret.Reveal()
		})
	}
	wg.Wait()
	return tokens
}

// waitAll has every agent poll on a connection of its own, and returns once
// all of them wait.
func waitAll(b *testing.B, e *env, s *Server, tokens []string) []net.Conn {
	b.Helper()
	conns := make([]net.Conn, len(tokens))
	for i, token := range tokens {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		if s.tls != nil {
			conn = secure(b, s, conn)
		}
		const body = `{"instance":"0191e8a0-0000-7000-8000-000000000000","wait_seconds":55,"max":10,"confirm":true,"version":"1.0.0"}`
		_, err = fmt.Fprintf(conn, "POST /v1/agent/poll HTTP/1.1\r\nHost: skadi.example.com\r\nUser-Agent: agentd/1.0.0\r\n"+
			"Accept: application/json, application/problem+json\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n"+
			"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body)
		if err != nil {
			b.Fatal(err)
		}
		conns[i] = conn
	}
	// Each waits twice: at first on its connection's own goroutine, and then
	// parked.
	for range 2 * len(conns) {
		<-e.waker.begun
	}
	for range conns {
		<-e.waker.ended
	}
	return conns
}

func secure(b *testing.B, s *Server, conn net.Conn) net.Conn {
	b.Helper()
	pem, err := os.ReadFile(s.cfg.Cert)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13})
	if err := c.Handshake(); err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkPush is POST /v1/jobs on 16 connections, durable. Its figure on a
// machine without much else to do is the cost of HTTP and of the store.
func BenchmarkPush(b *testing.B) {
	e := setup(b, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) })
	body := encode(b, agentapi.Push{Agent: "web-1", Message: "deploy v1.2.3"})
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) { pushes(b, e, pb, body) })
}

// pushes writes requests by hand, so that the client costs little.
func pushes(b *testing.B, e *env, pb *testing.PB, body string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	request := fmt.Appendf(nil, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", e.admin, len(body), body)
	r := bufio.NewReader(conn)
	for pb.Next() {
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusCreated {
			b.Error(res, err)
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}
