package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	yaml "github.com/goccy/go-yaml"
)

// schema is the part of JSON Schema that ours uses. An unknown keyword in it
// fails the test, so that nothing is left unchecked.
type schema struct {
	Ref         string             `json:"$schema"`
	ID          string             `json:"$id"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Default     any                `json:"default"`
	Examples    []any              `json:"examples"`
	Type        any                `json:"type"`
	Const       any                `json:"const"`
	Enum        []any              `json:"enum"`
	Pattern     string             `json:"pattern"`
	Properties  map[string]*schema `json:"properties"`
	Additional  *schema            `json:"additionalProperties"`
	Required    []string           `json:"required"`
	Items       *schema            `json:"items"`
	MinItems    int                `json:"minItems"`
	AnyOf       []*schema          `json:"anyOf"`
	AllOf       []*schema          `json:"allOf"`
	If          *schema            `json:"if"`
	Then        *schema            `json:"then"`

	never bool
}

// UnmarshalJSON takes true and false as schemas too.
func (s *schema) UnmarshalJSON(data []byte) error {
	if text := string(data); text == "true" || text == "false" {
		s.never = text == "false"
		return nil
	}
	type plain schema
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(s))
}

// check returns what is wrong with a value; empty if it is valid.
func (s *schema) check(at string, v any) string {
	for _, fault := range []string{s.checkScalar(at, v), s.checkParts(at, v), s.checkObject(at, v), s.checkList(at, v)} {
		if fault != "" {
			return fault
		}
	}
	return ""
}

func (s *schema) checkScalar(at string, v any) string {
	text, isText := v.(string)
	switch {
	case s.never:
		return at + " may not be there"
	case s.Type != nil && !s.hasType(v):
		return fmt.Sprintf("%s: %v is no %v", at, v, s.Type)
	case s.Const != nil && fmt.Sprint(s.Const) != fmt.Sprint(v):
		return fmt.Sprintf("%s: %v is not %v", at, v, s.Const)
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, v):
		return fmt.Sprintf("%s: %v is not one of %v", at, v, s.Enum)
	case isText && !regexp.MustCompile(s.Pattern).MatchString(text):
		return fmt.Sprintf("%s: %q does not match %s", at, text, s.Pattern)
	}
	return ""
}

func (s *schema) hasType(v any) bool {
	kinds, ok := s.Type.([]any)
	if !ok {
		kinds = []any{s.Type}
	}
	is := "string"
	switch v.(type) {
	case map[string]any:
		is = "object"
	case []any:
		is = "array"
	case bool:
		is = "boolean"
	case nil:
		is = "null"
	case uint64, int64:
		if slices.Contains(kinds, any("number")) {
			return true
		}
		is = "integer"
	case float64:
		is = "number"
	}
	return slices.Contains(kinds, any(is))
}

func (s *schema) checkParts(at string, v any) string {
	if len(s.AnyOf) > 0 && !slices.ContainsFunc(s.AnyOf, func(one *schema) bool { return one.check(at, v) == "" }) {
		return fmt.Sprintf("%s: %v is none of what is allowed", at, v)
	}
	for _, one := range s.AllOf {
		if fault := one.check(at, v); fault != "" {
			return fault
		}
	}
	if s.If != nil && s.If.check(at, v) == "" {
		return s.Then.check(at, v)
	}
	return ""
}

func (s *schema) checkObject(at string, v any) string {
	object, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	for _, key := range s.Required {
		if _, ok := object[key]; !ok {
			return at + " lacks " + key
		}
	}
	for key, value := range object {
		sub, known := s.Properties[key]
		if !known {
			sub = s.Additional
		}
		if sub != nil {
			if fault := sub.check(at+"."+key, value); fault != "" {
				return fault
			}
		}
	}
	return ""
}

func (s *schema) checkList(at string, v any) string {
	list, ok := v.([]any)
	if !ok {
		return ""
	}
	if len(list) < s.MinItems {
		return at + " has too few items"
	}
	for i, item := range list {
		if s.Items == nil {
			break
		}
		if fault := s.Items.check(fmt.Sprintf("%s[%d]", at, i), item); fault != "" {
			return fault
		}
	}
	return ""
}

func readSchema(t *testing.T, kinds ...Kind) *schema {
	t.Helper()
	text, err := Schema(kinds...)
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// faultOf reads a YAML text and holds it against the schema.
func (s *schema) faultOf(t *testing.T, text string) string {
	t.Helper()
	var v map[string]any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return s.check("", v)
}

func TestSchemaTakesTheExample(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	if s.Ref != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %q", s.Ref)
	}
	for name, text := range map[string]string{"example": example(t), "alternatives": alternatives(example(t))} {
		if fault := s.faultOf(t, text); fault != "" {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

func TestSchemaRefusesWhatParseDoes(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	for _, name := range []string{
		"unknown-key", "unknown-key-nested", "unknown-key-unlike", "wrong-type", "store-driver", "queue-driver", "times-unit", "retention",
		"limits-size", "log", "adapter-without-name", "adapter-without-kind", "access-unknown-key", "access-who", "access-cancel",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if s.faultOf(t, string(text)) == "" {
			t.Errorf("%s.yaml fits the schema", name)
		}
	}
	for _, text := range []string{
		"times: {offline: 90d, max_run: 1d12h}", "retention: {jobs: 0}", "limits: {body: 1048576, late_reports: '${env:N}'}",
		"queue: {driver: '${env:QUEUE}', tls: '${env:TLS}'}", "adapters:\nstore:\n", "tls: {cert: '${file:x}'}",
	} {
		if fault := s.faultOf(t, text); fault != "" {
			t.Errorf("%s: %s", text, fault)
		}
	}
}

func TestSchemaOfAdapters(t *testing.T) {
	t.Parallel()
	s := readSchema(t, Kind{Name: "slack", Config: &slack{Mode: "socket"}})
	for text, ok := range map[string]bool{
		"adapters: [{name: a, kind: slack, bot_token: x}]":                        true,
		"adapters: [{name: a, kind: slack, bot_token: x, mode: http}]":            true,
		"adapters: [{name: a, kind: slack, bot_token: x, mode: '${env:M}'}]":      true,
		"adapters: [{name: a, kind: slack, bot_token: x, timeout: 1m}]":           true,
		"adapters: [{name: a, kind: teams, anything: [x]}]":                       true,
		"adapters: [{name: a, kind: slack}]":                                      false,
		"adapters: [{name: a, kind: slack, bot_token: x, mode: carrier_pigeons}]": false,
		"adapters: [{name: a, kind: slack, bot_token: x, timeout: soon}]":         false,
		"adapters: [{name: a, kind: slack, bot_token: x, Rest: 1}]":               false,
		"adapters: [{name: a, kind: slack, bot_tokn: x, bot_token: x}]":           false,
		"adapters: [{kind: slack, bot_token: x}]":                                 false,
	} {
		if fault := s.faultOf(t, text); (fault == "") != ok {
			t.Errorf("%s: %q", text, fault)
		}
	}
	mode := s.Properties["adapters"].Items.AllOf[0].Then.Properties["mode"]
	if mode.Description != "How messages come in." || mode.Default != "socket" {
		t.Errorf("mode: %+v", mode)
	}
}

func TestSchemaDescribes(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	offline := s.Properties["times"].Properties["offline"]
	if offline.Default != "3m" || !strings.HasSuffix(offline.Description, "expire. At least 10ms, at most 30d.") {
		t.Errorf("times.offline: %+v", offline)
	}
	if s.Properties["limits"].Properties["message"].Default != "64KiB" || s.Properties["listen"].Default != "127.0.0.1:8080" {
		t.Error("defaults are missing")
	}
	var walk func(at string, s *schema)
	walk = func(at string, s *schema) {
		for name, p := range s.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no description", at, name)
			}
			walk(at+"."+name, p)
			if p.Items != nil {
				walk(at+"."+name, p.Items)
			}
		}
	}
	walk("", s)
}
