package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// fault is what an error of the Web API means for a message.
type fault struct {
	class chat.Class
	hint  string // how to mend it, where people can
}

const (
	reinstall = "install the app in the workspace again and put its new Bot User OAuth Token into bot_token"
	invite    = "invite the app to the conversation again"
)

// faults are the errors of the methods that are used here:
// https://docs.slack.dev/reference/methods/chat.postMessage#errors
// https://docs.slack.dev/reference/methods/chat.update#errors
// https://docs.slack.dev/reference/methods/files.completeUploadExternal#errors
// https://docs.slack.dev/reference/methods/files.getUploadURLExternal#errors
var faults = map[string]fault{
	// The account cannot do anything until somebody mends it.
	"invalid_auth":              {chat.Auth, reinstall},
	"not_authed":                {chat.Auth, reinstall},
	"account_inactive":          {chat.Auth, reinstall},
	"token_revoked":             {chat.Auth, reinstall},
	"token_expired":             {chat.Auth, "switch token rotation off, which Skadi does not know, and " + reinstall},
	"not_allowed_token_type":    {chat.Auth, "bot_token must be a Bot User OAuth Token, xoxb-…"},
	"missing_scope":             {chat.Auth, ""}, // the scope is named
	"accesslimited":             {chat.Auth, "the workspace or the app allows certain addresses only; allow this server's"},
	"enterprise_is_restricted":  {chat.Auth, "the app must be installed in a workspace, not in the organization alone"},
	"is_bot":                    {chat.Auth, reinstall},
	"two_factor_setup_required": {chat.Auth, "the workspace wants two factors of whoever installed the app"},
	"team_access_not_granted":   {chat.Auth, "an administrator must grant the app access to the workspace"},

	// The conversation is no more, for the app at least.
	"channel_not_found":                        {chat.Gone, ""},
	"not_in_channel":                           {chat.Gone, invite},
	"is_archived":                              {chat.Gone, ""},
	"is_inactive":                              {chat.Gone, ""},
	"user_not_found":                           {chat.Gone, ""},
	"user_not_visible":                         {chat.Gone, ""},
	"user_disabled":                            {chat.Gone, ""},
	"user_not_in_channel":                      {chat.Gone, ""},
	"cannot_dm_bot":                            {chat.Gone, ""},
	"restricted_action_thread_locked":          {chat.Gone, "an administrator locked the thread"},
	"restricted_action_read_only_channel":      {chat.Gone, "the app may not post in this channel; its settings say who may"},
	"restricted_action_non_threadable_channel": {chat.Gone, "the channel allows no threads"},

	"ratelimited":            {chat.RateLimited, ""},
	"rate_limited":           {chat.RateLimited, ""},
	"message_limit_exceeded": {chat.RateLimited, ""},

	// What passes by itself.
	"fatal_error":                {chat.Temporary, ""},
	"internal_error":             {chat.Temporary, ""},
	"service_unavailable":        {chat.Temporary, ""},
	"request_timeout":            {chat.Temporary, ""},
	"team_added_to_org":          {chat.Temporary, ""},
	"org_login_required":         {chat.Temporary, ""},
	"external_channel_migrating": {chat.Temporary, ""},
	"streaming_state_conflict":   {chat.Temporary, ""},
	"update_failed":              {chat.Temporary, ""},
	"file_update_failed":         {chat.Temporary, ""},

	// This message cannot be sent. An edit of a message that was deleted is
	// among them: whoever sent it sends a new one.
	"message_not_found":                     {chat.Permanent, ""},
	"cant_update_message":                   {chat.Permanent, ""},
	"edit_window_closed":                    {chat.Permanent, ""},
	"block_mismatch":                        {chat.Permanent, ""},
	"cannot_reply_to_message":               {chat.Permanent, ""},
	"msg_too_long":                          {chat.Permanent, ""},
	"msg_blocks_too_long":                   {chat.Permanent, ""},
	"no_text":                               {chat.Permanent, ""},
	"invalid_blocks":                        {chat.Permanent, ""},
	"invalid_blocks_format":                 {chat.Permanent, ""},
	"invalid_arguments":                     {chat.Permanent, ""},
	"invalid_arg_name":                      {chat.Permanent, ""},
	"invalid_array_arg":                     {chat.Permanent, ""},
	"invalid_charset":                       {chat.Permanent, ""},
	"invalid_form_data":                     {chat.Permanent, ""},
	"invalid_post_type":                     {chat.Permanent, ""},
	"invalid_thread_ts":                     {chat.Permanent, ""},
	"missing_argument":                      {chat.Permanent, ""},
	"missing_post_type":                     {chat.Permanent, ""},
	"deprecated_endpoint":                   {chat.Permanent, ""},
	"method_deprecated":                     {chat.Permanent, ""},
	"unknown_method":                        {chat.Permanent, ""},
	"team_not_found":                        {chat.Permanent, ""},
	"access_denied":                         {chat.Permanent, ""},
	"app_access_restricted":                 {chat.Permanent, "the person may not use the app; an administrator says who may"},
	"no_permission":                         {chat.Permanent, invite},
	"ekm_access_denied":                     {chat.Permanent, "administrators have suspended posting here"},
	"restricted_action":                     {chat.Permanent, "a preference of the workspace keeps the app from posting here"},
	"restricted_action_thread_only_channel": {chat.Permanent, "the channel allows threads only"},
	"messages_tab_disabled":                 {chat.Permanent, "switch the Messages Tab on, on the app's page App Home"},
	"posting_to_channel_denied":             {chat.Permanent, ""},
	"file_not_found":                        {chat.Permanent, ""},
	"file_type_not_allowed":                 {chat.Permanent, "the workspace allows no text files"},
	"file_uploads_disabled":                 {chat.Permanent, "the workspace allows no files"},
	"file_uploads_except_images_disabled":   {chat.Permanent, "the workspace allows images only"},
	"file_upload_size_restricted":           {chat.Permanent, "the workspace allows smaller files only"},
	"storage_limit_reached":                 {chat.Permanent, "the workspace has no room for files"},
}

