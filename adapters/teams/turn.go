package teams

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/letserverrun/skadi/core/chat"
)

// turn is one activity on its way to core.
type turn struct {
	*Adapter
	ctx     context.Context //nolint:containedctx // the library's handlers get none
	in      *incoming
	verdict verdict
}

var _ activity.Handler = (*turn)(nil)

// dispatch has the library choose what to do with an activity.
func (a *Adapter) dispatch(ctx context.Context, in *incoming) verdict {
	t := &turn{Adapter: a, ctx: ctx, in: in, verdict: ignored}
	if err := a.places.remember(ctx, in.conversation()); err != nil {
		a.env.Logger.Warn("a place was not remembered, so nothing can begin there yet", "conversation", in.Conversation.ID, "err", err)
	}
	switch in.Type {
	case schema.Message, schema.Invoke, schema.ConversationUpdate:
		// Its only errors are those of types that it does not know.
		if _, err := activity.PrepareActivityContext(t, &activity.TurnContext{Activity: in.Activity}); err != nil {
			a.env.Logger.Warn("an activity was passed over", "type", in.Type, "err", err)
		}
	case schema.InstallationUpdate: // unknown to the library
		if strings.EqualFold(in.Action, "add") {
			t.join(ctx)
		}
	default: // typing, reactions; what was edited or deleted never runs
	}
	return t.verdict
}

// changes are the events of messages that were there before.
var changes = []string{"editMessage", "undeleteMessage", "softDeleteMessage"}

// OnMessage implements activity.Handler.
func (t *turn) OnMessage(*activity.TurnContext) (schema.Activity, error) {
	if t.in.byProgram(t.cfg) || slices.Contains(changes, t.in.event) {
		return schema.Activity{}, nil
	}
	m := t.in.inbound(t.env)
	m.Text, m.Addressed = t.in.said(t.cfg)
	if command, ok := t.in.clicked(); ok && m.Text == "" {
		m.ID, m.Text, m.Addressed = t.in.clickID(command), command, true
	} else {
		m.Conversation = t.asked()
	}
	switch {
	case t.in.ID == "":
		t.verdict = verdict{status: http.StatusBadRequest}
	case !m.Direct && !m.Addressed: // people talk among themselves
	case m.Sender.User == "":
		t.stranger()
		t.verdict = verdict{status: http.StatusForbidden}
	default:
		t.verdict = t.accept(m)
	}
	return schema.Activity{}, nil
}

// asked is the conversation, with the message that is answered.
func (t *turn) asked() chat.ConversationRef {
	where := t.in.conversation()
	where.Asked = t.in.ID
	return where.ref(t.env.Account)
}

// stranger logs that somebody wrote whom Entra does not know, such as a guest
// of a meeting without an account. Their from.id differs from bot to bot and
// stands in no rule, so nothing is taken from them.
func (t *turn) stranger() {
	t.env.Logger.Warn("a message was refused whose sender has no aadObjectId", "conversation", t.in.Conversation.ID)
}

// accept hands a message in. If it cannot be stored, the asker is told and the
// call counts as taken. Teams tries but once more, at once, where a call failed:
// https://github.com/MicrosoftDocs/msteams-docs/issues/1571. That is left to it
// when the asker cannot be reached either.
func (t *turn) accept(m chat.Inbound) verdict {
	err := t.store(t.ctx, m)
	if err == nil {
		return taken
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), tellTimeout)
	defer cancel()
	_, sendErr := t.sender.Send(ctx, chat.Outbound{ID: "not stored " + m.ID, To: m.Conversation, Text: notStored(err), Refused: true})
	if sendErr != nil {
		t.env.Logger.Error("the asker could not be told that a message was not stored", "err", sendErr)
		return verdict{status: http.StatusServiceUnavailable}
	}
	return taken
}

func (t *turn) store(ctx context.Context, m chat.Inbound) error {
	// What is being stored does not end when the caller hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), acceptTimeout)
	defer cancel()
	err := t.env.Inbox.Accept(ctx, m)
	if err != nil {
		t.env.Logger.Error("a message was not stored", "conversation", m.Conversation.Key, "err", err)
	}
	return err
}

// notStored is what the asker is told.
func notStored(err error) string {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return "This was not accepted in time. Look with `jobs` before you try again: it may run after all."
	}
	return "This was not accepted, since it could not be stored. Please try again in a minute."
}

// OnInvoke implements activity.Handler. Invokes are answered in the body of
// the answer, and with 501 those that Skadi does not know, as Microsoft's own
// library does.
func (t *turn) OnInvoke(*activity.TurnContext) (schema.Activity, error) {
	command, ok := t.in.clicked()
	switch {
	case t.in.Name != cardAction:
		t.verdict = verdict{status: http.StatusNotImplemented}
	case t.in.automatic():
		t.verdict = told("This message renews itself.")
	case t.in.byProgram(t.cfg) || t.in.ID == "":
		t.verdict = failed(http.StatusBadRequest, "Only people can click here.")
	case !ok:
		t.verdict = failed(http.StatusBadRequest, "This button is not known to Skadi.")
	case t.in.From.AadObjectID == "":
		t.stranger()
		t.verdict = failed(http.StatusForbidden, "Only people with an account in this company can click here.")
	default:
		t.verdict = t.click(command)
	}
	return schema.Activity{}, nil
}

// click hands in the command of a button, as if the person had typed it.
func (t *turn) click(command string) verdict {
	m := t.in.inbound(t.env)
	m.ID, m.Text, m.Addressed = t.in.clickID(command), command, true
	if err := t.store(t.ctx, m); err != nil {
		return failed(http.StatusInternalServerError, notStored(err))
	}
	return told("Sent: " + command)
}

// OnConversationUpdate implements activity.Handler.
func (t *turn) OnConversationUpdate(*activity.TurnContext) (schema.Activity, error) {
	for _, added := range t.in.MembersAdded {
		if t.in.bot(added.ID, t.cfg) {
			t.join(t.ctx)
			break
		}
	}
	return schema.Activity{}, nil
}

// join hands in that Skadi was added. Teams says so twice, by a
// conversationUpdate and by an installationUpdate, and for a team maybe in two
// of its channels.
func (t *turn) join(ctx context.Context) {
	m := t.in.inbound(t.env)
	where := t.in.team
	if where == "" {
		where = t.in.conversation().place()
	}
	m.ID, m.Joined, m.Addressed = "joined "+where, true, true
	if m.Sender.User == "" {
		m.Sender.User = t.in.From.ID
	}
	if m.Sender.User == "" {
		m.Sender.User = t.in.Conversation.ID
	}
	if t.store(ctx, m) != nil {
		t.verdict = verdict{status: http.StatusServiceUnavailable}
	}
}
