package wecom

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	robot, app := &Robot{env: chat.Env{Account: "ops"}}, &Adapter{env: chat.Env{Account: "work"}}
	for name, tt := range map[string]struct {
		opener        chat.Opener
		channel, want string
	}{
		"the robot's group": {robot, "group", "ops:group"},
		"no other group":    {robot, "wr0123", ""},
		"a member":          {app, "ZhangSan", "work:zhangsan"},
		"all members":       {app, "@all", ""},
		"two members":       {app, "a|b", ""},
	} {
		ref, err := tt.opener.Open(t.Context(), tt.channel)
		switch {
		case tt.want == "" && chat.Classify(err).Class != chat.Permanent:
			t.Errorf("%s: %v, want a refusal", name, err)
		case tt.want != "" && (err != nil || ref.Account+":"+ref.Key != tt.want):
			t.Errorf("%s: %+v, %v", name, ref, err)
		}
	}
}
