// Package config reads Skadi's one YAML file. It is strict: what it does not
// understand it refuses, with the place in the file and what would be right.
package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"time"

	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/callback"
	"github.com/letserverrun/skadi/core/channels"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/outward"
)

// Size is a number of bytes.
type Size = strictyaml.Size

// Config is the whole file. Its tags say what the file, the JSON Schema and
// the errors say about each key.
type Config struct {
	Listen         string                      `yaml:"listen" number:"127.0.0.1:%s for this machine alone, or \":%s\" for others too" doc:"The address to serve HTTP on, as host:port."`
	PublicURL      string                      `yaml:"public_url" doc:"The address that others reach this server at, as https://host. Callback addresses and links are made of it."`
	TLS            TLS                         `yaml:"tls" doc:"The certificate to serve HTTPS with. Without it the server speaks plain HTTP, which is allowed on loopback and behind trusted_proxies only."`
	TrustedProxies []netip.Prefix              `yaml:"trusted_proxies" doc:"The addresses or networks of proxies in front of this server. Only they are believed who a call comes from, and only they may call without TLS from another machine."`
	Store          Store                       `yaml:"store" doc:"Where jobs are kept."`
	Queue          Queue                       `yaml:"queue" doc:"How events reach the repliers and other nodes."`
	Node           Node                        `yaml:"node" doc:"This server among others on the same database."`
	Times          Times                       `yaml:"times" doc:"The clocks of a job's life."`
	Retention      Retention                   `yaml:"retention" doc:"How long things are kept."`
	Limits         Limits                      `yaml:"limits" doc:"What is taken in and kept at most."`
	Log            Log                         `yaml:"log" doc:"The program's own log, on standard error."`
	Metrics        Metrics                     `yaml:"metrics" doc:"The figures that Prometheus collects."`
	Tracing        Tracing                     `yaml:"tracing" doc:"Where traces of jobs are sent, as OpenTelemetry has them."`
	Adapters       []Adapter                   `yaml:"adapters" doc:"The accounts on the channels that people write in, each with its name, its kind and the keys of that kind."`
	Callbacks      Callbacks                   `yaml:"callbacks" doc:"The calls to the callback_url of a job when it has ended. Without secrets there are none."`
	Channels       map[string]channels.Channel `yaml:"channels" doc:"Places to write in that nobody asked in, by names of your choice."`
	Alerts         channels.Alerts             `yaml:"alerts" doc:"Who is told what goes wrong."`
	Access         access.Rules                `yaml:"access" doc:"Who may do what. Without rules nobody may do anything."`

	warnings *warnings
	files    []string
	doc      *strictyaml.Document
	file     string
}

// Place finds the places in the file of an error about values of it; see
// strictyaml.Validator. It is nil if err is.
func (c *Config) Place(err error) error { return c.place("", err) }

func (c *Config) place(path string, err error) error {
	if c.doc == nil {
		return err
	}
	return strictyaml.Sorted(c.doc.Place(path, err)...)
}

// CheckAccess says which names in the access rules can never match; see
// access.Rules.CheckNames.
func (c *Config) CheckAccess(adapter func(account string) (chat.Adapter, bool)) error {
	return c.place("access", c.Access.CheckNames(adapter))
}

// CheckCertificate says why the certificate of tls cannot be served.
func (c *Config) CheckCertificate() error {
	if c.TLS.Cert == "" || c.TLS.Key == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
		return c.Place(strictyaml.Invalid("tls."+c.TLS.blamed(err), "cannot be served: %v; tls.cert takes the certificate and its chain, "+
			"tls.key the key that belongs to it, both in PEM, and this user must be able to read them", err))
	}
	return nil
}

// TLS names the certificate. The files are read again when they change.
type TLS struct {
	Cert string `yaml:"cert" doc:"PEM file with the certificate and its chain."`
	Key  string `yaml:"key" doc:"PEM file with the certificate's key."`
}

// blamed is the key whose file an error is about.
func (t TLS) blamed(err error) string {
	var file *fs.PathError
	if errors.As(err, &file) && file.Path == t.Key && t.Key != t.Cert {
		return "key"
	}
	return "cert"
}

