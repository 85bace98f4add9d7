package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// maxSHA is how long the ID of a commit may be.
const maxSHA = 64

// conversation is the adapter's part of a conversation reference: the commit
// whose status shows what becomes of a job. Tokens are not in it.
type conversation struct {
	// API is where the status goes; empty where nothing is to be told.
	API string `json:"api,omitempty"`
	// Repo is owner/name at GitHub, the project's number at GitLab.
	Repo string `json:"repo,omitempty"`
	SHA  string `json:"sha,omitempty"`
	// Context is what the status is called.
	Context string `json:"context,omitempty"`
	// Channel is what access rules know the conversation by.
	Channel string `json:"channel,omitempty"`
	// Words says that only what is no job becomes a status, since each status
	// of the job is told by a conversation beside this one.
	Words bool `json:"words,omitempty"`
}

// silent is the key of what is not answered here.
const silent = "events"

// silence is the conversation of a message that this adapter does not answer.
func silence(account, channel string) chat.ConversationRef {
	return chat.ConversationRef{Account: account, Channel: channel, Key: silent}
}

// key names the conversation within the account.
func (c conversation) key() string {
	key := strings.Join([]string{c.Repo + "@" + c.SHA, c.Context, c.API}, " ")
	if c.Words {
		key += " words"
	}
	return key
}

func (c conversation) ref(account string) chat.ConversationRef {
	data, err := json.Marshal(c)
	if err != nil {
		panic("a struct of texts cannot be encoded: " + err.Error())
	}
	return chat.ConversationRef{Account: account, Channel: c.Channel, Key: c.key(), Data: data}
}

// conversationOf reads a reference that ref made, maybe by an older version.
func conversationOf(ref chat.ConversationRef) (conversation, error) {
	var c conversation
	if len(ref.Data) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(ref.Data, &c); err != nil {
		return c, fmt.Errorf("the reference of the commit %s cannot be read: %w", ref.Key, err)
	}
	return c, nil
}

// commit is the commit whose status shows what becomes of an event's job.
func (r *rule) commit(provider string, e *event) (conversation, error) {
	s := r.replies.status
	c := conversation{API: s.api(provider), Repo: e.repo(), Channel: e.repo(), Context: s.context()}
	find := githubSHA
	if provider == GitLab {
		c.Repo, find = e.number("project", "id"), gitlabSHA
		if c.Repo == "" {
			c.Repo = e.number("project_id")
		}
	}
	if c.Repo == "" {
		return c, errors.New("the event names no repository")
	}
	if r.sha == nil {
		c.SHA = find(e)
	} else {
		sha, err := r.sha.expand(e.payload)
		if err != nil {
			return c, fmt.Errorf("sha: %w", err)
		}
		c.SHA = sha
	}
	if !isSHA(c.SHA) {
		return c, errors.New("the event names no commit; sha says where it does")
	}
	return c, nil
}

// isSHA reports whether s is the whole ID of a commit, by SHA-1 or SHA-256, and
// not that of none.
func isSHA(s string) bool {
	return (len(s) == 40 || len(s) == maxSHA) && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}
