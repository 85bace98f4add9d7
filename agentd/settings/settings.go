// Package settings reads agentd's YAML file, strictly: everything that is
// wrong with it is reported at once, with its line and column.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/agent/redact"
	"github.com/letserverrun/skadi/agentd/command"
	"github.com/letserverrun/skadi/agentd/process"
	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
)

// Settings is the file.
type Settings struct {
	Server       string          `yaml:"server" jsonschema:"required" doc:"The server's address: https, or http on this machine."`
	Token        chat.Secret     `yaml:"token" doc:"The agent's token; better kept elsewhere: ${env:NAME} or ${file:PATH}."`
	TokenFile    string          `yaml:"token_file" doc:"A file with the token, read again when the server refuses the token."`
	Name         string          `yaml:"name" doc:"What the log calls this agent. The token decides which agent it is."`
	StateDir     string          `yaml:"state_dir" jsonschema:"required" doc:"A folder for the journal, of this agent alone, which outlives restarts."`
	Concurrency  int             `yaml:"concurrency" min:"1" max:"1000" doc:"How many jobs run at once."`
	DrainTimeout time.Duration   `yaml:"drain_timeout" min:"0s" max:"1d" doc:"How long running jobs may go on when agentd is stopped."`
	KillGrace    time.Duration   `yaml:"kill_grace" min:"100ms" max:"10m" doc:"How long a program has between SIGTERM and SIGKILL."`
	Timeout      time.Duration   `yaml:"timeout" min:"1s" max:"7d" doc:"How long a command may run, unless it says otherwise."`
	OutputLimit  strictyaml.Size `yaml:"output_limit" min:"1KiB" max:"1MiB" doc:"How much output of a job is reported; of more, head and tail are kept."`
	Redact       []chat.Secret   `yaml:"redact" doc:"Secrets to take out of all output, besides the token and all that ${…} stands for."`
	Log          Log             `yaml:"log" doc:"What agentd writes to standard error."`
	Commands     []Command       `yaml:"commands" doc:"What this agent can be told to do."`
	Handler      *Handler        `yaml:"handler" doc:"One program that gets every message, instead of commands."`

	warnings []string
	secrets  []string
	specs    []*command.Spec
}

// Log is how agentd writes its log.
type Log struct {
	Level  string `yaml:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error" doc:"The least that is logged."`
	Format string `yaml:"format" jsonschema:"enum=text,enum=json" doc:"How a line looks."`
}

// Command is something that the agent can be told to do.
type Command struct {
	Name   string   `yaml:"name" jsonschema:"required" doc:"The first word of its messages."`
	Usage  string   `yaml:"usage" doc:"The form of a message, for help; made from args if left out."`
	Help   string   `yaml:"help" doc:"What it does, in one line."`
	Args   []Arg    `yaml:"args" doc:"The words that follow the name, in order."`
	Argv   []string `yaml:"argv" doc:"The program and its arguments; {name} stands for an argument. No shell reads them."`
	Shell  bool     `yaml:"shell" doc:"Runs script with sh. Without args any words are taken."`
	Script string   `yaml:"script" doc:"With shell: what sh runs. Arguments are $1, $2, … and $SKADI_ARG_NAME, never part of the text."`
	Stdin  string   `yaml:"stdin" doc:"What the program reads; {name} stands for an argument."`

	Dir         string                 `yaml:"dir" doc:"The folder to run in; agentd's own if left out."`
	Env         map[string]string      `yaml:"env" doc:"Environment variables; {name} stands for an argument."`
	SecretEnv   map[string]chat.Secret `yaml:"secret_env" doc:"Environment variables that are taken out of all output."`
	PassEnv     []string               `yaml:"pass_env" doc:"Environment variables to pass on from agentd's own; no others are."`
	User        string                 `yaml:"user" doc:"Whom to run as; agentd must be root for it."`
	Timeout     time.Duration          `yaml:"timeout" min:"1s" max:"7d" doc:"How long it may run."`
	KillGrace   time.Duration          `yaml:"kill_grace" min:"100ms" max:"10m" doc:"How long it has between SIGTERM and SIGKILL."`
	Concurrency int                    `yaml:"concurrency" min:"1" max:"1000" doc:"How many of it run at once; the others wait."`
	OutputLimit strictyaml.Size        `yaml:"output_limit" min:"1KiB" max:"1MiB" doc:"How much of its output is reported."`
}

