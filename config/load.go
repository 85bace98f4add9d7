package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/channels"
	"github.com/letserverrun/skadi/core/nearest"
)

// Lookup finds what ${env:NAME} and ${file:PATH} stand for.
type Lookup = strictyaml.Lookup

// Check looks at what of a config this package knows nothing about, such as the
// blocks of adapters. Values at fault already have their defaults in the config
// that it is given. What its error says of values is placed as Config.Place
// does.
type Check func(*Config) error

// Load reads the file at path. Relative paths in it begin at its folder. An
// error about its content is a strictyaml.Errors with every fault, also of what
// the checks find; what they say of values at fault already is left out.
func Load(path string, checks ...Check) (*Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no config at %s; name one with -c FILE (skadi.yaml.example has every key): %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("the config cannot be read: %w", err)
	}
	folder := filepath.Dir(path)
	lookup := strictyaml.System()
	var files []string
	lookup.File = func(p string) ([]byte, error) {
		p = within(folder, p)
		files = append(files, p)
		return os.ReadFile(p)
	}
	c, faults := parse(path, data, lookup)
	slices.Sort(files)
	c.files, c.file = slices.Compact(files), path
	for _, p := range []*string{&c.Store.Path, &c.TLS.Cert, &c.TLS.Key} {
		*p = within(folder, *p)
	}
	already := faults
	for _, check := range checks {
		for _, e := range c.doc.Place("", check(c)) {
			// A section at fault is no reason to doubt a value that it has.
			known := func(f *strictyaml.Error) bool { return f.Path == e.Path || f.Holds(e) && !c.doc.Has(e.Path) }
			if !slices.ContainsFunc(already, known) {
				faults = append(faults, e)
			}
		}
	}
	if err := strictyaml.Sorted(faults...); err != nil {
		return nil, err
	}
	return c, nil
}

// File is the file that the config was loaded from, as its name was given;
// empty if it was not.
func (c *Config) File() string { return c.file }

// NamesDatabase reports whether the file says where the database is, and does
// not leave that to the default.
func (c *Config) NamesDatabase() bool {
	return c.Store.Driver != SQLite || c.doc != nil && c.doc.Has("store.path")
}

// SecretFiles are the files that the config refers to as ${file:PATH}.
func (c *Config) SecretFiles() []string { return slices.Clone(c.files) }

// within returns a relative path as seen from folder.
func within(folder, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}

// Parse reads a config; name is what errors call it. What the data leaves out
// has its default. The error is a strictyaml.Errors with every fault.
func Parse(name string, data []byte, lookup Lookup) (*Config, error) {
	c, faults := parse(name, data, lookup)
	if err := strictyaml.Sorted(faults...); err != nil {
		return nil, err
	}
	return c, nil
}

// parse returns what can be understood of a config, and every fault.
func parse(name string, data []byte, lookup Lookup) (*Config, []*strictyaml.Error) {
	doc, err := strictyaml.Parse(name, data, lookup)
	faults := faultsOf(err)
	c := Default()
	found, err := doc.Decode(c)
	faults = append(faults, faultsOf(err)...)
	faults = append(faults, crossCheck(doc, c, faults)...)
	if c.Store.Driver != SQLite {
		c.Store.Path = ""
	}
	c.doc = doc
	for i := range c.Adapters {
		c.Adapters[i].warnings = c.warnings
	}
	c.warnings.add(found...)
	c.warnings.add(strangeAccounts(doc, c)...)
	return c, faults
}

func faultsOf(err error) []*strictyaml.Error {
	var all strictyaml.Errors
	if errors.As(err, &all) {
		return all
	}
	return nil
}

// crossCheck compares sections with each other, unless one of them is at
// fault already.
func crossCheck(doc *strictyaml.Document, c *Config, already []*strictyaml.Error) []*strictyaml.Error {
	sound := func(sections ...string) bool {
		return !slices.ContainsFunc(already, func(e *strictyaml.Error) bool {
			return slices.ContainsFunc(sections, func(s string) bool { return strings.HasPrefix(e.Path, s) })
		})
	}
	var found []*strictyaml.Error
	if sound("listen", "tls", "trusted_proxies") {
		found = append(found, doc.Place("", c.checkListen())...)
	}
	if sound("public_url") {
		found = append(found, doc.Place("", c.checkPublicURL())...)
	}
	found = append(found, doc.Place("", c.checkNames())...)
	if !slices.ContainsFunc(already, func(e *strictyaml.Error) bool { return e.Path == "channels" }) {
		// Of a channel at fault, the name is right all the same.
		found = append(found, doc.Place("", channels.Check(c.Channels, c.Alerts))...)
	}
	if sound("store") {
		found = append(found, misplaced(doc, storeKeys, "store", c.Store.Driver)...)
	}
	if sound("queue") {
		found = append(found, misplaced(doc, queueKeys, "queue", c.Queue.Driver)...)
	}
	return found
}

// storeKeys and queueKeys say which driver a key belongs to.
var (
	storeKeys = [][2]string{{"path", SQLite}, {"dsn", MySQL}}
	queueKeys = [][2]string{
		{"addrs", Redis},
		{"master", Redis},
		{"cluster", Redis},
		{"username", Redis},
		{"password", Redis},
		{"tls", Redis},
		{"sentinel_username", Redis},
		{"sentinel_password", Redis},
	}
)

// misplaced finds keys of one driver beside another. Only the file can tell
// them from defaults.
func misplaced(doc *strictyaml.Document, keys [][2]string, section, driver string) []*strictyaml.Error {
	var faults []*strictyaml.Error
	for _, k := range keys {
		path, of := section+"."+k[0], k[1]
		if of != driver && doc.Has(path) {
			faults = append(faults, doc.Errorf(path, "is a key of %s; write driver: %s beside it, or leave it out", of, of))
		}
	}
	return faults
}

// strangeAccounts finds rules about accounts that the file does not have.
// They are no faults: an account can be commented out for a while, and the
// terminal is none of the file's.
func strangeAccounts(doc *strictyaml.Document, c *Config) []*strictyaml.Error {
	known := []string{access.TokenAccount, "group"}
	for _, a := range c.Adapters {
		known = append(known, a.Name)
	}
	var strange []*strictyaml.Error
	check := func(path string, entries []string) {
		for i, e := range entries {
			account, _, _ := strings.Cut(e, ":")
			if slices.Contains(known, account) {
				continue
			}
			hint := ""
			if near, ok := nearest.Name(account, known); ok {
				hint = fmt.Sprintf(", did you mean %q?", near)
			}
			strange = append(strange, doc.Errorf(fmt.Sprintf("%s[%d]", path, i), "no adapter has the name %q%s", account, hint))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Access.Groups)) {
		check("access.groups."+name, c.Access.Groups[name])
	}
	for i, r := range c.Access.Rules {
		at := fmt.Sprintf("access.rules[%d]", i)
		check(at+".who", r.Who)
		check(at+".in", r.In)
		check(at+".approval", r.Approval)
	}
	return strange
}
