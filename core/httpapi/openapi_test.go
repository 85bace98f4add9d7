package httpapi

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/letserverrun/skadi/core/agentapi"
)

// The parts of an OpenAPI file that the tests hold against the code.
type (
	document struct {
		OpenAPI    string                          `yaml:"openapi"`
		Paths      map[string]map[string]operation `yaml:"paths"`
		Components struct {
			Schemas    map[string]schema   `yaml:"schemas"`
			Responses  map[string]response `yaml:"responses"`
			Parameters map[string]struct{} `yaml:"parameters"`
		} `yaml:"components"`
	}
	operation struct {
		OperationID string   `yaml:"operationId"`
		Summary     string   `yaml:"summary"`
		Roles       []string `yaml:"x-roles"`
		Security    *[]any   `yaml:"security"`
		Parameters  []struct {
			Name string `yaml:"name"`
			In   string `yaml:"in"`
			Ref  string `yaml:"$ref"`
		} `yaml:"parameters"`
		RequestBody *struct {
			Required bool               `yaml:"required"`
			Content  map[string]content `yaml:"content"`
		} `yaml:"requestBody"`
		Responses map[string]response `yaml:"responses"`
	}
	response struct {
		Ref     string             `yaml:"$ref"`
		Content map[string]content `yaml:"content"`
	}
	content struct {
		Schema schema `yaml:"schema"`
	}
	schema struct {
		Ref        string            `yaml:"$ref"`
		Type       string            `yaml:"type"`
		Format     string            `yaml:"format"`
		Enum       []string          `yaml:"enum"`
		Required   []string          `yaml:"required"`
		Properties map[string]schema `yaml:"properties"`
		Items      *schema           `yaml:"items"`
		Strict     *bool             `yaml:"additionalProperties"`
	}
)

