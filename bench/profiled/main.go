// Command profiled is skadi with a profiler in it: it writes a CPU profile of
// its whole life to the file that SKADI_CPUPROFILE names, and a profile of what
// was allocated to that of SKADI_MEMPROFILE. The product itself has no such
// switch. To see where the time of the whole life goes:
//
//	go build -o /tmp/profiled ./profiled
//	SKADI_CPUPROFILE=/tmp/cpu.out go run . -only life -runs 1 -skadi /tmp/profiled
//	go tool pprof -top /tmp/cpu.out.1
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"

	"github.com/google/pprof/profile"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/cli"
)

func main() { os.Exit(run()) }

func run() int {
	// Only the server is of interest, not the commands that prepare it.
	if len(os.Args) < 2 || os.Args[1] != "serve" {
		return cli.Main(adapters.Factories(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	if path := os.Getenv("SKADI_CPUPROFILE"); path != "" {
		var cpu bytes.Buffer
		if err := pprof.StartCPUProfile(&cpu); err != nil {
			fmt.Fprintln(os.Stderr, "profiled:", err)
			return 1
		}
		defer func() {
			pprof.StopCPUProfile()
			if err := save(&cpu, numbered(path)); err != nil {
				fmt.Fprintln(os.Stderr, "profiled:", err)
			}
		}()
	}
	code := cli.Main(adapters.Factories(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if path := os.Getenv("SKADI_MEMPROFILE"); path != "" {
		runtime.GC()
		f, err := os.Create(numbered(path)) //nolint:gosec // the developer says where
		if err == nil {
			err = pprof.Lookup("allocs").WriteTo(f, 0)
			_ = f.Close()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "profiled:", err)
		}
	}
	return code
}

// save writes a CPU profile without the path of the program, which is nobody
// else's business: the one in the repository is made in this way.
func save(cpu io.Reader, path string) error {
	p, err := profile.Parse(cpu)
	if err != nil {
		return err
	}
	for _, m := range p.Mapping {
		m.File = filepath.Base(m.File)
	}
	f, err := os.Create(path) //nolint:gosec // the developer says where
	if err != nil {
		return err
	}
	return errors.Join(p.Write(f), f.Close())
}

// numbered keeps the profile of one run apart from that of the next.
func numbered(path string) string {
	for n := 1; ; n++ {
		one := path + "." + strconv.Itoa(n)
		if _, err := os.Stat(one); err != nil { //nolint:gosec // the developer says where
			return one
		}
	}
}