// Store says where jobs are kept.
type Store struct {
	Driver  string      `yaml:"driver" jsonschema:"enum=sqlite,enum=mysql" doc:"sqlite keeps everything in one file; mysql serves any number of nodes."`
	Path    string      `yaml:"path" doc:"The file of sqlite."`
	DSN     chat.Secret `yaml:"dsn" doc:"The address of the mysql database, as user:password@tcp(host:3306)/name."`
	Migrate bool        `yaml:"migrate" doc:"Whether the server brings the database's schema up to date when it starts. If not, skadi migrate up does."`
}

// The drivers of Store.
const (
	SQLite = "sqlite"
	MySQL  = "mysql"
)

// Queue says how events travel.
type Queue struct {
	Driver     string      `yaml:"driver" jsonschema:"enum=embedded,enum=redis" doc:"embedded stays within the process; redis tells the other nodes too."`
	Partitions int         `yaml:"partitions" min:"1" max:"1024" doc:"How many partitions conversations are spread over. Nodes share the work of replying by them. A database keeps the number that it was made with."`
	Addrs      []string    `yaml:"addrs" number:"redis.example.com:%s" doc:"The addresses of redis, as host:port: one, or those of the Sentinels or of some nodes of the cluster."`
	Master     string      `yaml:"master" doc:"The name under which the Sentinels know the redis to use; the addresses are then the Sentinels'."`
	Cluster    bool        `yaml:"cluster" doc:"The addresses are nodes of a Redis Cluster."`
	Username   string      `yaml:"username" doc:"The ACL user of redis."`
	Password   chat.Secret `yaml:"password" doc:"The password of redis."`
	TLS        bool        `yaml:"tls" doc:"Connect to redis by TLS."`

	SentinelUsername string      `yaml:"sentinel_username" doc:"The ACL user of the Sentinels, if they want one."`
	SentinelPassword chat.Secret `yaml:"sentinel_password" doc:"The password of the Sentinels, if they want one."`
}

// Node is this server among others.
type Node struct {
	Name string `yaml:"name" doc:"What the other nodes and GET /v1/nodes call this one; without it, the host's name."`
}

// The drivers of Queue.
const (
	Embedded = "embedded"
	Redis    = "redis"
)

// Times are the clocks of a job's life.
type Times struct {
	CheckIn  time.Duration `yaml:"check_in" min:"10ms" max:"1d" doc:"How often an agent must check in. A waiting poll counts as checked in."`
	Offline  time.Duration `yaml:"offline" min:"10ms" max:"30d" doc:"The silence after which an agent is offline, and jobs for it expire."`
	NoResult time.Duration `yaml:"no_result" min:"10ms" max:"30d" doc:"How long a job that was handed over may go without a word of its agent."`
	NotTaken time.Duration `yaml:"not_taken" min:"10ms" max:"30d" doc:"How long a job waits for an agent that is online and does not take it."`
	MaxRun   time.Duration `yaml:"max_run" min:"10ms" max:"365d" doc:"How long a job may run, whatever its agent says."`
	Offer    time.Duration `yaml:"offer" min:"10ms" max:"1h" doc:"How long an agent has to confirm a job that it was offered."`
	Approval time.Duration `yaml:"approval" min:"10ms" max:"365d" doc:"How long a job waits for somebody to approve it."`
}

// Retention says how long things are kept.
type Retention struct {
	Jobs time.Duration `yaml:"jobs" doc:"How long a finished job is kept, with its history and output; 0 keeps it for ever."`
}

// Limits bound what is taken in and kept.
type Limits struct {
	Message     Size `yaml:"message" min:"1KiB" max:"1MiB" doc:"The longest message of a job."`
	Output      Size `yaml:"output" min:"1KiB" max:"64MiB" doc:"The longest output of a job; of more, the beginning and the end are kept."`
	LiveOutput  Size `yaml:"live_output" min:"1KiB" max:"64MiB" doc:"How much output of a running job is kept; of more, the beginning and the end."`
	LateReports int  `yaml:"late_reports" min:"1" max:"1000" doc:"How many reports that came too late are kept with a job."`
	Body        Size `yaml:"body" min:"64KiB" max:"1GiB" doc:"The largest body of an HTTP call."`
}

// Log says what the program logs, and how.
type Log struct {
	Level  string `yaml:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error" doc:"The least important level that is logged."`
	Format string `yaml:"format" jsonschema:"enum=text,enum=json" doc:"One line of text, or of JSON."`
}

// Metrics says where the figures are served.
type Metrics struct {
	Listen string `yaml:"listen" number:"127.0.0.1:%s for this machine alone, or \":%s\" for others too" doc:"An address of its own for /metrics, as host:port; without it, /metrics is served with everything else."`
}

