package wecom

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	a := &Adapter{cfg: Config{CorpID: "ww0123"}}
	chattest.Names{
		"ww0123/zhangsan": "", "ww0123/li.si@b": "", "ww0123/*": "",
		"ww0123/ZhangSan": "must be in small letters, whatever the console shows: write zhangsan",
		"zhangsan":        "write ww0123/ and the member's ID", "ww9/zhangsan": "write ww0123/", "ww9/*": "write ww0123/",
		"ww0123/张三": "no member's ID", "ww0123/": "no member's ID",
	}.Hold(t, a.CheckSender)
	chattest.Names{"zhangsan": "", "ZhangSan": "small letters", "张三": "no member's ID"}.Hold(t, a.CheckConversation)
	chattest.Names{"zhangsan": "", "ZhangSan": "", "张三": "no member's ID", "@all": "no member's ID"}.Hold(t, a.CheckChannel)

	r := &Robot{}
	chattest.Names{"group": "", "other": "the only one is \"group\""}.Hold(t, r.CheckChannel)
	chattest.Names{"ww0123/zhangsan": "only speaks"}.Hold(t, r.CheckSender)
	chattest.Names{"group": "only speaks"}.Hold(t, r.CheckConversation)
}
