package process

import (
	"strings"
	"testing"
)

func TestBatchFiles(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		`C:\jobs\deploy.bat`: true, "deploy.CMD": true, "deploy.bat. .": true, "deploy.exe": false, "bat": false, "x.bat/deploy.exe": false, "": false,
	} {
		if isBatch(path) != want {
			t.Errorf("isBatch(%q) is %v", path, !want)
		}
	}
	if err := checkBatch([]string{"v1.2.3", "two words", `C:\a b`, "--to=live", "größe;,"}); err != nil {
		t.Errorf("plain arguments: %v", err)
	}
	for _, arg := range []string{`"&calc`, "%CMDCMDLINE:~-1%", "a&b", "a|b", "<a", ">a", "a^", "!a!", "(a)", "a\nb", "a\rb"} {
		if err := checkBatch([]string{"fine", arg}); err == nil || !strings.Contains(err.Error(), "batch file") {
			t.Errorf("%q: %v", arg, err)
		}
	}
}
