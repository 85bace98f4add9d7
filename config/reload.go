package config

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/letserverrun/skadi/config/strictyaml"
)

// effect says when a key that changed in the file holds.
type effect int

const (
	// restart: after the next start of the server. So is a key that nobody
	// has thought about.
	restart effect = iota
	// live: as soon as the server has read the file again.
	live
)

// effects has every key, or the section that it stands in, which then changes
// as a whole.
var effects = map[string]effect{
	"listen":                  restart,
	"public_url":              live, // the accounts that get it are begun again
	"tls.cert":                restart,
	"tls.key":                 restart,
	"trusted_proxies":         restart,
	"store.driver":            restart,
	"store.path":              restart,
	"store.dsn":               restart,
	"store.migrate":           restart,
	"queue.driver":            restart,
	"queue.partitions":        restart,
	"queue.addrs":             restart,
	"queue.master":            restart,
	"queue.cluster":           restart,
	"queue.username":          restart,
	"queue.password":          restart,
	"queue.tls":               restart,
	"queue.sentinel_username": restart,
	"queue.sentinel_password": restart,
	"node.name":               restart,
	"times.check_in":          live,
	"times.offline":           live,
	"times.no_result":         live,
	"times.not_taken":         live,
	"times.max_run":           live,
	"times.offer":             live,
	"times.approval":          live,
	"retention.jobs":          live,
	"limits.message":          live,
	"limits.output":           live,
	"limits.live_output":      live,
	"limits.late_reports":     live,
	"limits.body":             live,
	"log.level":               live,
	"log.format":              restart,
	"metrics.listen":          restart,
	"tracing":                 restart,
	"adapters":                live,
	"callbacks":               live,
	"channels":                live,
	"alerts":                  live,
	"access":                  live,
}

// Change is what differs between a config and the one that is to follow it.
// It names keys and accounts, and shows no value.
type Change struct {
	// Live are the keys that can change while the server runs, Restart those
	// that cannot.
	Live, Restart []string
	// The accounts that are new, different and no more. Added and Changed are
	// in the order of the file.
	Added, Changed, Removed []string
	// Next is the new config, with the keys of Restart as they were.
	Next *Config
}

// ChangeTo compares c with the config that is to follow it.
func (c *Config) ChangeTo(next *Config) Change {
	merged := *next
	ch := Change{Next: &merged}
	was, to, keep := reflect.ValueOf(c).Elem(), reflect.ValueOf(next).Elem(), reflect.ValueOf(&merged).Elem()
	walkKeys(was.Type(), "", nil, func(path string, index []int) {
		a, b := was.FieldByIndex(index), to.FieldByIndex(index)
		switch {
		case path == adaptersKey:
			if !ch.accounts(c, next) {
				return
			}
		case sameValue(a, b):
			return
		}
		if effects[path] == live {
			ch.Live = append(ch.Live, path)
			return
		}
		ch.Restart = append(ch.Restart, path)
		keep.FieldByIndex(index).Set(a)
	})
	return ch
}

const adaptersKey = "adapters"

// accounts compares the accounts one by one, and reports whether any differs.
func (ch *Change) accounts(c, next *Config) bool {
	find := func(all []Adapter, name string) (Adapter, bool) {
		i := slices.IndexFunc(all, func(a Adapter) bool { return a.Name == name })
		if i < 0 {
			return Adapter{}, false
		}
		return all[i], true
	}
	for _, a := range next.Adapters {
		switch b, was := find(c.Adapters, a.Name); {
		case !was:
			ch.Added = append(ch.Added, a.Name)
		case a.Kind != b.Kind || !a.Rest.Same(b.Rest) || next.PublicURL != c.PublicURL:
			ch.Changed = append(ch.Changed, a.Name)
		}
	}
	for _, a := range c.Adapters {
		if _, is := find(next.Adapters, a.Name); !is {
			ch.Removed = append(ch.Removed, a.Name)
		}
	}
	return len(ch.Added)+len(ch.Changed)+len(ch.Removed) > 0
}

// sameValue takes what was left out for what is empty.
func sameValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Slice, reflect.Map:
		if a.Len() == 0 && b.Len() == 0 {
			return true
		}
	case reflect.Struct:
		if fields := strictyaml.Fields(a.Type()); len(fields) > 0 {
			return !slices.ContainsFunc(fields, func(f strictyaml.Field) bool { return !sameValue(a.Field(f.Index), b.Field(f.Index)) })
		}
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// walkKeys calls f for every key that effects has, or would have to have.
func walkKeys(t reflect.Type, at string, index []int, f func(path string, index []int)) {
	for _, field := range strictyaml.Fields(t) {
		path := fmt.Sprint(at, field.Name)
		here := append(slices.Clone(index), field.Index)
		ft := t.Field(field.Index).Type
		if _, declared := effects[path]; !declared && ft.Kind() == reflect.Struct && scalarSchema(ft) == nil {
			walkKeys(ft, path+".", here, f)
			continue
		}
		f(path, here)
	}
}
