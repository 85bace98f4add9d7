package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"time"
	"unicode"

	"github.com/letserverrun/skadi/core/chat"
)

// Kind is the adapter's name in the config.
const Kind = "webhook"

// The providers: who calls, and how they prove it.
const (
	GitHub   = "github"
	GitLab   = "gitlab"
	Standard = "standard"
	Generic  = "generic"
)

const (
	// defaultMessage is how long a message may be, in bytes, unless the config
	// says otherwise.
	defaultMessage = 4 << 10
	// defaultContext is what a commit status is called.
	defaultContext = "skadi"
)

// Config is the adapter's block in the config.
type Config struct {
	Provider string        `yaml:"provider" json:"provider" jsonschema:"required,enum=github,enum=gitlab,enum=standard,enum=generic" doc:"Who calls: github, gitlab, standard (Standard Webhooks), or generic, which signs as signature says."`
	Secrets  []chat.Secret `yaml:"secrets" json:"secrets" jsonschema:"required,minItems=1" doc:"What calls are signed with. Several while one takes the place of another. For standard, and for GitLab's signing tokens, whsec_ and base64."`

	Signature   Signature `yaml:"signature,omitempty" json:"signature,omitempty" doc:"How a generic sender signs."`
	IDHeader    string    `yaml:"id_header,omitempty" json:"id_header,omitempty" doc:"For generic: the header that is the same when a delivery comes again; signature.signed must have {id} or {timestamp} in it. Without it the body, with the time if that is signed, is what makes two deliveries one."`
	EventHeader string    `yaml:"event_header,omitempty" json:"event_header,omitempty" doc:"For generic: the header that names the event."`

	MessageBytes int `yaml:"message_bytes,omitempty" json:"message_bytes,omitempty" min:"16" max:"1048576" doc:"How long the message that a rule makes may be, in bytes."`

	ReplyTo      chat.Destination `yaml:"reply_to,omitempty" json:"reply_to,omitempty" doc:"The channel of another account where the answer goes, unless a rule says otherwise."`
	CommitStatus CommitStatus     `yaml:"commit_status,omitempty" json:"commit_status,omitempty" doc:"Shows the job as a status of the commit that the event is about, unless a rule says otherwise."`
	CallbackURL  string           `yaml:"callback_url,omitempty" json:"callback_url,omitempty" doc:"What is called when the job has ended, unless a rule says otherwise."`

	Rules []Rule `yaml:"rules" json:"rules" jsonschema:"required,minItems=1" doc:"What is sent for which event. The first that fits is taken."`
}

// Rule makes a message of the events that fit it.
type Rule struct {
	On   map[string]string `yaml:"on" json:"on" jsonschema:"required" doc:"What the event must be: event, branch and so on, or .path.in.the.payload, each with a pattern."`
	Send string            `yaml:"send" json:"send" jsonschema:"required" doc:"The message: a template over the payload, such as web-1 deploy {{.workflow_run.head_sha}}."`

	ReplyTo      chat.Destination `yaml:"reply_to,omitempty" json:"reply_to,omitempty" doc:"As reply_to of the account, for this rule."`
	CommitStatus CommitStatus     `yaml:"commit_status,omitempty" json:"commit_status,omitempty" doc:"As commit_status of the account, for this rule."`
	CallbackURL  string           `yaml:"callback_url,omitempty" json:"callback_url,omitempty" doc:"As callback_url of the account, for this rule."`
}

// Signature is how a generic sender signs.
type Signature struct {
	Header          string        `yaml:"header,omitempty" json:"header,omitempty" doc:"The header with the signature."`
	Prefix          string        `yaml:"prefix,omitempty" json:"prefix,omitempty" doc:"What stands before the signature in the header, such as sha256=."`
	Encoding        string        `yaml:"encoding,omitempty" json:"encoding,omitempty" jsonschema:"enum=hex,enum=base64" doc:"How the signature is written; hex if left out."`
	Hash            string        `yaml:"hash,omitempty" json:"hash,omitempty" jsonschema:"enum=sha256,enum=sha512" doc:"The hash of the HMAC; sha256 if left out."`
	TimestampHeader string        `yaml:"timestamp_header,omitempty" json:"timestamp_header,omitempty" doc:"The header with the time of the call, in Unix seconds, where there is one."`
	Signed          string        `yaml:"signed,omitempty" json:"signed,omitempty" doc:"The text that is signed, of {body}, {timestamp} and {id}; the body alone if left out."`
	Tolerance       time.Duration `yaml:"tolerance,omitempty" json:"tolerance,omitempty" min:"1s" max:"1h" doc:"How far the time of a call may be from now; 5m if left out."`
}

