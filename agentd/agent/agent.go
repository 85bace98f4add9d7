// Package agent is a Skadi agent to embed in a service: it takes jobs from a
// server over its HTTP API, hands each to the handler that its first word
// names, streams what the handler writes, and reports the result.
//
// A job runs at most once, whatever crashes where, and a result that the
// agent has is reported sooner or later: a journal in the state folder
// remembers across restarts what was started and what is not yet reported. A
// job that a crash interrupted is reported as failed, with the reason
// interrupted, and never run again.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/agentd/agent/output"
	"github.com/letserverrun/skadi/agentd/agent/redact"
	"github.com/letserverrun/skadi/core/agentapi"
)

// Defaults of the Config.
const (
	DefaultConcurrency  = 4
	DefaultDrainTimeout = 30 * time.Second
	DefaultOutputLimit  = 256 << 10
)

// maxConcurrency is the most jobs that one poll can ask for.
const maxConcurrency = 1000

var (
	// ErrRemoved is what Run returns when the agent was removed on the server.
	ErrRemoved = errors.New("this agent was removed on the server; its token will never work again")
	// ErrRunning is what Run returns when it is running already.
	ErrRunning = errors.New("this agent is running already")
)

// Config is what an Agent needs. Server, StateDir and one of Token and
// TokenFile must be set.
type Config struct {
	// Server is the server's address: https, or http on loopback.
	Server string
	// Token is the agent's token. TokenFile names a file with it instead,
	// which is read again when the server refuses the token, so that a new
	// one needs no restart.
	Token     string
	TokenFile string
	// StateDir is the folder for the journal, of this agent alone. It is made
	// if it is not there, and must outlive restarts.
	StateDir string
	// Concurrency is how many jobs run at once, at most 1,000; 0 means
	// DefaultConcurrency.
	Concurrency int
	// Version is shown on the server beside the agent.
	Version string
	// DrainTimeout is how long running jobs may go on when Run's context has
	// ended, before they are canceled; 0 means DefaultDrainTimeout, less than
	// 0 cancels them at once.
	DrainTimeout time.Duration
	// OutputLimit is how much of a job's output is reported, in bytes; of
	// more, head and tail are kept. 0 means DefaultOutputLimit.
	OutputLimit int
	// Redact are secrets that are taken out of all output. The token always is.
	Redact []string
	// HTTP is used for all calls, if set. It should have no Timeout.
	HTTP *http.Client
	// Logger is used, if set, instead of slog.Default.
	Logger *slog.Logger
}

// HandlerFunc runs one job. When it returns an error, or a Result with an
// exit code other than 0, the job failed. What it writes to the job is shown
// while it runs and is the job's output, unless the Result has one.
//
// ctx ends when somebody cancels the job, or when the agent stops and its
// drain timeout is over; the handler should then stop, return an error and
// leave nothing running. A handler that returns no error has succeeded even
// so. A panic fails the job and nothing else.
type HandlerFunc func(ctx context.Context, job *Job) (Result, error)

// Result is what a handler has to say besides success or failure.
type Result struct {
	// Output, unless empty, is the job's output instead of what was written.
	Output string
	// ExitCode is shown with the result; other than 0 it makes the job fail.
	ExitCode *int
	// Reason is one lower-case word that programs can tell failures by, such
	// as timeout.
	Reason string
}

// ExitCode returns a Result with only an exit code.
func ExitCode(code int) Result { return Result{ExitCode: &code} }

// Command describes what a handler does. The server shows Usage and Help to
// people who ask for help.
type Command struct {
	// Name is the first word of the messages that the handler gets.
	Name string
	// Usage is the whole form of a message, such as "deploy VERSION".
	Usage string
	// Help says in one line what it does.
	Help string
	// Open says that free text of the sender reaches a shell or a program.
	Open bool
	// Concurrency is how many jobs of this command run at once, within the
	// agent's own; 0 means any number. A job that waits for its turn takes
	// one of the agent's places.
	Concurrency int
	// OutputLimit is the Config's for jobs of this command alone; 0 means
	// the Config's own.
	OutputLimit int
}

// handler is a registered command.
type handler struct {
	Command
	run   HandlerFunc
	turns chan struct{} // nil without a limit of its own
}

// Agent is an agent. Handlers are registered first, then Run is called.
type Agent struct {
	cfg    Config
	log    *slog.Logger
	client *agentapi.Client
	secret atomic.Pointer[redact.Set]
	tokens struct {
		sync.Mutex
		used []string // the current one last
	}

	handlers map[string]*handler
	order    []*handler
	catchAll *handler

	running atomic.Bool
	online  chan struct{}
	onlined sync.Once
	// step, in tests, is called at every point where a crash would matter.
	step func(point string)
}

