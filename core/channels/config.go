// Package channels knows the channels that the config names: which agents may
// speak there of their own accord, and where it is told that an agent went
// offline. It opens the conversations of places that are no answer to anybody.
package channels

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
)

// Channel is a place with a name in the config.
type Channel struct {
	Account string   `yaml:"account" jsonschema:"required" doc:"The account to write with, as its adapter is named."`
	Channel string   `yaml:"channel" jsonschema:"required" doc:"What the far side calls the channel: in Slack and Teams its ID, of a WeCom application a member's ID, of a group robot the word group."`
	Agents  []string `yaml:"agents" doc:"The agents that may speak there of their own accord; * stands for any part of a name. Without any, only alerts go there."`
}

// Destination is the place.
func (c Channel) Destination() chat.Destination {
	return chat.Destination{Account: c.Account, Channel: c.Channel}
}

// Validate checks what can be checked by itself.
func (c *Channel) Validate() error {
	var errs []error
	if c.Account == "" {
		errs = append(errs, &fieldError{"account", "is empty; name the adapter to write with"})
	}
	if c.Channel == "" {
		errs = append(errs, &fieldError{"channel", "is empty; write what the far side calls the channel"})
	}
	return errors.Join(append(errs, checkAgents(c.Agents)...)...)
}

// Alerts says who is told what goes wrong.
type Alerts struct {
	Offline string     `yaml:"offline" doc:"The channel, by its name in channels, that is told when an agent goes offline and when it comes back."`
	For     []AlertFor `yaml:"for" doc:"Other channels for some agents. The first entry that covers an agent holds."`
}

// AlertFor is about some agents.
type AlertFor struct {
	Agents  []string `yaml:"agents" jsonschema:"required,minItems=1" doc:"The agents; * stands for any part of a name."`
	Offline string   `yaml:"offline" doc:"The channel that is told of these agents; empty, and nobody is."`
}

// Validate checks the patterns.
func (a *AlertFor) Validate() error { return errors.Join(checkAgents(a.Agents)...) }

// channelName is the form of a channel's name.
var channelName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// Check says what is wrong with channels and alerts together; paths begin at
// the file.
func Check(channels map[string]Channel, alerts Alerts) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		if !channelName.MatchString(name) {
			errs = append(errs, &fieldError{"channels." + name, fmt.Sprintf("%q must be 1 to 63 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends", name)})
		}
	}
	known := func(path, name string) {
		if _, ok := channels[name]; name != "" && !ok {
			errs = append(errs, &fieldError{path, fmt.Sprintf("there is no channel %q; %s", name, listed(channels))})
		}
	}
	known("alerts.offline", alerts.Offline)
	for i, f := range alerts.For {
		known(fmt.Sprintf("alerts.for[%d].offline", i), f.Offline)
	}
	return errors.Join(errs...)
}

func listed(channels map[string]Channel) string {
	if len(channels) == 0 {
		return "name it under channels"
	}
	return "the channels are " + strings.Join(slices.Sorted(maps.Keys(channels)), ", ")
}

func checkAgents(patterns []string) (errs []error) {
	for i, p := range patterns {
		if err := access.ValidAgentPattern(p); err != nil {
			errs = append(errs, &fieldError{fmt.Sprintf("agents[%d]", i), err.Error()})
		}
	}
	return errs
}

// fieldError is about one value of the config; who reads that adds the line.
type fieldError struct{ path, detail string }

func (e *fieldError) Error() string { return e.path + ": " + e.detail }

// Field says which value it is about.
func (e *fieldError) Field() (path, detail string) { return e.path, e.detail }
