package webhook

import "strings"

// caused reports whether an event tells of nothing but a status that this
// account has written, so that no job makes the next one.
func (a *Adapter) caused(e *event) bool {
	var name string
	switch {
	case a.cfg.Provider == GitHub && e.kind == "status":
		name = e.string("context")
	case a.cfg.Provider == GitLab && e.kind == "build":
		name = e.string("build_name")
	}
	if name == "" {
		return false
	}
	for _, r := range a.rules {
		if s := r.replies.status; s != (CommitStatus{}) && s.context() == name {
			return true
		}
	}
	return false
}

// once is what makes an event known when it comes again, where its job's status
// is shown. At GitLab that status becomes a part of the pipeline, which ends a
// second time by it and says so: to be told of is its first end.
func (c conversation) once(provider string, e *event) string {
	if id := e.number("object_attributes", "id"); provider == GitLab && e.kind == "pipeline" && id != "" {
		return strings.Join([]string{"pipeline", c.Repo, id, e.string("object_attributes", "status"), c.SHA}, ":")
	}
	return e.id
}
