package process

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// cmdSigns are what cmd.exe gives a meaning of its own, some of it even between
// quotation marks.
const cmdSigns = "\"%!^&|<>()\r\n"

// batchRefusal says why a program is not run with its arguments. Windows has
// cmd.exe run a batch file, and cmd.exe reads the arguments as a part of its own
// command line, for which there is no quoting that holds.
func batchRefusal(cmd *exec.Cmd) error {
	if runtime.GOOS != "windows" || !isBatch(programOf(cmd)) {
		return nil
	}
	return checkBatch(cmd.Args[1:])
}

// programOf is the file that is run, with the extension that Windows adds.
func programOf(cmd *exec.Cmd) string {
	path := cmd.Path
	if cmd.Dir != "" && !filepath.IsAbs(path) {
		path = filepath.Join(cmd.Dir, path)
	}
	if found, err := exec.LookPath(path); err == nil {
		return found
	}
	return path
}

func isBatch(path string) bool {
	// Dots and spaces at its end are no part of a file's name on Windows.
	switch strings.ToLower(filepath.Ext(strings.TrimRight(path, ". "))) {
	case ".bat", ".cmd":
		return true
	}
	return false
}

func checkBatch(args []string) error {
	for _, arg := range args {
		if i := strings.IndexAny(arg, cmdSigns); i >= 0 {
			return fmt.Errorf("it is a batch file, to which %q in an argument cannot be handed safely; let the argument's pattern take no such sign", arg[i])
		}
	}
	return nil
}
