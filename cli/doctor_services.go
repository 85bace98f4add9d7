package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
	nodes "github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/queue/redis"
)

// certificateSoon is how long before its end a certificate should be renewed.
const certificateSoon = 14 * 24 * time.Hour

// openAsItIs opens the database without bringing it up to date.
func (d *doctor) openAsItIs(ctx context.Context) (*opened, error) {
	p := placeOf(d.cfg)
	p.Migrate = false
	return openDatabase(ctx, p)
}

func (d *doctor) findDatabase(ctx context.Context) []chat.Finding {
	p := placeOf(d.cfg)
	if !p.exists() {
		return []chat.Finding{found(chat.Fine, "", "%s is not there yet; the server makes it at its first start", p)}
	}
	schema, err := p.schema(ctx)
	if err != nil {
		return []chat.Finding{found(chat.Wrong, "see that store names the right database, that it runs, and that its user may use it", "%v", err)}
	}
	if err := schema.Err(); err != nil {
		if schema.Version < schema.Newest && d.cfg.Store.Migrate {
			return []chat.Finding{found(chat.Fine, "", "%s is reached; its schema is brought from version %d to %d at the next start", p, schema.Version, schema.Newest)}
		}
		return []chat.Finding{found(chat.Wrong, "", "%s: %v", p, err)}
	}
	list := []chat.Finding{found(chat.Fine, "", "%s is reached, with schema %d", p, schema.Version)}
	heard := &warningsHeard{}
	p.Migrate = false
	b, err := p.open(ctx, slog.New(heard))
	for _, w := range heard.said() {
		list = append(list, found(chat.Doubtful, "docs/mysql.md has what Skadi needs of it", "%s", w))
	}
	if err != nil {
		return append(list, found(chat.Wrong, "docs/mysql.md and docs/operations.md have what Skadi needs of it", "%v", err))
	}
	defer func() { _ = b.Close() }()
	if err := b.Ping(ctx); err != nil {
		list = append(list, found(chat.Wrong, "", "it cannot be written to: %v", err))
	}
	if p.Driver == config.MySQL {
		list = append(list, serverOf(ctx, p))
	}
	return append(list, d.findNodes(ctx, b)...)
}

// serverOf tells which server a database is on.
func serverOf(ctx context.Context, p place) chat.Finding {
	db, err := sql.Open("mysql", p.DSN.Reveal())
	if err != nil {
		return found(chat.Doubtful, "", "its version is not known")
	}
	defer func() { _ = db.Close() }()
	var says, mode string
	if err := db.QueryRowContext(ctx, `SELECT VERSION(), @@GLOBAL.sql_mode`).Scan(&says, &mode); err != nil {
		return found(chat.Doubtful, "", "its version is not known: %v", err)
	}
	return found(chat.Fine, "", "the server is %s; Skadi's own connections are strict (others: %s)", oneLine(says, 100), oneLine(mode, 300))
}

// findNodes looks for servers of other versions on the same database.
func (d *doctor) findNodes(ctx context.Context, b *base) []chat.Finding {
	all, err := nodes.NewRegistry(nodes.RegistryConfig{Store: b}).List(ctx)
	if err != nil {
		return []chat.Finding{found(chat.Doubtful, "", "the servers on it are not known: %v", err)}
	}
	var alive, others []string
	for _, n := range all {
		if !n.Alive {
			continue
		}
		alive = append(alive, n.Host)
		if v := currentVersion().Version; n.Version != v {
			others = append(others, fmt.Sprintf("%s is %s", n.Host, n.Version))
		}
	}
	list := []chat.Finding{found(chat.Fine, "", "%d servers work on it now", len(alive))}
	if len(others) > 0 {
		list = append(list, found(chat.Doubtful, "upgrade them one by one", "servers of another version than this program: %s", strings.Join(others, ", ")))
	}
	return list
}

