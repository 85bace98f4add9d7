package webhook

import "strings"

// githubKeys are the shorthands for the payloads of
// https://docs.github.com/webhooks/webhook-events-and-payloads
var githubKeys = map[string]func(e *event) string{
	"event":  func(e *event) string { return e.kind },
	"action": func(e *event) string { return e.string("action") },
	"repo":   func(e *event) string { return e.string("repository", "full_name") },
	"actor":  func(e *event) string { return e.string("sender", "login") },
	"branch": githubBranch,
	"tag":    githubTag,
	"conclusion": func(e *event) string {
		return e.first("workflow_run.conclusion", "workflow_job.conclusion", "check_run.conclusion", "check_suite.conclusion")
	},
	"status": func(e *event) string {
		return e.first("workflow_run.status", "workflow_job.status", "check_run.status", "check_suite.status", "deployment_status.state", "state")
	},
	"workflow": func(e *event) string {
		return e.first("workflow_run.name", "workflow_job.workflow_name", "workflow.name")
	},
	"environment": func(e *event) string { return e.first("deployment.environment", "deployment_status.environment") },
}

// githubBranch is the branch that the event is about. A branch of another
// repository, as pull requests from forks have, begins with that one's name,
// so that a fork's main is no main. A workflow_job does not say whose its branch
// is, and has none; those of checks are of this repository only.
func githubBranch(e *event) string {
	if e.kind == "pull_request" || e.kind == "pull_request_target" {
		return e.string("pull_request", "base", "ref") // where it is to go
	}
	if branch, ok := strings.CutPrefix(e.string("ref"), "refs/heads/"); ok {
		return branch
	}
	branch := e.first("workflow_run.head_branch", "check_suite.head_branch", "check_run.check_suite.head_branch")
	if branch == "" {
		return ""
	}
	here := e.string("repository", "full_name")
	if there := e.string("workflow_run", "head_repository", "full_name"); there != here {
		if _, isRun := e.at("workflow_run"); isRun {
			return there + ":" + branch
		}
	}
	return branch
}

func githubTag(e *event) string {
	if tag, ok := strings.CutPrefix(e.string("ref"), "refs/tags/"); ok {
		return tag
	}
	if e.string("ref_type") == "tag" {
		return e.string("ref")
	}
	return e.string("release", "tag_name")
}

// githubSHA is the commit that the event is about.
func githubSHA(e *event) string {
	return e.first("workflow_run.head_sha", "workflow_job.head_sha", "check_run.head_sha", "check_suite.head_sha",
		"pull_request.head.sha", "deployment.sha", "after", "sha")
}