// CommitStatus shows a job at GitHub or GitLab.
type CommitStatus struct {
	Token   chat.Secret `yaml:"token,omitempty" json:"token,omitempty" doc:"An access token that may write commit statuses: at GitHub of the permission Commit statuses, at GitLab of the scope api."`
	APIURL  string      `yaml:"api_url,omitempty" json:"api_url,omitempty" doc:"The API, for servers of one's own; https://api.github.com or https://gitlab.com/api/v4 if left out."`
	Context string      `yaml:"context,omitempty" json:"context,omitempty" doc:"What the status is called; skadi if left out."`
	// TargetURL may be empty, since a status need not lead anywhere.
	TargetURL string `yaml:"target_url,omitempty" json:"target_url,omitempty" doc:"Where the status leads people, such as your own page of jobs; {code} stands for the job's code."`
	SHA       string `yaml:"sha,omitempty" json:"sha,omitempty" doc:"A template for the commit, where the event does not name it by itself."`
}

// codePart stands for a job's code in a target_url.
const codePart = "{code}"

const (
	hashSHA256 = "sha256"
	hashSHA512 = "sha512"
)

func (s Signature) withDefaults() Signature {
	if s.Encoding == "" {
		s.Encoding = hexEncoding
	}
	if s.Hash == "" {
		s.Hash = hashSHA256
	}
	if s.Signed == "" {
		s.Signed = bodyPart
	}
	if s.Tolerance == 0 {
		s.Tolerance = defaultTolerance
	}
	return s
}

// replies are where the answers of one rule go.
type replies struct {
	to       chat.Destination
	status   CommitStatus
	callback string
}

// repliesOf returns the rule's replies; what a rule does not say, the account
// does.
func (c Config) repliesOf(r Rule) replies {
	all := replies{r.ReplyTo, r.CommitStatus, r.CallbackURL}
	if all.to == (chat.Destination{}) {
		all.to = c.ReplyTo
	}
	if all.status == (CommitStatus{}) {
		all.status = c.CommitStatus
	}
	if all.callback == "" {
		all.callback = c.CallbackURL
	}
	return all
}

// complain records what is wrong with a key.
type complain = func(key, format string, args ...any)

// Validate names every key that is missing or wrong, and shows no secret.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, &keyError{key: key, detail: fmt.Sprintf(format, args...)})
	}
	switch c.Provider {
	case GitHub, GitLab, Standard, Generic:
	case "":
		bad("provider", "is missing; it is one of %s, %s, %s and %s", GitHub, GitLab, Standard, Generic)
	default:
		bad("provider", "is %q; it must be %s, %s, %s or %s", c.Provider, GitHub, GitLab, Standard, Generic)
	}
	c.validateSecrets(bad)
	c.validateSignature(bad)
	if c.MessageBytes < 0 {
		bad("message_bytes", "must be more than 0")
	}
	if len(c.Rules) == 0 {
		bad("rules", "is empty, so that nothing would ever be sent")
	}
	c.validateReplies("", replies{c.ReplyTo, c.CommitStatus, c.CallbackURL}, bad)
	c.validateTokens(bad)
	for i, r := range c.Rules {
		at := fmt.Sprintf("rules[%d].", i)
		c.validateRule(at, r, bad)
		c.validateReplies(at, replies{r.ReplyTo, r.CommitStatus, r.CallbackURL}, bad)
	}
	return errors.Join(errs...)
}

// leastSecret is the shortest secret that nobody guesses, in bytes.
const leastSecret = 8

