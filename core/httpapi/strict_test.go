package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/core/agentapi"
)

func TestStrictBodies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		kind       string // empty: taken
		field      string
	}{
		{name: "plain", body: `{"agent":"a","message":"m"}`},
		{name: "white space", body: " \n{ \"agent\" : \"a\" ,\t\"message\":\"m\"} \r\n"},
		{name: "escaped name", body: `{"\u0061gent":"a","message":"m"}`},
		{name: "null", body: `{"agent":null,"message":"m"}`},
		{name: "surrogate pair", body: `{"agent":"a","message":"\ud83d\ude00"}`},
		{name: "escaped backslash before u", body: `{"agent":"a","message":"\\ud800"}`},
		{name: "brackets in text", body: `{"agent":"]}","message":"{[\"]}"}`},

		{name: "empty", body: ``, kind: agentapi.ProblemBadJSON},
		{name: "not JSON", body: `agent=a`, kind: agentapi.ProblemBadJSON},
		{name: "an array", body: `[]`, kind: agentapi.ProblemBadJSON},
		{name: "only null", body: `null`, kind: agentapi.ProblemBadJSON},
		{name: "cut off", body: `{"agent":"a"`, kind: agentapi.ProblemBadJSON},
		{name: "something after it", body: `{"agent":"a"} {}`, kind: agentapi.ProblemBadJSON},
		{name: "wrong type", body: `{"agent":7}`, kind: agentapi.ProblemBadJSON, field: "agent"},
		{name: "unknown field", body: `{"agent":"a","mesage":"m"}`, kind: agentapi.ProblemUnknownField, field: "mesage"},
		{name: "unknown case", body: `{"Agent":"a"}`, kind: agentapi.ProblemUnknownField, field: "Agent"},
		{name: "unknown object", body: `{"x":{"agent":[1,2,{"y":"}"}]}}`, kind: agentapi.ProblemUnknownField, field: "x"},
		{name: "twice", body: `{"agent":"a","message":"m","agent":"b"}`, kind: agentapi.ProblemBadJSON, field: "agent"},
		{name: "twice by escape", body: `{"agent":"a","\u0061gent":"b"}`, kind: agentapi.ProblemBadJSON, field: "agent"},
		{name: "broken UTF-8", body: "{\"agent\":\"a\",\"message\":\"\xff\"}", kind: agentapi.ProblemBadJSON, field: "message"},
		{name: "half a surrogate pair", body: `{"agent":"a","message":"\ud800x"}`, kind: agentapi.ProblemBadJSON},
		{name: "the other half", body: `{"agent":"a","message":"\udc00"}`, kind: agentapi.ProblemBadJSON},
		{name: "two high halves", body: `{"agent":"a","message":"\ud800\ud800"}`, kind: agentapi.ProblemBadJSON},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var p agentapi.Push
			checkProblem(t, unmarshal(bytes.Trim([]byte(tc.body), " \t\r\n"), &p, pushShape), tc.kind, tc.field)
		})
	}
}

func TestStrictNested(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ body, kind, field string }{
		{body: `{"jobs":[{"agent":"a","message":"m"},{"agent":"b"}]}`},
		{body: `{"jobs":[]}`},
		{body: `{"jobs":[{"agent":"a"},{"agent":"b","mesage":"m"}]}`, kind: agentapi.ProblemUnknownField, field: "jobs[1].mesage"},
		{body: `{"jobs":[{"agent":"a","agent":"b"}]}`, kind: agentapi.ProblemBadJSON, field: "jobs[0].agent"},
		{body: `{"jobs":[{"jobs":[]}]}`, kind: agentapi.ProblemUnknownField, field: "jobs[0].jobs"},
	} {
		t.Run(tc.body, func(t *testing.T) {
			t.Parallel()
			var b agentapi.Batch
			checkProblem(t, unmarshal([]byte(tc.body), &b, batchShape), tc.kind, tc.field)
		})
	}
}

func checkProblem(t *testing.T, err error, kind, field string) {
	t.Helper()
	if kind == "" {
		if err != nil {
			t.Fatalf("got %v; want it taken", err)
		}
		return
	}
	var f *failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v; want a problem of type %s", err, kind)
	}
	if f.problem.Type != kind || f.problem.Field != field {
		t.Errorf("got %s at %q (%s); want %s at %q", f.problem.Type, f.problem.Field, f.problem.Detail, kind, field)
	}
}

// TestStrictTakesWhatGoWrites holds for every batch: what encoding/json makes
// of one is taken, and nothing of it changes.
func TestStrictTakesWhatGoWrites(t *testing.T) {
	t.Parallel()
	push := rapid.Custom(func(t *rapid.T) agentapi.Push {
		return agentapi.Push{
			Agent:       rapid.String().Draw(t, "agent"),
			Message:     rapid.String().Draw(t, "message"),
			CallbackURL: rapid.String().Draw(t, "callback"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		in := agentapi.Batch{Jobs: rapid.SliceOfN(push, 1, 5).Draw(t, "jobs")}
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out agentapi.Batch
		if err := unmarshal(body, &out, batchShape); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if !reflect.DeepEqual(in, out) {
			t.Fatalf("%+v became %+v", in, out)
		}
	})
}

// FuzzStrict checks that whatever is taken means the same to a strict decoder
// of the standard library, and that nothing panics.
func FuzzStrict(f *testing.F) {
	for _, seed := range []string{
		`{"jobs":[{"agent":"a","message":"m"}]}`, `{"jobs":null}`, `{"jobs":[null,{}]}`, `{"\u006aobs":[]}`,
		`{"jobs":[{"agent":"\ud83d\ude00"}]}`, `{"x":[{"y":"\"}"}]}`, `{"jobs":[],"jobs":[]}`, "{\"jobs\":[{\"agent\":\"\xff\"}]}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = bytes.Trim(data, " \t\r\n")
		var got agentapi.Batch
		if err := unmarshal(data, &got, batchShape); err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		var want agentapi.Batch
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%q was taken, but the standard library says %v", data, err)
		}
		for _, p := range got.Jobs {
			if strings.ContainsRune(p.Message, '\uFFFD') && !bytes.Contains(data, []byte("\uFFFD")) && !bytes.Contains(bytes.ToLower(data), []byte(`\ufffd`)) {
				t.Fatalf("%q: the message was changed to %q", data, p.Message)
			}
		}
	})
}

func TestFieldAt(t *testing.T) {
	t.Parallel()
	data := []byte("{\"a\":[1,{\"b\":2}], \"c\" : \"x\xff\" ,\"d\":true}")
	for text, want := range map[string]string{"2": "a", "x\xff": "c", "true": "d"} {
		if got := fieldAt(data, bytes.Index(data, []byte(text))); got != want {
			t.Errorf("fieldAt(%q) = %q; want %q", text, got, want)
		}
	}
}