// Tracing says where traces go.
type Tracing struct {
	Endpoint string                 `yaml:"endpoint" doc:"The address of an OTLP receiver that speaks HTTP, as http://host:4318; without it there are no traces."`
	Headers  map[string]chat.Secret `yaml:"headers" doc:"What is sent along with the traces as headers of HTTP, for receivers that ask who it is."`
	Ratio    float64                `yaml:"ratio" doc:"The part of all jobs that is traced, from 0 to 1."`
}

// Callbacks says whether and how a job's callback_url is called.
type Callbacks struct {
	Secrets []chat.Secret `yaml:"secrets" doc:"What the calls are signed with, as Standard Webhooks writes it: whsec_ and base64. Each call has a signature of each, so that a new one can be added before the old one goes."`
	Allow   []string      `yaml:"allow" doc:"Addresses, networks and hosts that may be called though they are not public, and over plain HTTP, such as 10.1.2.0/24 or ci.internal."`
}

// On reports whether there are callbacks.
func (c *Callbacks) On() bool { return len(c.Secrets) > 0 }

// Keys returns what calls are signed with.
func (c *Callbacks) Keys() ([]callback.Key, error) {
	keys := make([]callback.Key, len(c.Secrets))
	for i, s := range c.Secrets {
		var err error
		if keys[i], err = callback.ParseKey(s); err != nil {
			return nil, strictyaml.Invalid(fmt.Sprintf("secrets[%d]", i), "%v", err)
		}
	}
	return keys, nil
}

// Allowed returns what may be called though it is not public.
func (c *Callbacks) Allowed() (outward.Allow, error) {
	a, err := outward.ParseAllow(c.Allow)
	var errs []error
	for _, one := range unjoined(err) {
		var entry *outward.EntryError
		if errors.As(one, &entry) {
			errs = append(errs, strictyaml.Invalid(fmt.Sprintf("allow[%d]", entry.Index), "%s", entry.Detail))
		}
	}
	return a, errors.Join(errs...)
}

func unjoined(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only what ParseAllow itself joined
		return many.Unwrap()
	}
	return nil
}

// Validate checks the secrets and the list.
func (c *Callbacks) Validate() error {
	_, bad := c.Keys()
	_, err := c.Allowed()
	if err == nil && bad == nil && len(c.Allow) > 0 && !c.On() {
		return strictyaml.Invalid("secrets", "is missing; without it nothing is called, and allow means nothing")
	}
	return errors.Join(bad, err)
}

// Default returns the config that an empty file means.
func Default() *Config {
	times, limits := job.DefaultTimes(), job.DefaultLimits()
	return &Config{
		Listen: "127.0.0.1:8080",
		Store:  Store{Driver: SQLite, Path: "skadi.db", Migrate: true},
		Queue:  Queue{Driver: Embedded, Partitions: 16},
		Times: Times{
			CheckIn: times.CheckIn, Offline: times.Offline, NoResult: times.NoResult, NotTaken: times.NotTaken,
			MaxRun: times.MaxRun, Offer: times.Offer, Approval: times.Approval,
		},
		Retention: Retention{Jobs: 90 * 24 * time.Hour},
		Limits: Limits{
			Message: Size(limits.MessageBytes), Output: Size(limits.OutputBytes), LiveOutput: Size(limits.LiveBytes),
			LateReports: limits.LateReports, Body: 16 << 20,
		},
		Log:      Log{Level: "info", Format: "text"},
		Tracing:  Tracing{Ratio: 1},
		warnings: &warnings{},
	}
}

// JobTimes returns the times as the job service takes them; those that the
// file does not have keep their defaults.
func (c *Config) JobTimes() job.Times {
	t := job.DefaultTimes()
	t.CheckIn, t.Offline, t.NoResult, t.NotTaken = c.Times.CheckIn, c.Times.Offline, c.Times.NoResult, c.Times.NotTaken
	t.MaxRun, t.Offer, t.Approval = c.Times.MaxRun, c.Times.Offer, c.Times.Approval
	return t
}

// JobLimits returns the limits as the job service takes them.
func (c *Config) JobLimits() job.Limits {
	return job.Limits{
		MessageBytes: int(c.Limits.Message), OutputBytes: int(c.Limits.Output),
		LiveBytes: int(c.Limits.LiveOutput), LateReports: c.Limits.LateReports,
	}
}