// New makes an Agent. It calls nothing and leaves the state folder alone.
func New(cfg Config) (*Agent, error) {
	switch {
	case cfg.StateDir == "":
		return nil, errors.New("agent: the state folder is not set; it keeps the journal of jobs across restarts")
	case (cfg.Token == "") == (cfg.TokenFile == ""):
		return nil, errors.New("agent: exactly one of the token and the token file must be set")
	case cfg.Concurrency < 0 || cfg.Concurrency > maxConcurrency:
		return nil, fmt.Errorf("agent: the concurrency must be 1 to %d, not %d", maxConcurrency, cfg.Concurrency)
	case cfg.OutputLimit < 0:
		return nil, fmt.Errorf("agent: the output limit must not be below 0, it is %d", cfg.OutputLimit)
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = DefaultConcurrency
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = DefaultDrainTimeout
	}
	if cfg.OutputLimit == 0 {
		cfg.OutputLimit = DefaultOutputLimit
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	for i, s := range cfg.Redact {
		if err := redact.Check(s); err != nil {
			return nil, fmt.Errorf("agent: the secret to redact number %d %w", i+1, err)
		}
	}
	a := &Agent{
		cfg: cfg, log: cfg.Logger,
		handlers: map[string]*handler{}, online: make(chan struct{}),
	}
	token := cfg.Token
	if cfg.TokenFile != "" {
		var err error
		if token, err = readToken(cfg.TokenFile); err != nil {
			return nil, fmt.Errorf("agent: %w", err)
		}
	}
	client, err := agentapi.NewClient(agentapi.ClientConfig{
		Server: cfg.Server, Token: token, HTTP: cfg.HTTP, UserAgent: userAgent(cfg.Version),
	})
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	a.client = client
	a.tokens.used = []string{token}
	a.lookFor(token)
	return a, nil
}

// lookFor sets what is redacted from now on: the config's secrets and these
// tokens. Secrets are cleaned like the output that they are looked for in.
func (a *Agent) lookFor(tokens ...string) {
	secrets := append(slices.Clone(a.cfg.Redact), tokens...)
	for i := range secrets {
		secrets[i] = output.Clean(secrets[i])
	}
	a.secret.Store(redact.New(secrets...))
}

var plainVersion = regexp.MustCompile(`\A[!-~]{1,64}\z`)

func userAgent(version string) string {
	if !plainVersion.MatchString(version) {
		return "skadi-agent"
	}
	return "skadi-agent/" + version
}

// maxToken is more than any token file needs, in bytes.
const maxToken = 4096

func readToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the token file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("the token file %s must hold the token, and is empty; `skadi agents rotate NAME` makes a new one", path)
	}
	if len(token) > maxToken {
		return "", fmt.Errorf("the token file %s must hold the token and nothing else; it has %d bytes", path, len(data))
	}
	return token, nil
}

// Handle registers fn for messages whose first word is name. It panics if
// name is empty, holds white space or is taken.
func (a *Agent) Handle(name string, fn HandlerFunc) { a.HandleCommand(Command{Name: name}, fn) }

// HandleCommand is Handle with a description for the server's help.
func (a *Agent) HandleCommand(c Command, fn HandlerFunc) {
	switch {
	case c.Name == "" || strings.ContainsAny(c.Name, " \t\r\n\u00a0"):
		panic(fmt.Sprintf("agent: a command's name must be one word, not %q", c.Name))
	case a.handlers[c.Name] != nil:
		panic(fmt.Sprintf("agent: there are two handlers for %q", c.Name))
	}
	h := newHandler(c, fn)
	a.handlers[c.Name] = h
	a.order = append(a.order, h)
}

// HandleAll registers fn for every message that no other handler takes.
// Without it such a message fails, with a list of what the agent can do.
func (a *Agent) HandleAll(fn HandlerFunc) {
	a.HandleAllAs(Command{Name: "*", Usage: "<anything>"}, fn)
}

// HandleAllAs is HandleAll with a description for the server's help.
func (a *Agent) HandleAllAs(c Command, fn HandlerFunc) {
	if a.catchAll != nil {
		panic("agent: there are two handlers for all messages")
	}
	if c.Name == "" {
		c.Name = "*"
	}
	a.catchAll = newHandler(c, fn)
}

func newHandler(c Command, fn HandlerFunc) *handler {
	h := &handler{Command: c, run: fn}
	if c.Concurrency > 0 {
		h.turns = make(chan struct{}, c.Concurrency)
	}
	return h
}

// commands is what the server is told that the agent can do.
func (a *Agent) commands() []agentapi.Command {
	all := make([]agentapi.Command, 0, len(a.order)+1)
	for _, h := range append(slices.Clone(a.order), a.catchAll) {
		if h != nil {
			all = append(all, agentapi.Command{Name: h.Name, Usage: h.Usage, Help: h.Help, Open: h.Open})
		}
	}
	return all
}

// Online is closed once the server has taken the agent's first check-in: jobs
// that are sent from then on reach it.
func (a *Agent) Online() <-chan struct{} { return a.online }