func (c Config) validateSecrets(bad complain) {
	if len(c.Secrets) == 0 {
		bad("secrets", "is empty, and without one anybody could send messages")
	}
	for i, secret := range c.Secrets {
		key, text := fmt.Sprintf("secrets[%d]", i), secret.Reveal()
		switch {
		case text == "":
			bad(key, "is empty, so that anybody could send messages")
		case len(text) < leastSecret:
			bad(key, "is shorter than %d characters and can be guessed", leastSecret)
		case strings.TrimSpace(text) != text || strings.ContainsFunc(text, unicode.IsControl):
			bad(key, "has blanks or a line end around it")
		case c.Provider == Standard, c.Provider == GitLab && strings.HasPrefix(text, signingPrefix):
			if _, err := signingKey(secret); err != nil {
				bad(key, "%v", err)
			}
		}
	}
}

func (c Config) validateSignature(bad complain) {
	if c.Provider != Generic {
		if c.Signature != (Signature{}) {
			bad("signature", "is for the provider %s; how %s signs is known", Generic, c.Provider)
		}
		if c.IDHeader != "" {
			bad("id_header", "is for the provider %s", Generic)
		}
		if c.EventHeader != "" {
			bad("event_header", "is for the provider %s", Generic)
		}
		return
	}
	s := c.Signature.withDefaults()
	headerKey := func(key, name string) {
		if name != "" && !isHeader(name) {
			bad(key, "is %q, which is no header's name", name)
		}
	}
	if s.Header == "" {
		bad("signature.header", "is missing; it is the header with the signature")
	}
	headerKey("signature.header", s.Header)
	headerKey("signature.timestamp_header", s.TimestampHeader)
	headerKey("id_header", c.IDHeader)
	headerKey("event_header", c.EventHeader)
	if s.Encoding != hexEncoding && s.Encoding != base64Encoding {
		bad("signature.encoding", "is %q; it must be %s or %s", s.Encoding, hexEncoding, base64Encoding)
	}
	if s.Hash != hashSHA256 && s.Hash != hashSHA512 {
		bad("signature.hash", "is %q; it must be %s or %s", s.Hash, hashSHA256, hashSHA512)
	}
	if s.Tolerance < 0 {
		bad("signature.tolerance", "must be more than 0")
	}
	c.validateSigned(s, bad)
}

// validateSigned sees to it that what counts is signed.
func (c Config) validateSigned(s Signature, bad complain) {
	const key = "signature.signed"
	timed := strings.Contains(s.Signed, timePart)
	switch {
	case strings.Count(s.Signed, bodyPart) != 1:
		bad(key, "must have %s in it, once; what is not signed anybody could change", bodyPart)
	case timed && s.TimestampHeader == "":
		bad(key, "has %s in it, and signature.timestamp_header does not say where that is", timePart)
	case !timed && s.TimestampHeader != "":
		bad(key, "has no %s in it, so that anybody could change the time", timePart)
	case strings.Contains(s.Signed, idPart) && c.IDHeader == "":
		bad(key, "has %s in it, and id_header does not say where that is", idPart)
	case !timed && !strings.Contains(s.Signed, idPart) && c.IDHeader != "":
		bad(key, "has neither %s nor %s in it, so that anybody who got hold of a call could send it again, at any time and under any ID; "+
			"leave out id_header, and calls with the same body count once", idPart, timePart)
	}
	if !timed && c.Signature.Tolerance != 0 {
		bad("signature.tolerance", "needs signature.timestamp_header")
	}
}

// isHeader reports whether name can be the name of a header.
func isHeader(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	const others = "0123456789-_"
	return strings.Trim(strings.ToLower(name), letters+others) == "" && len(name) <= 100 &&
		textproto.CanonicalMIMEHeaderKey(name) == http.CanonicalHeaderKey(name)
}

func (c Config) validateRule(at string, r Rule, bad complain) {
	if len(r.On) == 0 {
		bad(at+"on", "is empty; {event: \"*\"} is every event")
	}
	if _, err := newMatcher(c.Provider, r.On); err != nil {
		var ke *keyError
		if errors.As(err, &ke) {
			bad(at+"on."+ke.key, "%s", ke.detail)
		} else {
			bad(at+"on", "%v", err)
		}
	}
	if _, err := newMessage(r.Send, defaultMessage); err != nil {
		bad(at+"send", "%v", err)
	}
}

// keyError is about one key of the block; whoever decodes it adds the line.
type keyError struct{ key, detail string }

func (e *keyError) Error() string { return e.key + ": " + e.detail }

// Field says which key it is about.
func (e *keyError) Field() (path, detail string) { return e.key, e.detail }
