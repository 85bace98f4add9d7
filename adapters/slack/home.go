package slack

import (
	"context"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// The limits of a page: 100 blocks, 250 kB. What is shown needs fewer than 60:
// https://docs.slack.dev/reference/block-kit/blocks
// https://docs.slack.dev/reference/methods/views.publish#errors
const (
	homeAgents = 100
	homeJobs   = 10
	// homePart is how long the blocks of one job may be, by weight.
	homePart = 3_000
)

// home is the page that each person has in the app.
type home struct {
	api *slack.Client
	env chat.Env
}

func newHome(api *slack.Client, env chat.Env) *home { return &home{api: api, env: env} }

// Publish draws the page of one person: the agents that they may see and the
// jobs that they sent. Its errors are those of Send.
func (h *home) Publish(ctx context.Context, who chat.Sender, groups []string) error {
	var seen chat.Overview
	if h.env.Viewer != nil {
		var err error
		if seen, err = h.env.Viewer.Overview(ctx, who, groups); err != nil {
			return fmt.Errorf("reading what somebody may see: %w", err)
		}
	}
	_, err := h.api.PublishViewContext(ctx, slack.PublishViewContextRequest{
		UserID: who.User,
		View:   slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: h.page(who, seen)}},
	})
	return classify("drawing somebody's page", err)
}

// page draws what one person may see.
func (h *home) page(who chat.Sender, seen chat.Overview) []slack.Block {
	blocks := []slack.Block{heading("Agents"), h.agents(seen.Agents), heading("Your latest jobs")}
	jobs := seen.Jobs[:min(len(seen.Jobs), homeJobs)]
	for i, card := range jobs {
		a := artist{account: h.env.Account, budget: homePart}
		card.Output, card.More, card.Asker = "", "", chat.Sender{} // the output is shown where it was asked for
		blocks = append(blocks,
			slack.NewRichTextBlock("", a.card(chat.Outbound{Card: &card}, 0)...), a.facts(&card))
		if actions := a.actions(card.Buttons, fmt.Sprintf("%shome:%d:", actionPrefix, i)); actions != nil {
			blocks = append(blocks, actions)
		}
	}
	if len(jobs) == 0 {
		blocks = append(blocks, slack.NewRichTextBlock("", section(texts("None yet. What you ask for here or in a channel is listed here.")...)))
	}
	return append(blocks,
		slack.NewDividerBlock(),
		slack.NewContextBlock("", plain(headWithin("In access rules you are "+who.Principal(), homePart))))
}

// agents draws the agents, one on each line.
func (h *home) agents(all []chat.AgentState) slack.Block {
	if len(all) == 0 {
		return slack.NewRichTextBlock("", section(texts("There is none that you may use. Who runs Skadi can allow you some: the line at the bottom tells them who you are.")...))
	}
	var line []slack.RichTextSectionElement
	for i, agent := range all[:min(len(all), homeAgents)] {
		state := " · never seen"
		switch {
		case agent.Online:
			state = " · online"
		case !agent.SeenAt.IsZero():
			state = " · offline since "
		}
		emoji := "white_circle"
		if agent.Online {
			emoji = "large_green_circle"
		}
		if i > 0 {
			line = append(line, slack.NewRichTextSectionTextElement("\n", nil))
		}
		line = append(line,
			slack.NewRichTextSectionEmojiElement(emoji, 0, nil), slack.NewRichTextSectionTextElement(" ", nil),
			slack.NewRichTextSectionTextElement(orNothing(headWithin(oneLine(agent.Name), 300)), &slack.RichTextSectionTextStyle{Bold: true}),
			slack.NewRichTextSectionTextElement(state, nil))
		if strings.HasSuffix(state, "since ") {
			at := agent.SeenAt.UTC().Format("2 Jan 15:04 UTC")
			line = append(line, slack.NewRichTextSectionDateElement(agent.SeenAt.Unix(), "{date_short_pretty} {time}", nil, &at))
		}
	}
	if more := len(all) - homeAgents; more > 0 {
		line = append(line, worded(fmt.Sprintf("\nand %d more; `agents` lists them all.", more), slack.RichTextSectionTextStyle{})...)
	}
	line = append(line, worded("\n\nWrite `help` in the tab Messages to see what they can do.", slack.RichTextSectionTextStyle{})...)
	return slack.NewRichTextBlock("", section(line...))
}

func heading(text string) slack.Block { return slack.NewHeaderBlock(plain(text)) }
