// Package strictyaml decodes a YAML file that people write into structs, and
// reports everything that is wrong with it at once, each fault with its line
// and column: unknown and repeated keys with the nearest right name, values
// of the wrong type or outside their limits, and secrets that are missing.
//
// A part of the file can be kept as a [Section] and decoded later by code
// that knows its type, as strictly as the rest.
//
// Fields are named by the tag yaml:"name". Further tags are also what the
// JSON Schema is made of: jsonschema:"required,enum=a,enum=b,minItems=1", and
// min:"1s" max:"1h", which a number, duration or size is held to.
//
// Text may refer to secrets kept elsewhere, as ${env:NAME} and ${file:PATH};
// $${ stands for ${ itself. What they stand for never appears in an error.
//
// The YAML is the plain part of it: no anchors, aliases, merge keys, tags or
// second documents.
package strictyaml