func (d *doctor) findRedis(ctx context.Context) []chat.Finding {
	if d.cfg.Queue.Driver != config.Redis {
		level, fix := chat.Fine, ""
		text := "none is configured; events stay within the process"
		if d.cfg.Store.Driver == config.MySQL {
			text += ", and other servers find out within a second"
		}
		return []chat.Finding{found(level, fix, "%s", text)}
	}
	heard := &warningsHeard{}
	f, err := redis.Examine(ctx, redisConfig(d.cfg.Queue, d.cfg.Queue.Partitions, "doctor", slog.New(heard)))
	if err != nil {
		return []chat.Finding{found(chat.Wrong, "see that queue.addrs are right and Redis runs; meanwhile events are told from the database, later", "%v", err)}
	}
	list := []chat.Finding{found(chat.Fine, "", "it is reached, version %s, and its user may do all that is needed", orUnknown(f.Version))}
	if f.Version != "" && !f.Persistent {
		list = append(list, found(chat.Doubtful, "set appendonly yes there if services of yours read the events; Skadi's own replies come from the database in any case",
			"it keeps nothing on disk: events that services of yours have not read are lost when it stops"))
	}
	if strings.HasPrefix(f.Eviction, "allkeys-") {
		list = append(list, found(chat.Doubtful, "set maxmemory-policy noeviction there", "it may throw events away when its memory is full (maxmemory-policy %s)", f.Eviction))
	}
	return list
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// findCertificate looks at the certificate that the server shows.
func (d *doctor) findCertificate(context.Context) []chat.Finding {
	if d.cfg.TLS.Cert == "" {
		if len(d.cfg.TrustedProxies) > 0 {
			return []chat.Finding{found(chat.Fine, "", "none: the proxies in trusted_proxies end TLS")}
		}
		if u, err := url.Parse(d.cfg.PublicURL); err == nil && u.Scheme == "https" {
			return []chat.Finding{found(chat.Doubtful, "list the proxy that ends TLS in trusted_proxies, which 127.0.0.1 is if it runs here",
				"none, and public_url begins with https: whoever calls by a proxy looks like any other")}
		}
		return []chat.Finding{found(chat.Fine, "", "none: the server listens on this machine alone (%s)", d.cfg.Listen)}
	}
	pair, err := tls.LoadX509KeyPair(d.cfg.TLS.Cert, d.cfg.TLS.Key)
	if err != nil {
		return []chat.Finding{found(chat.Wrong, "tls.cert takes the certificate and its chain, tls.key the key that belongs to it, both in PEM", "%v", err)}
	}
	leaf := pair.Leaf
	var list []chat.Finding
	switch left := leaf.NotAfter.Sub(d.now()); {
	case left <= 0:
		list = append(list, found(chat.Wrong, "renew it; the server takes the new one by itself", "it ran out on %s", leaf.NotAfter.UTC().Format(time.DateOnly)))
	case d.now().Before(leaf.NotBefore):
		list = append(list, found(chat.Wrong, "compare this machine's clock", "it holds from %s on only", leaf.NotBefore.UTC().Format(time.RFC3339)))
	case left < certificateSoon:
		list = append(list, found(chat.Doubtful, "renew it; the server takes the new one by itself", "it runs out on %s", leaf.NotAfter.UTC().Format(time.DateOnly)))
	default:
		list = append(list, found(chat.Fine, "", "it holds until %s", leaf.NotAfter.UTC().Format(time.DateOnly)))
	}
	if u, err := url.Parse(d.cfg.PublicURL); err == nil && u.Hostname() != "" && len(d.cfg.TrustedProxies) == 0 {
		if err := leaf.VerifyHostname(u.Hostname()); err != nil {
			list = append(list, found(chat.Wrong, "get one for the host of public_url", "it is not for the host of public_url: %v", err))
		}
	}
	if len(pair.Certificate) == 1 && leaf.Issuer.String() != leaf.Subject.String() {
		list = append(list, found(chat.Doubtful, "put the chain into tls.cert (often a file named fullchain.pem)", "tls.cert has no intermediate certificates, which some callers need"))
	}
	return list
}

// findPublicURL calls the server as others would.
func (d *doctor) findPublicURL(ctx context.Context) []chat.Finding {
	if d.cfg.PublicURL == "" {
		return []chat.Finding{found(chat.Fine, "", "it is not set; channels that call in need it")}
	}
	at := strings.TrimSuffix(d.cfg.PublicURL, "/") + "/healthz"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return []chat.Finding{found(chat.Wrong, "write it as https://host", "it is no URL")}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	a, err := client.Do(r)
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &unknown), errors.As(err, &host):
		return []chat.Finding{found(chat.Wrong, "serve a certificate that everybody trusts, for that name", "%v", err)}
	case err != nil:
		return []chat.Finding{found(chat.Doubtful, "start the server, and see that the name leads here; a network may also keep its own machines from calling it by this name",
			"nothing answers from here: %v", err)}
	}
	defer func() { _ = a.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(a.Body, 1<<10))
	if a.StatusCode != http.StatusOK || !strings.Contains(string(body), `"status"`) {
		return []chat.Finding{found(chat.Wrong, "see where the name, or the proxy behind it, leads", "%s answered with %s, and not as Skadi does", at, a.Status)}
	}
	return []chat.Finding{found(chat.Fine, "", "a Skadi server answers at %s", d.cfg.PublicURL)}
}

// warningsHeard is a log that keeps what is a warning in it.
type warningsHeard struct {
	mu  sync.Mutex
	all []string
}

func (h *warningsHeard) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (h *warningsHeard) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(" (%s: %v)", a.Key, a.Value)
		return true
	})
	h.all = append(h.all, text)
	return nil
}

func (h *warningsHeard) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h *warningsHeard) WithGroup(string) slog.Handler { return h }

func (h *warningsHeard) said() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all
}
