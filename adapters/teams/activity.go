package teams

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/letserverrun/skadi/core/chat"
)

// maxID is longer than any ID of the Bot Framework, in bytes.
const maxID = 512

// used are the fields that are read of an activity. The others are dropped
// before it is decoded: the library's type wants forms of them that Teams does
// not always send, such as an object as the value.
var used = []string{
	"type", "id", "timestamp", "serviceUrl", "channelId", "from", "conversation", "recipient", "membersAdded",
	"text", "textFormat", "attachments", "entities", "channelData", "action", "replyToId", "name", "value",
}

// trim returns the used fields of an activity, each once and so that the
// library can decode them.
func trim(body []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, errors.New("the body is no JSON object")
	}
	kept := make(map[string]json.RawMessage, len(used))
	for _, name := range used {
		if value, ok := all[name]; ok {
			kept[name] = value
		}
	}
	for _, name := range []string{"value", "channelData"} {
		if value, ok := kept[name]; ok && value[0] != '{' {
			delete(kept, name)
		}
	}
	var at time.Time
	if json.Unmarshal(kept["timestamp"], &at) != nil {
		delete(kept, "timestamp")
	}
	return json.Marshal(kept)
}

// incoming is an activity with what the library's type has no room for.
type incoming struct {
	schema.Activity
	mentions []schema.Mention
	// tenant is where the conversation is, home where the sender is at home;
	// both in lower case.
	tenant, home string
	// team is the ID of the team that the conversation is in, if it is in one.
	team string
	// event is what Teams says happened: editMessage, teamMemberAdded.
	event string
}

// incomingOf adds to an activity what is read from its trimmed body.
func incomingOf(act schema.Activity, body []byte) (*incoming, error) {
	var more struct {
		Entities []struct {
			Type string `json:"type"`
			Text any    `json:"text"`
			// Mentioned is another thing in entities that are no mentions.
			Mentioned json.RawMessage `json:"mentioned"`
		} `json:"entities"`
		From struct {
			Tenant string `json:"tenantId"`
		} `json:"from"`
		ChannelData struct {
			Event  string `json:"eventType"`
			Tenant struct {
				ID string `json:"id"`
			} `json:"tenant"`
			Team struct {
				ID string `json:"id"`
			} `json:"team"`
		} `json:"channelData"`
	}
	if err := json.Unmarshal(body, &more); err != nil {
		return nil, errors.New("the activity has fields of another form than Teams sends")
	}
	in := &incoming{
		Activity: act,
		tenant:   strings.ToLower(more.ChannelData.Tenant.ID), home: strings.ToLower(more.From.Tenant),
		team: more.ChannelData.Team.ID, event: more.ChannelData.Event,
	}
	if in.home == "" {
		in.home = in.tenant
	}
	for _, e := range more.Entities {
		var who schema.ChannelAccount
		text, ok := e.Text.(string)
		if !ok || e.Type != "mention" || json.Unmarshal(e.Mentioned, &who) != nil {
			continue
		}
		in.mentions = append(in.mentions, schema.Mention{Type: e.Type, Text: text, Mentioned: who})
	}
	return in, in.complete()
}

// complete checks the fields that every activity has. IDs become keys and parts
// of addresses.
func (in *incoming) complete() error {
	for name, id := range map[string]string{
		"id": in.ID, "conversation.id": in.Conversation.ID, "recipient.id": in.Recipient.ID, "from.id": in.From.ID,
		"from.aadObjectId": in.From.AadObjectID, "replyToId": in.ReplyToID, "channelData.team.id": in.team,
	} {
		switch {
		case len(id) > maxID:
			return fmt.Errorf("the activity's %s is longer than %d bytes", name, maxID)
		case strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }):
			return fmt.Errorf("the activity's %s has characters that no ID has", name)
		}
	}
	switch {
	case in.Type == "":
		return errors.New("the activity has no type")
	case in.Conversation.ID == "":
		return errors.New("the activity names no conversation")
	}
	return nil
}

// admitted checks that an activity is of a service and a tenant that the config
// allows. Its error is a *denial.
func (in *incoming) admitted(cfg Config) error {
	if err := cfg.checkService(in.ServiceURL); err != nil {
		return denied(http.StatusForbidden, "%w", err)
	}
	tenants := cfg.tenants()
	switch of := strings.ToLower(in.Conversation.TenantID); {
	case in.tenant == "":
		return denied(http.StatusForbidden, "the activity names no tenant")
	case !slices.Contains(tenants, in.tenant):
		return denied(http.StatusForbidden, "the tenant %.100q is not one of allowed_tenants", in.tenant)
	case of != "" && of != in.tenant && !slices.Contains(tenants, of):
		return denied(http.StatusForbidden, "the conversation's tenant %.100q is not one of allowed_tenants", of)
	case !slices.Contains(tenants, in.home):
		return denied(http.StatusForbidden, "the sender's tenant %.100q is not one of allowed_tenants", in.home)
	}
	return nil
}

// bot says whether an account ID is the bot's own.
func (in *incoming) bot(id string, cfg Config) bool {
	return id != "" && (id == in.Recipient.ID || strings.EqualFold(id, botPrefix+cfg.AppID))
}

// botPrefix begins the IDs of bots.
const botPrefix = "28:"

// byProgram says whether the bot itself or another program wrote it.
func (in *incoming) byProgram(cfg Config) bool {
	return in.bot(in.From.ID, cfg) || strings.HasPrefix(in.From.ID, botPrefix) ||
		in.From.Role != "" && !strings.EqualFold(string(in.From.Role), string(schema.USER))
}

// conversation is where it was written, and by whom.
func (in *incoming) conversation() conversation {
	return conversation{
		ServiceURL: in.ServiceURL, ID: in.Conversation.ID, Type: in.Conversation.ConversationType,
		ChannelID: in.ChannelID, Tenant: in.tenant,
		Bot:  account{ID: in.Recipient.ID, Name: in.Recipient.Name},
		User: account{ID: in.From.ID, Object: strings.ToLower(in.From.AadObjectID), Name: in.From.Name},
	}
}

// inbound is what is handed in for it, but for the text. The sender has no ID
// if Entra does not know them.
func (in *incoming) inbound(env chat.Env) chat.Inbound {
	at := in.Timestamp
	if at.IsZero() {
		at = env.Clock()
	}
	where := in.conversation()
	return chat.Inbound{
		// The IDs of activities are unique within their conversation only.
		ID: in.ID + " " + in.Conversation.ID,
		Sender: chat.Sender{
			Account: env.Account, Workspace: in.home, User: where.User.Object, Name: in.From.Name,
		},
		Conversation: where.ref(env.Account),
		Direct:       where.Type == personal,
		At:           at,
	}
}
