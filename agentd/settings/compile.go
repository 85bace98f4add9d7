package settings

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/letserverrun/skadi/agentd/agent/redact"
	"github.com/letserverrun/skadi/agentd/command"
	"github.com/letserverrun/skadi/agentd/process"
	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/chat"
)

// compile makes the specs of the commands or the handler.
func (s *Settings) compile() []error {
	var errs []error
	seen := map[string]int{}
	for i := range s.Commands {
		c := &s.Commands[i]
		at := fmt.Sprintf("commands[%d]", i)
		if first, twice := seen[c.Name]; twice {
			errs = append(errs, strictyaml.Invalid(at+".name", "%q is the name of commands[%d] already", c.Name, first))
		}
		seen[c.Name] = i
		b := &builder{settings: s, at: at}
		s.specs = append(s.specs, b.command(c))
		errs = append(errs, b.errs...)
	}
	if s.Handler != nil {
		b := &builder{settings: s, at: "handler"}
		s.specs = append(s.specs, b.handler(s.Handler))
		errs = append(errs, b.errs...)
	}
	return errs
}

// builder makes one spec and collects what is wrong with it.
type builder struct {
	settings *Settings
	at       string
	names    []string // of the arguments
	errs     []error
}

func (b *builder) fail(key, format string, args ...any) {
	path := b.at
	if key != "" {
		path += "." + key
	}
	b.errs = append(b.errs, strictyaml.Invalid(path, format, args...))
}

func (b *builder) command(c *Command) *command.Spec {
	spec := &command.Spec{Name: c.Name, Usage: c.Usage, Help: c.Help, Concurrency: c.Concurrency}
	if c.Name == "" || strings.ContainsFunc(c.Name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		b.fail("name", "must be one word")
	}
	for i := range c.Args {
		spec.Args = append(spec.Args, b.arg(c.Args, i))
	}
	switch {
	case c.Shell && len(c.Argv) > 0:
		b.fail("argv", "stands beside shell: true; write what sh is to run as script, or leave shell out")
	case c.Shell && strings.TrimSpace(c.Script) == "":
		b.fail("", "key \"script\" is missing: with shell: true it is what sh runs")
	case !c.Shell && c.Script != "":
		b.fail("script", "is only run where the command says shell: true")
	case !c.Shell && len(c.Argv) == 0:
		b.fail("", "key \"argv\" is missing: the program to run and its arguments")
	}
	spec.Script = c.Script
	spec.Argv = b.argv(c.Argv)
	spec.Stdin = b.template("stdin", c.Stdin)
	b.run(spec, program{
		dir: c.Dir, env: c.Env, secretEnv: c.SecretEnv, passEnv: c.PassEnv, user: c.User,
		timeout: c.Timeout, grace: c.KillGrace, outputLimit: c.OutputLimit,
	})
	return spec
}

func (b *builder) handler(h *Handler) *command.Spec {
	spec := &command.Spec{Help: h.Help, Argv: b.argv(h.Argv)}
	b.run(spec, program{
		dir: h.Dir, env: h.Env, secretEnv: h.SecretEnv, passEnv: h.PassEnv, user: h.User,
		timeout: h.Timeout, grace: h.KillGrace, outputLimit: h.OutputLimit,
	})
	return spec
}

// program is what commands and the handler have in common.
type program struct {
	dir            string
	env            map[string]string
	secretEnv      map[string]chat.Secret
	passEnv        []string
	user           string
	timeout, grace time.Duration
	outputLimit    strictyaml.Size
}

