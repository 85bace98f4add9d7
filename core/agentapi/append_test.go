package agentapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// Every field is written as encoding/json writes it: with something in it,
// and empty. A field that is added to a type and forgotten here fails.
func TestAppendJSONIsWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	texts := []string{"plain", `"quoted" \`, "<b>&", "line\nline\x00\x7f", "grüße 🚀 \u2028", "\xff"}
	for _, text := range texts {
		var j Job
		var e Event
		var poll PollAnswer
		var answers Answers
		fill(reflect.ValueOf(&poll).Elem(), text)
		fill(reflect.ValueOf(&answers).Elem(), text)
		fill(reflect.ValueOf(&j).Elem(), text)
		fill(reflect.ValueOf(&e).Elem(), text)
		for _, one := range []interface{ AppendJSON(b []byte) []byte }{
			j, e, poll, answers, Job{}, Event{}, PollAnswer{}, Answers{}, PollAnswer{Jobs: []Assignment{}},
		} {
			want := new(bytes.Buffer)
			enc := json.NewEncoder(want)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(one); err != nil {
				t.Fatal(err)
			}
			got := one.AppendJSON([]byte("before"))
			if string(got)+"\n" != "before"+want.String() {
				t.Errorf("%T is written as\n%s, want\n%s", one, got, want)
			}
		}
	}
}

// fill puts something into every field.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		v.SetInt(-7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(1), text)
	case reflect.Struct:
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			*at = time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	default:
		panic("a kind that the test does not know: " + v.Kind().String())
	}
}
