//go:build unix

package chats

import (
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
)

// forged calls are refused and make no job; an honest one beside them does. how
// is what is different about the token, activity about what was written.
func forged(t *testing.T, tm *teams) {
	thread := channelThread(20)
	const (
		elsewhere   = "https://smba.example.com/emea/"
		otherTenant = "9d2c8b63-4a1f-4d66-81e8-2e3f40516273"
	)
	type object = map[string]any
	data := func(tenant string) object { return object{"tenant": object{"id": tenant}} }
	from := func(tenant string) object {
		return object{"id": "29:1ada", "name": ada.Name, "aadObjectId": ada.Object, "tenantId": tenant}
	}
	for key, f := range map[string]struct {
		status        int
		how, activity object
	}{
		"no-token":         {401, object{"header": ""}, nil},
		"another-scheme":   {401, object{"header": "Basic c2thZGk6c2thZGk="}, nil},
		"no-jwt":           {401, object{"header": "Bearer hunter2"}, nil},
		"wrong-key":        {401, object{"key": "stranger", "kid": "teams"}, nil},
		"unknown-key":      {401, object{"key": "stranger"}, nil},
		"unsigned":         {401, object{"alg": "none"}, nil},
		"public-as-secret": {401, object{"alg": "HS256"}, nil},
		"wrong-audience":   {401, object{"aud": "3a7d0e2f-1a7c-4e1b-8b62-7a1c9b8d4e32"}, nil},
		"two-audiences":    {401, object{"aud": []string{teamsApp, "3a7d0e2f-1a7c-4e1b-8b62-7a1c9b8d4e32"}}, nil},
		"no-audience":      {401, object{"aud": nil}, nil},
		"wrong-issuer":     {401, object{"iss": "https://sts.windows.net/" + teamsTenant + "/"}, nil},
		"expired":          {401, object{"exp": -3600}, nil},
		"never-expires":    {401, object{"exp": nil}, nil},
		"not-yet":          {401, object{"nbf": 3600, "exp": 7200}, nil},
		"not-endorsed":     {403, object{"key": "webchat"}, nil},
		"another-service":  {403, object{"serviceurl": elsewhere}, nil},
		"no-service":       {403, object{"serviceurl": nil}, nil},
		"foreign-host":     {403, nil, object{"serviceUrl": elsewhere}},
		"another-channel":  {403, nil, object{"channelId": "webchat"}},
		"unknown-tenant":   {403, nil, object{"channelData": data(otherTenant)}},
		"no-tenant":        {403, nil, object{"channelData": data("")}},
		"foreign-sender":   {403, nil, object{"from": from(otherTenant)}},
		"foreign-team":     {403, nil, object{"from": from(teamsTenant), "channelData": data(otherTenant)}},
	} {
		in := object{"message": teamsMessage{thread, ada, agentName + " run now forged-" + key}, "activity": f.activity}
		if f.how != nil {
			in["how"] = f.how
		}
		if a := tm.try(t, in); a.Status != f.status || a.Body != "" {
			t.Errorf("%s: it is answered with %d %q, want %d and nothing", key, a.Status, a.Body, f.status)
		}
	}
	tm.say(t, thread, ada, agentName+" run now honest")
	tm.sees(t, thread, "done honest", "Succeeded")
	if posts := tm.posts(t, thread); len(posts) != 1 {
		t.Errorf("the bot said %+v", posts)
	}
	page, err := tm.client.Jobs(t.Context(), agentapi.JobFilter{Limit: 200})
	programs.Must(t, err)
	for _, j := range page.Jobs {
		if strings.Contains(j.Message, "forged-") {
			t.Errorf("a forged message made %+v", j)
		}
	}
}
