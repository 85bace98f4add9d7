package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/chat"
)

// Kind is a kind of adapter whose keys the schema shows.
type Kind struct {
	Name string
	// Config is the struct that Adapter.Decode fills, with its defaults.
	Config any
}

// Schema returns the JSON Schema (draft 2020-12) of the file, for editors. It
// is made of the structs that the file is read into. Adapters of other kinds
// than those given may have any keys.
func Schema(kinds ...Kind) ([]byte, error) {
	s := reflectSchema(Default())
	s.ID = "https://github.com/letserverrun/skadi/config"
	s.Title = "Skadi's config"
	adapters, ok := s.Properties.Get("adapters")
	if !ok || adapters.Items == nil {
		return nil, fmt.Errorf("the schema has no adapters")
	}
	block := adapters.Items
	block.AdditionalProperties = nil
	for _, k := range kinds {
		block.AllOf = append(block.AllOf, blockOf(k, block))
	}
	return json.MarshalIndent(s, "", "  ")
}

// blockOf holds the adapters of one kind to that kind's keys.
func blockOf(k Kind, block *jsonschema.Schema) *jsonschema.Schema {
	then := reflectSchema(k.Config)
	then.Version = ""
	for p := block.Properties.Oldest(); p != nil; p = p.Next() {
		then.Properties.Set(p.Key, &jsonschema.Schema{})
	}
	kind := jsonschema.NewProperties()
	kind.Set("kind", &jsonschema.Schema{Const: k.Name})
	return &jsonschema.Schema{If: &jsonschema.Schema{Properties: kind, Required: []string{"kind"}}, Then: then}
}

// reflectSchema describes the struct that v is or points to, with the values
// in it as defaults.
func reflectSchema(v any) *jsonschema.Schema {
	value := reflect.Indirect(reflect.ValueOf(v))
	r := jsonschema.Reflector{
		FieldNameTag:               "yaml",
		Anonymous:                  true,
		DoNotReference:             true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		Mapper:                     scalarSchema,
	}
	s := r.ReflectFromType(value.Type())
	describe(s, value)
	return s
}

var (
	schemaDuration = jsonschema.Schema{Type: "string", Pattern: `^([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$|\$\{`, Examples: []any{"30s", "10m", "90d"}}
	schemaSize     = jsonschema.Schema{
		AnyOf:    []*jsonschema.Schema{{Type: "string", Pattern: `^[0-9]+(B|KiB|MiB|GiB)?$|\$\{`}, {Type: "integer"}},
		Examples: []any{"64KiB", "1MiB"},
	}
	schemaReference = jsonschema.Schema{Type: "string", Pattern: `\$\{`}
)

// scalarSchema describes the types that the file writes in their own way. Any
// of them may be a reference instead.
func scalarSchema(t reflect.Type) *jsonschema.Schema {
	var s jsonschema.Schema
	switch t {
	case reflect.TypeFor[time.Duration]():
		s = jsonschema.Schema{AnyOf: []*jsonschema.Schema{&schemaDuration, {Const: 0}}}
	case reflect.TypeFor[strictyaml.Size]():
		s = schemaSize
	case reflect.TypeFor[chat.Secret](), reflect.TypeFor[netip.Prefix]():
		s = jsonschema.Schema{Type: "string"}
	case reflect.TypeFor[strictyaml.Section]():
		s = jsonschema.Schema{}
	default:
		switch {
		case t.Kind() == reflect.Bool:
			s = jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "boolean"}, &schemaReference}}
		case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
			s = jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "integer"}, &schemaReference}}
		default:
			return nil
		}
	}
	return &s
}

// describe adds to the properties of a struct what its tags and its value say:
// the text, the limits and the default.
func describe(s *jsonschema.Schema, value reflect.Value) {
	for i := range value.NumField() {
		if tag := value.Type().Field(i).Tag.Get("yaml"); tag == "" || tag == ",rest" {
			s.Properties.Delete(value.Type().Field(i).Name) // not a key of the file
		}
	}
	for _, f := range strictyaml.Fields(value.Type()) {
		p, ok := s.Properties.Get(f.Name)
		if !ok {
			continue
		}
		field := value.Field(f.Index)
		p.Description = f.Doc + limits(f)
		switch t := field.Type(); {
		case scalarSchema(t) != nil || t.Kind() == reflect.String:
			if text := written(field); text != nil {
				p.Default = text
			}
			if len(p.Enum) > 0 {
				referable(p)
			}
		case t.Kind() == reflect.Struct:
			describe(p, field)
			nullable(p)
		case t.Kind() == reflect.Slice:
			if t.Elem().Kind() == reflect.Struct && scalarSchema(t.Elem()) == nil {
				describe(p.Items, reflect.Zero(t.Elem()))
			}
			nullable(p)
		case t.Kind() == reflect.Map:
			if t.Elem().Kind() == reflect.Struct && p.AdditionalProperties != nil {
				describe(p.AdditionalProperties, reflect.Zero(t.Elem()))
			}
			nullable(p)
		}
	}
}

// nullable lets a section stand there empty, with everything in it commented
// out.
func nullable(p *jsonschema.Schema) {
	p.Extras = map[string]any{"type": []string{p.Type, "null"}}
	p.Type = ""
}

// referable lets a reference stand in for one of the values.
func referable(p *jsonschema.Schema) {
	p.AnyOf = []*jsonschema.Schema{{Enum: p.Enum}, &schemaReference}
	p.Enum = nil
}

func limits(f strictyaml.Field) string {
	var says []string
	if f.Min != "" {
		says = append(says, "at least "+f.Min)
	}
	if f.Max != "" {
		says = append(says, "at most "+f.Max)
	}
	if len(says) == 0 {
		return ""
	}
	text := strings.Join(says, ", ")
	return " " + strings.ToUpper(text[:1]) + text[1:] + "."
}

// written returns a default as the file would write it, nil for none.
func written(v reflect.Value) any {
	if v.IsZero() {
		return nil
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return strictyaml.FormatDuration(x)
	case strictyaml.Size:
		return x.String()
	case chat.Secret, netip.Prefix:
		return nil
	default:
		return x
	}
}
