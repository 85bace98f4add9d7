package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/nearest"
)

// Adapter is one account on one kind of channel. What else stands in its
// block only the adapter's factory knows.
type Adapter struct {
	Name string             `yaml:"name" jsonschema:"required" doc:"The account's name, which principals and conversations begin with: 1 to 63 of a-z, 0-9, '.', '_' and '-'."`
	Kind string             `yaml:"kind" jsonschema:"required" doc:"The kind of channel."`
	Rest strictyaml.Section `yaml:",rest"`

	warnings *warnings
}

// Validate checks the account's name.
func (a *Adapter) Validate() error {
	if err := access.ValidAccount(a.Name); err != nil {
		return strictyaml.Invalid("name", "%v", err)
	}
	return nil
}

// Decode fills the struct that into points to with the rest of the block, by
// its yaml tags and as strictly as the file is read: name and kind are right,
// everything else must be a field. Defaults go in before.
func (a Adapter) Decode(into any) error {
	found, err := a.Rest.Decode(into)
	if a.warnings != nil {
		a.warnings.add(found...)
	}
	return err
}

// Errorf makes an error about a key of the block, with its place in the file;
// an empty key is the block as a whole.
func (a Adapter) Errorf(key, format string, args ...any) error {
	return a.Rest.Errorf(key, format, args...)
}

// Place gives an error of the adapter's factory its place in the file, unless
// it has one: that of the keys that it is about, or of the block.
func (a Adapter) Place(err error) error {
	var placed strictyaml.Errors
	if err == nil || errors.As(err, &placed) {
		return err
	}
	return a.Rest.Place(err)
}

// CheckKinds reports adapters of a kind that is not one of these.
func (c *Config) CheckKinds(kinds []string) error {
	var faults []*strictyaml.Error
	for _, a := range c.Adapters {
		if slices.Contains(kinds, a.Kind) {
			continue
		}
		hint := "the kinds are " + strings.Join(kinds, ", ")
		if near, ok := nearest.Name(a.Kind, kinds); ok {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		faults = append(faults, a.Rest.Errorf("kind", "there is no kind %q of adapter; %s", a.Kind, hint))
	}
	return strictyaml.Sorted(faults...)
}

// warnings are collected from the file, and later from the adapters' blocks.
type warnings struct {
	mu  sync.Mutex
	all []*strictyaml.Error
}

func (w *warnings) add(found ...*strictyaml.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range found {
		if !slices.ContainsFunc(w.all, func(e *strictyaml.Error) bool { return *e == *one }) {
			w.all = append(w.all, one)
		}
	}
}

// Warnings returns what is allowed in the file and worth a second look: a
// secret written out, a rule about an account that is not there. Those about
// an adapter's own keys come with the first Decode of it.
func (c *Config) Warnings() []error {
	if c.warnings == nil {
		return nil
	}
	c.warnings.mu.Lock()
	defer c.warnings.mu.Unlock()
	all := make([]error, len(c.warnings.all))
	for i, w := range c.warnings.all {
		all[i] = w
	}
	return all
}
