package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/process"
)

// Reasons that a failed job can have.
const (
	ReasonBadArgument = "bad_argument"
	ReasonNotStarted  = "not_started"
	ReasonTimeout     = "timeout"
)

// exitUsage is what a program that was called wrongly ends with.
const exitUsage = 2

// Spec is a command: which messages it takes and what it runs. Exactly one of
// Argv and Script is set. A command without a name takes every message, whole
// and on standard input.
type Spec struct {
	Name  string
	Usage string // made from Args if it is empty
	Help  string
	Args  []Arg

	// Argv is the program and its arguments.
	Argv []Template
	// Script is read by sh. The message's arguments are its positional
	// parameters and, those in Args, environment variables; they are never
	// part of its text. Without Args it takes any words.
	Script string

	Dir     string
	Env     map[string]Template
	PassEnv []string // names to take from this process's environment
	User    *process.User
	Stdin   Template
	// Timeout ends a run; 0 means none.
	Timeout time.Duration
	// Grace is the time between asking a program to stop and killing it.
	Grace       time.Duration
	Concurrency int // at once; 0: no limit of its own
	OutputLimit int // in bytes; 0: the agent's
}

// Register makes the command one of the agent's.
func (s *Spec) Register(a *agent.Agent) {
	c := agent.Command{
		Name: s.Name, Help: s.Help, Open: s.Open(), Concurrency: s.Concurrency, OutputLimit: s.OutputLimit,
	}
	if s.Name != "" {
		c.Usage = s.usage()
		a.HandleCommand(c, s.run)
		return
	}
	c.Usage = "<anything>"
	a.HandleAllAs(c, s.run)
}

// Open reports whether free text of the sender reaches a shell or a program.
func (s *Spec) Open() bool { return s.Script != "" || s.Name == "" }

// Program is the program that is run, without its arguments.
func (s *Spec) Program() string {
	if s.Script != "" {
		return "sh"
	}
	return s.Argv[0].text(nil)
}

// run is the handler of the command's jobs.
func (s *Spec) run(ctx context.Context, j *agent.Job) (agent.Result, error) {
	p, err := s.prepare(j)
	if err != nil {
		r := agent.ExitCode(exitUsage)
		r.Reason = ReasonBadArgument
		return r, err
	}
	p.Output = j
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, errTimeout)
		defer cancel()
	}
	o, err := process.Run(ctx, p)
	var missing *process.NotStartedError
	switch {
	case errors.As(err, &missing):
		r := agent.ExitCode(missing.Code)
		r.Reason = ReasonNotStarted
		return r, err
	case errors.Is(err, errTimeout):
		r := agent.ExitCode(failing(o.ExitCode))
		r.Reason = ReasonTimeout
		return r, fmt.Errorf("stopped after %s, which is as long as this command may run", s.Timeout)
	case err != nil:
		return agent.ExitCode(failing(o.ExitCode)), err
	case o.Signal != "":
		return agent.ExitCode(o.ExitCode), fmt.Errorf("ended by the signal %s", o.Signal)
	}
	if o.Detached {
		j.Printf("\n[something that was started goes on in the background]\n")
	}
	return agent.ExitCode(o.ExitCode), nil
}

var errTimeout = errors.New("the command's timeout")

// failing keeps a program that was stopped from counting as a success because
// it ended with 0.
func failing(code int) int {
	if code == 0 {
		return 1
	}
	return code
}

// prepare turns a message into what is to be run.
func (s *Spec) prepare(j *agent.Job) (process.Spec, error) {
	p := process.Spec{Dir: s.Dir, User: s.User, Grace: s.Grace}
	var values Values
	extra := map[string]string{}
	if s.Name == "" {
		p.Stdin = j.Message
	} else {
		words, err := j.Words()
		if err != nil {
			return p, &ArgError{Detail: err.Error() + ".", Usage: s.usage()}
		}
		if s.Script != "" {
			p.Argv = append([]string{"sh", "-c", s.Script, "sh"}, words...)
			extra["SKADI_MESSAGE"] = j.Message
		}
		if s.Script == "" || len(s.Args) > 0 {
			if values, err = s.bind(words); err != nil {
				return p, err
			}
		}
		p.Stdin = s.Stdin.text(values)
	}
	if s.Script != "" && len(s.Args) > 0 {
		p.Argv = p.Argv[:4]
		for _, a := range s.Args {
			p.Argv = append(p.Argv, values[a.Name]...)
			extra["SKADI_ARG_"+strings.ToUpper(a.Name)] = strings.Join(values[a.Name], " ")
		}
	}
	for _, t := range s.Argv {
		p.Argv = append(p.Argv, t.expand(values)...)
	}
	p.Env = s.environment(j, values, extra)
	return p, nil
}

// environment is the whole environment of a run: what every program needs,
// what is passed on, what says which job it is, and the command's own.
func (s *Spec) environment(j *agent.Job, values Values, extra map[string]string) []string {
	env := baseEnvironment(s.User)
	for _, name := range s.PassEnv {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	env["SKADI_JOB_ID"] = j.ID
	env["SKADI_JOB_CODE"] = j.Code
	env["SKADI_ATTEMPT"] = strconv.Itoa(j.Attempt)
	env["SKADI_SENDER_ADAPTER"] = j.Sender.Adapter
	env["SKADI_SENDER_ID"] = j.Sender.ID
	env["SKADI_SENDER_NAME"] = j.Sender.Name
	if j.Traceparent != "" {
		env["TRACEPARENT"] = j.Traceparent
	}
	maps.Copy(env, extra)
	for name, t := range s.Env {
		env[name] = t.text(values)
	}
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		// No environment can hold a NUL, which would keep the program from
		// being started.
		list = append(list, name+"="+strings.ReplaceAll(env[name], "\x00", "\uFFFD"))
	}
	return list
}

// kept are the variables that programs get from this process's environment
// without being told to.
var kept = []string{"PATH", "LANG", "TZ"}

func baseEnvironment(u *process.User) map[string]string {
	env := map[string]string{"LANG": "C.UTF-8"}
	names := slices.Concat(kept, platformKept)
	if u == nil {
		names = append(names, "HOME", "USER", "LOGNAME")
	} else {
		env["HOME"], env["USER"], env["LOGNAME"] = u.Home, u.Name, u.Name
	}
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			env[name] = v
		}
	}
	return env
}

// String is the form of a message and what it runs, in one line.
func (s *Spec) String() string {
	if s.Name == "" {
		return "<anything> → " + s.Program()
	}
	return s.usage() + " → " + s.Program()
}
