package job_test

import (
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// TestJobsThatWait says what a job waits for, by its history and from now on.
func TestJobsThatWait(t *testing.T) {
	t.Parallel()
	code := job.EncodeCode(7)
	tests := []struct {
		name          string
		status        job.Status
		approval      job.Approval
		past, outlook string
	}{
		{"the agent", job.Queuing, job.NoApproval, "Waiting for web-1 to take it.", "web-1 has until 2026-05-04 03:02:01 UTC to take it."},
		{"an approval", job.Queuing, job.ApprovalWaiting, "It needs an approval.", "It waits for somebody else's `approve " + code + "` until 2026-05-04 03:02:01 UTC."},
		{"the agent, when it is approved", job.Queuing, job.ApprovalGranted, "It needed an approval.", "web-1 has until 2026-05-04 03:02:01 UTC to take it."},
		{"its end", job.Sent, job.ApprovalGranted, "It needed an approval.", "It expires at 2026-05-04 03:02:01 UTC unless web-1 reports before."},
		{"nothing", job.Canceled, job.ApprovalDenied, "It needed an approval.", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := job.Job{Num: 7, Agent: "web-1", Status: tt.status, Approval: tt.approval, DueAt: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
			first := job.Event{Kind: job.EventJobStatus, Status: job.Queuing}
			if past, outlook := job.Explain(first, j), job.Outlook(j); past != tt.past || outlook != tt.outlook {
				t.Errorf("%q and %q, want %q and %q", past, outlook, tt.past, tt.outlook)
			}
		})
	}
}