// Arg is one argument of a Command: exactly one of Pattern, Enum and Int says
// what it takes.
type Arg struct {
	Name      string   `yaml:"name" jsonschema:"required" doc:"What the command calls it."`
	Pattern   string   `yaml:"pattern" doc:"A regular expression that the whole value matches."`
	Enum      []string `yaml:"enum" jsonschema:"minItems=1" doc:"The values that it takes."`
	Int       *Int     `yaml:"int" doc:"A whole number within limits."`
	Optional  bool     `yaml:"optional" doc:"It may be left out; so may those after it."`
	Rest      bool     `yaml:"rest" doc:"It takes all words that are left."`
	AllowDash bool     `yaml:"allow_dash" doc:"It takes values that begin with a dash, which a program may take for options."`
}

// Int is a range of whole numbers.
type Int struct {
	Min int64 `yaml:"min" jsonschema:"required" doc:"The least number."`
	Max int64 `yaml:"max" jsonschema:"required" doc:"The greatest number."`
}

// Handler is one program for every message, which it reads from standard
// input.
type Handler struct {
	Argv []string `yaml:"argv" jsonschema:"required,minItems=1" doc:"The program and its arguments."`
	Help string   `yaml:"help" doc:"What it does, in one line."`

	Dir         string                 `yaml:"dir" doc:"The folder to run in; agentd's own if left out."`
	Env         map[string]string      `yaml:"env" doc:"Environment variables."`
	SecretEnv   map[string]chat.Secret `yaml:"secret_env" doc:"Environment variables that are taken out of all output."`
	PassEnv     []string               `yaml:"pass_env" doc:"Environment variables to pass on from agentd's own; no others are."`
	User        string                 `yaml:"user" doc:"Whom to run as; agentd must be root for it."`
	Timeout     time.Duration          `yaml:"timeout" min:"1s" max:"7d" doc:"How long it may run."`
	KillGrace   time.Duration          `yaml:"kill_grace" min:"100ms" max:"10m" doc:"How long it has between SIGTERM and SIGKILL."`
	OutputLimit strictyaml.Size        `yaml:"output_limit" min:"1KiB" max:"1MiB" doc:"How much of its output is reported."`
}

// Default returns what holds where the file says nothing.
func Default() *Settings {
	return &Settings{
		Concurrency:  agent.DefaultConcurrency,
		DrainTimeout: agent.DefaultDrainTimeout,
		KillGrace:    process.DefaultGrace,
		Timeout:      time.Hour,
		OutputLimit:  agent.DefaultOutputLimit,
		Log:          Log{Level: "info", Format: "text"},
	}
}

// Lookup finds what ${env:NAME} and ${file:PATH} stand for.
type Lookup = strictyaml.Lookup

// Load reads the file at path. Relative paths in it begin at its folder. An
// error about its content is a strictyaml.Errors with every fault.
func Load(path string) (*Settings, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no config at %s; name one with -c FILE (agentd.yaml.example has every key): %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("the config cannot be read: %w", err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("the folder of the config: %w", err)
	}
	lookup := strictyaml.System()
	lookup.File = func(p string) ([]byte, error) { return os.ReadFile(within(folder, p)) }
	s, err := Parse(path, data, lookup)
	if err != nil {
		return nil, err
	}
	s.TokenFile, s.StateDir = within(folder, s.TokenFile), within(folder, s.StateDir)
	for _, c := range s.specs {
		c.Dir = within(folder, c.Dir)
	}
	return s, nil
}

// within returns a relative path as seen from folder. On Windows a path that
// begins at a root, such as \srv, is on the folder's volume, and one such as
// D:srv is the system's to resolve.
func within(folder, path string) string {
	switch {
	case path == "" || filepath.IsAbs(path) || filepath.VolumeName(path) != "":
		return path
	case os.IsPathSeparator(path[0]):
		return filepath.VolumeName(folder) + path
	}
	return filepath.Join(folder, path)
}