// classify says what an error means for the message that was to be sent. Of
// errors that Slack does not document it makes nothing: core tries those again
// a few times.
func classify(doing string, err error) error {
	if err == nil {
		return nil
	}
	var known *chat.SendError
	if errors.As(err, &known) {
		return err
	}
	class, wait := chat.Temporary, time.Duration(0) // also what a network does, and answers that are none
	var refused slack.SlackErrorResponse
	var limited *slack.RateLimitedError
	var status *statusError
	switch {
	case errors.As(err, &refused):
		f, documented := faults[refused.Err]
		err = describe(refused, f.hint)
		if !documented {
			return fmt.Errorf("%s: %w", doing, err)
		}
		class = f.class
	case errors.As(err, &limited):
		class, wait = chat.RateLimited, limited.RetryAfter
		err = errors.New("slack takes no more messages just now")
	case errors.As(err, &status):
		class, wait = classOf(status.code), status.wait
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	}
	return &chat.SendError{Class: class, RetryAfter: wait, Err: fmt.Errorf("%s: %w", doing, withoutURL(err))}
}

// classOf is what a bare status means. The Web API itself answers 200 with the
// error in the body, so it comes from what stands in between, or is general.
func classOf(status int) chat.Class {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return chat.Auth
	case status == http.StatusTooManyRequests:
		return chat.RateLimited
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return chat.Temporary
	case status >= 400 && status < 500:
		return chat.Permanent
	}
	return chat.Temporary
}

// describe says what Slack refused, and how to mend it.
func describe(refused slack.SlackErrorResponse, hint string) error {
	if refused.Err == "missing_scope" {
		needed := shown(refused.Needed)
		if needed == "" {
			needed = "that Slack does not name"
		}
		hint = fmt.Sprintf("add the scope %s on the app's page OAuth & Permissions, and install the app again", needed)
	}
	text := "slack answered " + shown(refused.Err)
	if detail := shown(strings.Join(refused.ResponseMetadata.Messages, "; ")); detail != "" {
		text += " (" + detail + ")"
	}
	if hint != "" {
		text += ": " + hint
	}
	return &refusal{text: text, code: refused.Err}
}

// refusal is an error of the Web API in words.
type refusal struct{ text, code string }

func (e *refusal) Error() string { return e.text }

// refusedWith reports whether Slack answered one of these errors.
func refusedWith(err error, codes ...string) bool {
	code := ""
	var refused slack.SlackErrorResponse
	var described *refusal
	switch {
	case errors.As(err, &refused):
		code = refused.Err
	case errors.As(err, &described):
		code = described.code
	}
	for _, one := range codes {
		if code == one {
			return true
		}
	}
	return false
}

// isClass reports whether an error was classified as one.
func isClass(err error, class chat.Class) bool {
	var se *chat.SendError
	return errors.As(err, &se) && se.Class == class
}

// shown is text of the far side's for a log, of reasonable length.
func shown(text string) string { return short(oneLine(text), 200) }