func parseOpenAPI(t *testing.T) document {
	t.Helper()
	var d document
	if err := yaml.Unmarshal(OpenAPI(), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func openAPIPath(echoPath string) string {
	parts := strings.Split(echoPath, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

func TestOpenAPIHasEveryRoute(t *testing.T) {
	t.Parallel()
	d := parseOpenAPI(t)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("openapi is %q; want 3.1", d.OpenAPI)
	}
	documented := map[string]bool{}
	for path, methods := range d.Paths {
		for method := range methods {
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	for _, rt := range routes {
		key := rt.method + " " + openAPIPath(rt.path)
		if !documented[key] {
			t.Errorf("%s is served and not documented", key)
			continue
		}
		delete(documented, key)
		checkOperation(t, key, rt, d.Paths[openAPIPath(rt.path)][strings.ToLower(rt.method)])
	}
	for key := range documented {
		t.Errorf("%s is documented and not served", key)
	}
}

func checkOperation(t *testing.T, key string, rt route, op operation) {
	t.Helper()
	if op.OperationID == "" || op.Summary == "" {
		t.Errorf("%s lacks an operationId or a summary", key)
	}
	roles := make([]string, 0, len(rt.roles))
	for _, r := range rt.roles {
		roles = append(roles, string(r))
	}
	slices.Sort(op.Roles)
	slices.Sort(roles)
	if !slices.Equal(op.Roles, roles) {
		t.Errorf("%s: documented for roles %v, served to %v", key, op.Roles, roles)
	}
	if open := op.Security != nil && len(*op.Security) == 0; open != (len(rt.roles) == 0) {
		t.Errorf("%s: documented as open: %t", key, open)
	}
	if (op.RequestBody != nil) != (rt.body != nil) {
		t.Errorf("%s: documented with a body: %t; takes one: %t", key, op.RequestBody != nil, rt.body != nil)
	}
	for status := range documentedStatuses(rt) {
		if _, ok := op.Responses[strconv.Itoa(status)]; !ok {
			t.Errorf("%s does not document %d", key, status)
		}
	}
	for _, name := range pathParameters(rt.path) {
		found := slices.ContainsFunc(op.Parameters, func(p struct {
			Name string `yaml:"name"`
			In   string `yaml:"in"`
			Ref  string `yaml:"$ref"`
		},
		) bool {
			return p.Name == name || p.Ref != ""
		})
		if !found {
			t.Errorf("%s does not document its parameter %s", key, name)
		}
	}
}

// documentedStatuses are those that a call of this kind can always have.
func documentedStatuses(rt route) map[int]bool {
	s := map[int]bool{}
	if len(rt.roles) > 0 {
		for _, status := range []int{401, 403, 429, 500, 503} {
			s[status] = true
		}
	}
	if rt.body != nil {
		for _, status := range []int{400, 408, 413, 422} {
			s[status] = true
		}
	}
	if slices.Equal(rt.roles, agentsOnly) {
		s[http.StatusGone] = true
	}
	return s
}

func pathParameters(path string) (names []string) {
	for _, p := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			names = append(names, name)
		}
	}
	return names
}

// wireTypes are the types of core/agentapi that go over the wire.
var wireTypes = []any{
	agentapi.Job{},
	agentapi.Sender{},
	agentapi.Result{},
	agentapi.LateReport{},
	agentapi.Push{},
	agentapi.Batch{},
	agentapi.BatchAnswer{},
	agentapi.JobOrProblem{},
	agentapi.JobList{},
	agentapi.Problem{},
	agentapi.Agent{},
	agentapi.AgentList{},
	agentapi.Reloaded{},
	agentapi.Node{},
	agentapi.NodeList{},
	agentapi.Account{},
	agentapi.AccountList{},
	agentapi.NewAgent{},
	agentapi.AgentToken{},
	agentapi.Command{},
	agentapi.Hold{},
	agentapi.PollRequest{},
	agentapi.PollAnswer{},
	agentapi.Assignment{},
	agentapi.Starts{},
	agentapi.Answer{},
	agentapi.Answers{},
	agentapi.Output{},
	agentapi.OutputPiece{},
	agentapi.Report{},
	agentapi.IdentifiedReport{},
	agentapi.Reports{},
	agentapi.Message{},
	agentapi.Event{},
}

func TestOpenAPIHasEveryField(t *testing.T) {
	t.Parallel()
	d := parseOpenAPI(t)
	known := map[string]bool{"Status": true, "Health": true}
	for _, v := range wireTypes {
		typ := reflect.TypeOf(v)
		known[typ.Name()] = true
		s, ok := d.Components.Schemas[typ.Name()]
		if !ok {
			t.Errorf("there is no schema %s", typ.Name())
			continue
		}
		fields := wireFields(typ)
		for name, f := range fields {
			p, ok := s.Properties[name]
			if !ok {
				t.Errorf("%s: the field %s is not documented", typ.Name(), name)
				continue
			}
			checkField(t, d, typ.Name()+"."+name, f, p)
			optional := strings.Contains(f.Tag.Get("json"), "omitempty") || f.Type.Kind() == reflect.Pointer
			if answered := answerOnly[typ.Name()]; answered && slices.Contains(s.Required, name) == optional {
				t.Errorf("%s.%s: required: %t; may be left out: %t", typ.Name(), name, !optional, optional)
			}
		}
		for name := range s.Properties {
			if _, ok := fields[name]; !ok {
				t.Errorf("%s: the documented field %s does not exist", typ.Name(), name)
			}
		}
		for _, name := range s.Required {
			if _, ok := s.Properties[name]; !ok {
				t.Errorf("%s: required %s is no property", typ.Name(), name)
			}
		}
	}
	for name := range d.Components.Schemas {
		if !known[name] {
			t.Errorf("the schema %s is no wire type", name)
		}
	}
}

// answerOnly are the types that only the server writes, so that what is
// required in them is what Go does not leave out.
var answerOnly = map[string]bool{
	"Job": true, "Sender": true, "Result": true, "LateReport": true, "BatchAnswer": true, "JobOrProblem": true,
	"JobList": true, "Problem": true, "Agent": true, "AgentList": true, "AgentToken": true, "PollAnswer": true,
	"Account": true, "AccountList": true, "Assignment": true, "Answer": true, "Answers": true, "OutputPiece": true, "Event": true,
}

func wireFields(typ reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			maps.Copy(fields, wireFields(f.Type))
		case name != "-":
			fields[name] = f
		}
	}
	return fields
}

func checkField(t *testing.T, d document, path string, f reflect.StructField, p schema) {
	t.Helper()
	typ := f.Type
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Slice {
		if p.Type != "array" || p.Items == nil {
			t.Errorf("%s is an array", path)
			return
		}
		p, typ = *p.Items, typ.Elem()
	}
	want := jsonType(typ)
	if name, ok := strings.CutPrefix(p.Ref, "#/components/schemas/"); ok {
		if want == "object" && name != typ.Name() {
			t.Errorf("%s refers to %s; want %s", path, name, typ.Name())
		}
		p = d.Components.Schemas[name]
	}
	if p.Type != want {
		t.Errorf("%s has type %q; want %q", path, p.Type, want)
	}
	if (typ.Name() == "Time") != (p.Format == "date-time") {
		t.Errorf("%s has format %q", path, p.Format)
	}
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	}
	if t.Name() == "Time" {
		return "string"
	}
	return "object"
}

