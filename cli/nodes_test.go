package cli

import (
	"fmt"
	"testing"
)

func TestDutiesText(t *testing.T) {
	t.Parallel()
	var all []string
	for i := range 16 {
		all = append(all, fmt.Sprintf("replies/%d", i))
	}
	for want, duties := range map[string][]string{
		"":                              nil,
		"relay replies retention sweep": {"sweep", "relay", "replies", "retention"},
		"relay replies/0-15 sweep":      append([]string{"relay", "sweep"}, all...),
		"replies/2,4-5,10-12":           {"replies/10", "replies/11", "replies/12", "replies/2", "replies/4", "replies/5"},
		"replies replies/3 replies/x":   {"replies/3", "replies", "replies/x"},
	} {
		if got := dutiesText(duties); got != want {
			t.Errorf("%v are %q, want %q", duties, got, want)
		}
	}
}