// Parse reads a file's content; name is what errors call it.
func Parse(name string, data []byte, lookup Lookup) (*Settings, error) {
	s := Default()
	doc, err := strictyaml.Parse(name, data, s.noting(lookup))
	if err != nil && !hasKeys(doc) {
		return nil, err // nothing could be read, so nothing is missing
	}
	faults := faultsOf(err)
	warnings, err := doc.Decode(s)
	faults = append(faults, faultsOf(err)...)
	faults = append(faults, s.empty(doc, faults)...)
	if err := strictyaml.Sorted(faults...); err != nil {
		return nil, err
	}
	for _, w := range warnings {
		s.warnings = append(s.warnings, w.Error())
	}
	return s, nil
}

func hasKeys(doc *strictyaml.Document) bool {
	keys := strictyaml.Fields(reflect.TypeFor[Settings]())
	return slices.ContainsFunc(keys, func(f strictyaml.Field) bool { return doc.Has(f.Name) })
}

// empty finds required values that are there and empty.
func (s *Settings) empty(doc *strictyaml.Document, already []*strictyaml.Error) (found []*strictyaml.Error) {
	for key, value := range map[string]string{"server": s.Server, "state_dir": s.StateDir} {
		known := slices.ContainsFunc(already, func(e *strictyaml.Error) bool { return e.Path == key })
		if value == "" && doc.Has(key) && !known {
			found = append(found, doc.Errorf(key, "must not be empty"))
		}
	}
	return found
}

func faultsOf(err error) []*strictyaml.Error {
	var all strictyaml.Errors
	if errors.As(err, &all) {
		return all
	}
	return nil
}

// noting returns a lookup that notes what references stood for.
func (s *Settings) noting(l Lookup) Lookup {
	noting := l
	if l.Env != nil {
		noting.Env = func(name string) (string, bool) {
			v, ok := l.Env(name)
			s.secret(v)
			return v, ok
		}
	}
	if l.File != nil {
		noting.File = func(path string) ([]byte, error) {
			data, err := l.File(path)
			// Its last line break is the file's; taken out of the output with
			// the secret, it would join two lines.
			s.secret(strings.TrimRight(string(data), "\r\n"))
			return data, err
		}
	}
	return noting
}

// secret notes a secret, unless it is too short to be looked for.
func (s *Settings) secret(v string) {
	if redact.Check(v) == nil && !slices.Contains(s.secrets, v) {
		s.secrets = append(s.secrets, v)
	}
}

// Warnings are faults that do not keep the file from being used, each with
// its line and column.
func (s *Settings) Warnings() []string { return slices.Clone(s.warnings) }

// Secrets are all values to take out of output.
func (s *Settings) Secrets() []string { return slices.Clone(s.secrets) }

// Specs are the commands that the file describes, ready to be registered.
func (s *Settings) Specs() []*command.Spec { return slices.Clone(s.specs) }

// Validate implements strictyaml.Validator.
func (s *Settings) Validate() error {
	var errs []error
	if _, err := agentapi.CheckServer(s.Server); err != nil && s.Server != "" {
		errs = append(errs, strictyaml.Invalid("server", "%s", err))
	}
	switch {
	case s.Token == "" && s.TokenFile == "":
		errs = append(errs, strictyaml.Invalid("token", "is missing, or token_file; skadi agents create NAME makes a token"))
	case s.Token != "" && s.TokenFile != "":
		errs = append(errs, strictyaml.Invalid("token_file", "stands beside token; one of them is enough"))
	}
	for i, v := range s.Redact {
		if err := redact.Check(v.Reveal()); err != nil {
			errs = append(errs, strictyaml.Invalid(fmt.Sprintf("redact[%d]", i), "%s", err))
		}
		s.secret(v.Reveal())
	}
	switch {
	case s.Handler != nil && len(s.Commands) > 0:
		errs = append(errs, strictyaml.Invalid("handler", "stands beside commands, and would take their messages; keep one of the two"))
	case s.Handler == nil && len(s.Commands) == 0:
		errs = append(errs, strictyaml.Invalid("commands", "are missing, or a handler; without one the agent can do nothing"))
	}
	return errors.Join(append(errs, s.compile()...)...)
}