func TestOpenAPIRefusesUnknownFieldsWhereTheServerDoes(t *testing.T) {
	t.Parallel()
	d := parseOpenAPI(t)
	strict := []string{"Push", "Batch", "NewAgent"}
	for name, s := range d.Components.Schemas {
		if closed := s.Strict != nil && !*s.Strict; closed != slices.Contains(strict, name) {
			t.Errorf("%s: additionalProperties: false is %t", name, closed)
		}
	}
}

func TestOpenAPIReferencesExist(t *testing.T) {
	t.Parallel()
	d := parseOpenAPI(t)
	for _, part := range strings.Split(string(OpenAPI()), `$ref: "#/components/`)[1:] {
		ref, _, _ := strings.Cut(part, `"`)
		kind, name, _ := strings.Cut(ref, "/")
		var ok bool
		switch kind {
		case "schemas":
			_, ok = d.Components.Schemas[name]
		case "responses":
			_, ok = d.Components.Responses[name]
		case "parameters":
			_, ok = d.Components.Parameters[name]
		}
		if !ok {
			t.Errorf("%s does not exist", ref)
		}
	}
}

// TestProblemsAreOneList holds the constants that clients use, the table that
// the server answers from and the documentation against each other.
func TestProblemsAreOneList(t *testing.T) {
	t.Parallel()
	table := slices.Sorted(maps.Keys(problemKinds))
	if got := problemConstants(t); !slices.Equal(got, table) {
		t.Errorf("core/agentapi has %v\nthe table has %v", got, table)
	}
	documented := parseOpenAPI(t).Components.Schemas["Problem"].Properties["type"].Enum
	slices.Sort(documented)
	if !slices.Equal(documented, table) {
		t.Errorf("openapi.yaml has %v\nthe table has %v", documented, table)
	}
	for name, k := range problemKinds {
		if k.Status < 400 || k.Status > 599 || http.StatusText(k.Status) == "" || k.Title == "" || k.Help == "" {
			t.Errorf("%s is incomplete: %+v", name, k)
		}
	}
	for _, m := range jobFailures {
		if _, ok := problemKinds[m.kind]; !ok {
			t.Errorf("%v is told as %s, which is no problem", m.err, m.kind)
		}
	}
}

// problemConstants reads the values of the constants named Problem….
func problemConstants(t *testing.T) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../agentapi/problem_types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Problem") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
		return false
	})
	slices.Sort(values)
	return values
}

func TestProblemsAreExplained(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for kind, k := range problemKinds {
		if body := e.call(t, http.MethodGet, kind, "", "").want(t, http.StatusOK); !strings.Contains(body, k.Help) {
			t.Errorf("GET %s answers %q", kind, body)
		}
	}
	e.call(t, http.MethodGet, "/problems/nonsense", "", "").problem(t, agentapi.ProblemNotFound)
	if body := e.call(t, http.MethodGet, "/openapi.yaml", "", "").want(t, http.StatusOK); body != string(OpenAPI()) {
		t.Error("openapi.yaml is not served as it is")
	}
}

// checkSeen holds the statuses that tests got from each route against those
// that are documented, both ways.
func checkSeen(d document, seen map[string]bool) (wrong []string) {
	for key := range seen {
		method, rest, _ := strings.Cut(key, " ")
		path, status, _ := strings.Cut(rest, " ")
		op, ok := d.Paths[openAPIPath(path)][strings.ToLower(method)]
		if !ok || status == fmt.Sprint(statusClientGone) {
			continue // unrouted, and adapters; nobody was answered
		}
		if _, ok := op.Responses[status]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s %s answered %s in a test, which is not documented", method, path, status))
		}
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			for status := range op.Responses {
				key := strings.ToUpper(method) + " " + echoPath(path) + " " + status
				if !slices.Contains(hardToSee, status) && !seen[key] {
					wrong = append(wrong, key+" is documented and no test saw it")
				}
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// hardToSee come from faults that every call handles in the same place, and
// are tested on some.
var hardToSee = []string{"408", "429", "500", "503", "507"}

func echoPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}
