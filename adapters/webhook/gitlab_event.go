package webhook

import "strings"

// gitlabKeys are the shorthands for the payloads of
// https://docs.gitlab.com/user/project/integrations/webhook_events/
var gitlabKeys = map[string]func(e *event) string{
	"event":       func(e *event) string { return e.kind },
	"action":      func(e *event) string { return e.first("object_attributes.action", "action") },
	"repo":        func(e *event) string { return e.first("project.path_with_namespace") },
	"actor":       func(e *event) string { return e.first("user.username", "user_username") },
	"branch":      gitlabBranch,
	"tag":         gitlabTag,
	"status":      func(e *event) string { return e.first("object_attributes.status", "build_status", "status") },
	"source":      func(e *event) string { return e.first("object_attributes.source") },
	"environment": func(e *event) string { return e.first("environment", "environment.name") },
}

// gitlabKind is the event's name in the body, which is signed, or belongs to
// the token at least.
func gitlabKind(payload map[string]any) string {
	for _, key := range []string{"object_kind", "event_name"} {
		if kind, ok := payload[key].(string); ok && kind != "" {
			return kind
		}
	}
	return ""
}

// gitlabBranch is the branch that the event is about. That of a pipeline for a
// merge request begins with merge_request:, for anybody can open one, and from
// a fork's main.
func gitlabBranch(e *event) string {
	switch e.kind {
	case "merge_request":
		return e.string("object_attributes", "target_branch") // where it is to go
	case "push":
		branch, _ := strings.CutPrefix(e.string("ref"), "refs/heads/")
		return branch
	case "pipeline":
		if e.is("object_attributes", "tag") {
			return ""
		}
		branch := e.string("object_attributes", "ref")
		switch source := e.string("object_attributes", "source"); source {
		case "merge_request_event", "external_pull_request_event":
			return "merge_request:" + branch
		}
		if of, with := e.number("merge_request", "source_project_id"), e.number("merge_request", "target_project_id"); of != with {
			return "merge_request:" + branch
		}
		return branch
	case "build":
		if e.is("tag") {
			return ""
		}
	}
	branch, _ := strings.CutPrefix(e.first("ref"), "refs/heads/")
	if strings.HasPrefix(branch, "refs/") {
		return ""
	}
	return branch
}

func gitlabTag(e *event) string {
	if tag, ok := strings.CutPrefix(e.string("ref"), "refs/tags/"); ok {
		return tag
	}
	switch {
	case e.kind == "pipeline" && e.is("object_attributes", "tag"):
		return e.string("object_attributes", "ref")
	case e.kind == "build" && e.is("tag"):
		return e.string("ref")
	case e.kind == "release":
		return e.string("tag")
	}
	return ""
}

// is reports whether there is a true at the path.
func (e *event) is(path ...string) bool {
	v, _ := e.at(path...)
	b, _ := v.(bool)
	return b
}

// gitlabSHA is the commit that the event is about.
func gitlabSHA(e *event) string {
	return e.first("object_attributes.sha", "object_attributes.last_commit.id", "checkout_sha", "commit.sha", "after", "sha")
}
