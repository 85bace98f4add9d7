package httpapi

import (
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

// WireJob returns the job as the API shows it, for commands that read the
// database themselves.
func WireJob(j job.Job) agentapi.Job { return wireJob(j) }

// WireAgent returns the agent as the API shows it.
func WireAgent(a job.Agent, online bool) agentapi.Agent { return wireAgent(a, online) }
