package strictyaml

import (
	"reflect"
	"slices"
	"strings"
)

// Field is one key that a struct takes, as its tags describe it.
type Field struct {
	Name string
	// Index is the field's position in the struct.
	Index    int
	Required bool
	// Enum lists the values allowed; nil allows any.
	Enum     []string
	MinItems bool
	// Min and Max are the limits of a number, duration or size, as written in
	// a file; empty for none.
	Min, Max string
	// Number is what to write instead of a number alone, which %s stands for,
	// where the key takes text.
	Number string
	// Doc describes the key for people.
	Doc string
	// Rest marks the Section that takes the keys which the struct does not.
	Rest bool
}

// Fields lists the keys that a struct type takes: those of its fields that
// have a yaml tag.
func Fields(t reflect.Type) []Field {
	var fields []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("yaml")
		if !ok || tag == "-" || !sf.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		f := Field{
			Name: name, Index: i, Rest: options == "rest",
			Doc: sf.Tag.Get("doc"), Min: sf.Tag.Get("min"), Max: sf.Tag.Get("max"),
			Number: sf.Tag.Get("number"),
		}
		for _, rule := range strings.Split(sf.Tag.Get("jsonschema"), ",") {
			key, value, _ := strings.Cut(rule, "=")
			switch key {
			case "required":
				f.Required = true
			case "enum":
				f.Enum = append(f.Enum, value)
			case "minItems":
				f.MinItems = true
			}
		}
		fields = append(fields, f)
	}
	return fields
}

// names returns the keys that the fields take, in order.
func names(fields []Field) []string {
	var all []string
	for _, f := range fields {
		if !f.Rest {
			all = append(all, f.Name)
		}
	}
	return all
}

// named returns the field that takes key.
func named(fields []Field, key string) (Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return !f.Rest && f.Name == key })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}
