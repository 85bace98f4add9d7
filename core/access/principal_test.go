package access

import (
	"strings"
	"testing"
)

func TestParsePrincipal(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"work-slack:T1/U2", "job-inbox:alice@example.com", "token:ci", "terminal:ada",
		"teams:3f2a/29:1abcDEF-_", "wechat:o6_bmjrPTlm6_2sgVt7hMZOPfL2M", "mail:o'neil+x/y@example.com",
	} {
		if p, err := ParsePrincipal(good); err != nil || string(p) != good {
			t.Errorf("ParsePrincipal(%q) = %q, %v", good, p, err)
		}
	}
	for bad, want := range map[string]string{
		"":                                       "not of the form",
		"alice":                                  "not of the form",
		"group:ops":                              "is a group",
		":U2":                                    "adapter account",
		"Work:U2":                                "adapter account",
		"work slack:U2":                          "adapter account",
		"work-slack:":                            "names no user",
		"work-slack:/U2":                         "names no user",
		"work-slack:T1/":                         "names no user",
		"work-slack:U 2":                         "no user ID",
		"work-slack:U\n2":                        "no user ID",
		"work-slack:*":                           "no user ID",
		"work-slack:U\u202e2":                    "no user ID",
		"work-slack:\xff":                        "no user ID",
		"work-slack:" + strings.Repeat("x", 600): "no user ID",
	} {
		if _, err := ParsePrincipal(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePrincipal(%q) = %v; want an error with %q", bad, err, want)
		}
	}
	if got := Principal("work-slack:T1/U2").Account(); got != "work-slack" {
		t.Errorf("Account() = %q", got)
	}
}

func TestPeople(t *testing.T) {
	t.Parallel()
	p := newPeople()
	for _, e := range []string{"slack:T1/U2", "mail:*", "teams:A/*", "token:ci"} {
		if err := p.add(e); err != nil {
			t.Fatal(err)
		}
	}
	for who, want := range map[string]bool{
		"slack:T1/U2": true, "slack:T1/U3": false, "slack:U2": false,
		"mail:a@b.c": true, "mail:": false, "mailx:a@b.c": false, "mail": false,
		"teams:A/1": true, "teams:B/1": false, "teams:A": false, "teams:AB/1": false,
		"token:ci": true, "token:ci2": false, "token:*": false, "": false, "*": false, "slack:*": false,
	} {
		if p.has(who) != want {
			t.Errorf("has(%q) = %v", who, !want)
		}
	}
	for _, bad := range []string{"*", "slack:U*", "*:U", "slack*", "group:*", "slack:T1/x/*", "slack:/*", ":*", "slack:**"} {
		if err := newPeople().add(bad); err == nil {
			t.Errorf("add(%q) was accepted", bad)
		}
	}
}

func TestValidAccount(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"work-slack": true, "a": true, "a.b_c": true,
		"token": false, "group": false, "agent": false, "skadi": false, "": false, "Work": false,
		"-a": false, "a:b": false, "a/b": false, strings.Repeat("a", 64): false,
	} {
		if err := ValidAccount(name); (err == nil) != ok {
			t.Errorf("ValidAccount(%q) = %v", name, err)
		}
	}
}
