package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// faults are the errors of the methods that are used here, as each method's page
// lists them, such as
// https://docs.slack.dev/reference/methods/chat.postMessage#errors
var faults = map[chat.Class][]string{
	// The account cannot do anything until somebody mends it.
	chat.Auth: {
		"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type",
		"missing_scope", "accesslimited", "enterprise_is_restricted", "is_bot", "two_factor_setup_required",
		"team_access_not_granted",
	},
	// The conversation is no more, for the app at least.
	chat.Gone: {
		"channel_not_found", "not_in_channel", "is_archived", "is_inactive", "user_not_found", "user_not_visible",
		"user_disabled", "user_not_in_channel", "cannot_dm_bot", "restricted_action_thread_locked",
		"restricted_action_read_only_channel", "restricted_action_non_threadable_channel",
	},
	chat.RateLimited: {"ratelimited", "rate_limited", "message_limit_exceeded"},
	// What passes by itself.
	chat.Temporary: {
		"fatal_error", "internal_error", "service_unavailable", "request_timeout", "team_added_to_org",
		"org_login_required", "external_channel_migrating", "streaming_state_conflict", "update_failed",
		"file_update_failed", "unable_to_share_files", "hash_conflict",
	},
	// This message cannot be sent. An edit of a message that was deleted is
	// among them: whoever sent it sends a new one.
	chat.Permanent: {
		"message_not_found", "cant_update_message", "edit_window_closed", "block_mismatch", "cannot_reply_to_message",
		"cant_broadcast_message", "no_dual_broadcast_content_update", "posting_to_channel_denied", "team_not_found",
		"restricted_action", "restricted_action_thread_only_channel", "ekm_access_denied", "access_denied",
		"app_access_restricted", "no_permission", "messages_tab_disabled", "not_enabled", "not_implemented",
		"msg_too_long", "msg_blocks_too_long", "no_text", "view_too_large", "markdown_text_conflict",
		"invalid_blocks", "invalid_blocks_format", "invalid_attachments", "invalid_arguments", "invalid_arg_name",
		"invalid_array_arg", "invalid_channel", "invalid_charset", "invalid_form_data", "invalid_post_type",
		"invalid_thread_ts", "invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large",
		"metadata_must_be_sent_from_app", "missing_argument", "missing_post_type", "missing_file_data",
		"missing_profile_id", "duplicate_external_id", "duplicate_message_not_found", "duplicate_channel_not_found",
		"deprecated_endpoint", "method_deprecated", "unknown_method", "as_user_not_supported",
		"send_on_behalf_not_allowed", "unknown_subtype", "unknown_snippet_type", "snippet_too_large", "alt_txt_too_large",
		"attachment_payload_limit_exceeded", "too_many_attachments", "too_many_contact_cards", "channels_limit_exceeded",
		"draft_already_deleted", "draft_already_sent", "draft_has_conflict", "draft_not_found",
		"file_not_found", "file_deleted", "file_is_deleted", "file_share_limit_reached", "max_file_sharing_exceeded",
		"file_type_not_allowed", "blocked_file_type", "file_uploads_disabled", "file_uploads_except_images_disabled",
		"file_upload_size_restricted", "storage_limit_reached", "slack_connect_blocked_file_type",
		"slack_connect_canvas_sharing_blocked", "slack_connect_clip_sharing_blocked",
		"slack_connect_file_link_sharing_blocked", "slack_connect_file_upload_sharing_blocked",
		"slack_connect_lists_sharing_blocked",
	},
}

const (
	reinstall = "install the app in the workspace again and put its new Bot User OAuth Token into bot_token"
	invite    = "invite the app to the conversation again"
)

// hints are how people can mend what Slack refuses.
var hints = map[string]string{ //nolint:gosec // words, no credentials
	"invalid_auth":              reinstall,
	"not_authed":                reinstall,
	"account_inactive":          reinstall,
	"token_revoked":             reinstall,
	"is_bot":                    reinstall,
	"token_expired":             "Skadi renews no tokens: make an app without token rotation, which cannot be switched off once it is on",
	"not_allowed_token_type":    "bot_token must be a Bot User OAuth Token, xoxb-…",
	"accesslimited":             "the workspace or the app allows certain addresses only; allow this server's",
	"enterprise_is_restricted":  "the app must be installed in a workspace, not in the organization alone",
	"two_factor_setup_required": "the workspace wants two factors of whoever installed the app",
	"team_access_not_granted":   "an administrator must grant the app access to the workspace",

	"not_in_channel":                           invite,
	"no_permission":                            invite,
	"restricted_action_thread_locked":          "an administrator locked the thread",
	"restricted_action_read_only_channel":      "the app may not post in this channel; its settings say who may",
	"restricted_action_non_threadable_channel": "the channel allows no threads",
	"restricted_action_thread_only_channel":    "the channel allows threads only",
	"restricted_action":                        "a preference of the workspace keeps the app from posting here",
	"ekm_access_denied":                        "administrators have suspended posting here",
	"app_access_restricted":                    "the person may not use the app; an administrator says who may",
	"messages_tab_disabled":                    "switch the Messages Tab on, on the app's page App Home",
	"not_enabled":                              "switch the Home Tab on, on the app's page App Home",

	"file_type_not_allowed":               "the workspace allows no text files",
	"file_uploads_disabled":               "the workspace allows no files",
	"file_uploads_except_images_disabled": "the workspace allows images only",
	"file_upload_size_restricted":         "the workspace allows smaller files only",
	"storage_limit_reached":               "the workspace has no room for files",
}

// maxErrorText bounds the errors that are kept as they are, in bytes.
const maxErrorText = 1000

// classOfError is the class of an error of the Web API, if Slack documents it.
func classOfError(code string) (chat.Class, bool) {
	for class, codes := range faults {
		if slices.Contains(codes, code) {
			return class, true
		}
	}
	return chat.Temporary, false
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
		var documented bool
		class, documented = classOfError(refused.Err)
		err = describe(refused)
		if !documented {
			return fmt.Errorf("%s: %w", doing, err)
		}
	case errors.As(err, &limited):
		class, wait = chat.RateLimited, limited.RetryAfter
		err = errors.New("slack takes no more messages just now")
	case errors.As(err, &status):
		class, wait = classOf(status.code), status.wait
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	}
	if err = withoutURL(err); len(err.Error()) > maxErrorText { // some of slack-go's repeat the answer
		err = errors.New(shown(err.Error()))
	}
	return &chat.SendError{Class: class, RetryAfter: wait, Err: fmt.Errorf("%s: %w", doing, err)}
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
func describe(refused slack.SlackErrorResponse) error {
	hint := hints[refused.Err]
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
	return code != "" && slices.Contains(codes, code)
}

// isClass reports whether an error was classified as one.
func isClass(err error, class chat.Class) bool {
	var se *chat.SendError
	return errors.As(err, &se) && se.Class == class
}

// shown is text of the far side's for a log, of reasonable length.
func shown(text string) string { return short(oneLine(text), 200) }
