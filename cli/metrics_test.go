package cli

import (
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// metric is what a metric says of itself.
type metric struct{ name, labels string }

var (
	described = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	mentioned = regexp.MustCompile(`\bskadi_[a-z_]+`)
	suffixes  = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// existing are the metrics of a server that has all its parts.
func existing(t *testing.T) map[string]metric {
	t.Helper()
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(t.TempDir(), "skadi.db")
	cfg.Queue.Driver, cfg.Queue.Addrs = config.Redis, []string{throwaway.Redis(t).Addr}
	n, err := newNode(t.Context(), cfg, "127.0.0.1:8080", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, n.close(t.Context())) }()
	all, ok := n.api(false, nil).Registry().(prometheus.Collector)
	require.True(t, ok)
	ch := make(chan *prometheus.Desc)
	go func() { all.Describe(ch); close(ch) }()
	found := map[string]metric{}
	for d := range ch {
		m := described.FindStringSubmatch(d.String())
		require.NotNil(t, m, d.String())
		if strings.HasPrefix(m[1], "skadi_") {
			found[m[1]] = metric{m[1], m[2]}
		}
	}
	return found
}

func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	there := existing(t)
	rows := map[string]metric{}
	row := regexp.MustCompile("(?m)^\\| `(skadi_[a-z_]+)` \\| \\w+ \\|([^|]*)\\|")
	for _, m := range row.FindAllStringSubmatch(read(t, "metrics.md"), -1) {
		labels := strings.NewReplacer("`", "", " ", "").Replace(m[2])
		rows[m[1]] = metric{m[1], labels}
	}
	assert.Equal(t, there, rows, "docs/metrics.md and the metrics that there are")
}

// TestDashboardAndAlertsUseWhatThereIs holds every expression against the
// metrics that exist.
func TestDashboardAndAlertsUseWhatThereIs(t *testing.T) {
	t.Parallel()
	there := existing(t)
	check := func(where, expr string) {
		t.Helper()
		names := mentioned.FindAllString(expr, -1)
		for _, name := range names {
			if _, ok := there[name]; !ok {
				assert.Contains(t, there, suffixes.ReplaceAllString(name, ""), "%s: %s", where, expr)
			}
		}
		assert.Equal(t, strings.Count(expr, "("), strings.Count(expr, ")"), "%s: %s", where, expr)
	}

	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "grafana-dashboard.json")), &board))
	require.NotEmpty(t, board.Panels)
	for _, p := range board.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
		}
	}

	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "alerts.yaml")), &rules))
	require.NotEmpty(t, rules.Groups)
	for _, r := range rules.Groups[0].Rules {
		check(r.Alert, r.Expr)
		assert.Equal(t, []string{"description", "summary"}, slices.Sorted(maps.Keys(r.Annotations)), r.Alert)
		assert.Contains(t, []string{"critical", "warning"}, r.Labels["severity"], r.Alert)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", name))
	require.NoError(t, err)
	return string(text)
}