var envName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\z`)

func (b *builder) run(spec *command.Spec, p program) {
	spec.Dir, spec.PassEnv, spec.OutputLimit = p.dir, p.passEnv, int(p.outputLimit)
	spec.Timeout, spec.Grace = p.timeout, p.grace
	if spec.Timeout == 0 {
		spec.Timeout = b.settings.Timeout
	}
	if spec.Grace == 0 {
		spec.Grace = b.settings.KillGrace
	}
	spec.Env = map[string]command.Template{}
	for _, name := range slices.Sorted(maps.Keys(p.env)) {
		b.envName("env."+name, name)
		spec.Env[name] = b.template("env."+name, p.env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.secretEnv)) {
		key := "secret_env." + name
		b.envName(key, name)
		if _, twice := p.env[name]; twice {
			b.fail(key, "is in env too")
		}
		value := p.secretEnv[name].Reveal()
		if err := redact.Check(value); err != nil {
			b.fail(key, "%s", err)
		}
		b.settings.secret(value)
		spec.Env[name] = command.Plain(value)
	}
	for i, name := range p.passEnv {
		b.envName(fmt.Sprintf("pass_env[%d]", i), name)
	}
	if p.user == "" {
		return
	}
	u, err := process.FindUser(p.user)
	if err != nil {
		b.fail("user", "%s", err)
	}
	spec.User = u
}

func (b *builder) envName(key, name string) {
	if !envName.MatchString(name) {
		b.fail(key, "is no name of an environment variable: letters, digits and _")
	}
}

func (b *builder) argv(argv []string) []command.Template {
	ts := make([]command.Template, len(argv))
	for i, text := range argv {
		ts[i] = b.template(fmt.Sprintf("argv[%d]", i), text)
	}
	if len(argv) > 0 && (argv[0] == "" || ts[0].HasArgs()) {
		b.fail("argv[0]", "must name the program; a message may not choose it")
	}
	return ts
}

func (b *builder) template(key, text string) command.Template {
	if strings.ContainsRune(text, 0) {
		b.fail(key, "has a NUL character")
	}
	t, err := command.NewTemplate(text, b.names)
	if err != nil {
		b.fail(key, "%s", err)
	}
	return t
}

func (b *builder) arg(args []Arg, i int) command.Arg {
	a, at := args[i], fmt.Sprintf("args[%d]", i)
	arg := command.Arg{Name: a.Name, Optional: a.Optional, Rest: a.Rest, AllowDash: a.AllowDash}
	switch {
	case !command.ValidName(a.Name):
		b.fail(at+".name", "must be a lower-case word such as version, at most 32 letters, digits and _")
	case slices.Contains(b.names, a.Name):
		b.fail(at+".name", "%q is the name of an earlier argument", a.Name)
	}
	b.names = append(b.names, a.Name)
	if a.Rest && i < len(args)-1 {
		b.fail(at+".rest", "takes all words that are left, so it must be the last argument")
	}
	if !a.Optional && i > 0 && args[i-1].Optional {
		b.fail(at, "follows an optional argument, so it must be optional too")
	}
	rule, err := a.rule()
	if err != nil {
		b.fail(at+"."+a.ruleKey(), "%s", err)
	}
	arg.Rule = rule
	return arg
}

// ruleKey is the key that an error about what the argument takes belongs to.
func (a Arg) ruleKey() string {
	switch {
	case a.Enum != nil:
		return "enum"
	case a.Int != nil:
		return "int"
	}
	return "pattern"
}

func (a Arg) rule() (command.Rule, error) {
	kinds := 0
	for _, set := range []bool{a.Pattern != "", a.Enum != nil, a.Int != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return nil, errors.New("is missing: say what the argument takes with pattern, enum or int")
	case kinds > 1:
		return nil, errors.New("is not the only one of pattern, enum and int; keep one")
	case a.Pattern != "":
		return command.NewPattern(a.Pattern)
	case a.Enum != nil:
		return a.enum()
	}
	switch {
	case a.Int.Min > a.Int.Max:
		return nil, fmt.Errorf("has min %d above max %d", a.Int.Min, a.Int.Max)
	case a.Int.Min < 0 && !a.AllowDash:
		return nil, errors.New("has numbers below 0, which begin with a dash; add allow_dash: true")
	}
	return command.Int{Min: a.Int.Min, Max: a.Int.Max}, nil
}

func (a Arg) enum() (command.Rule, error) {
	for _, v := range a.Enum {
		switch {
		case v == "":
			return nil, errors.New("has an empty value")
		case strings.HasPrefix(v, "-") && !a.AllowDash:
			return nil, fmt.Errorf("has %q, which begins with a dash; add allow_dash: true", v)
		}
	}
	return command.Enum(a.Enum), nil
}
