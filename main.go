// Command skadi carries messages from chat, mail and CI to agents on your
// servers and brings their answers back. Everything it does is in package cli.
package main

import (
	"os"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/cli"
)

func main() {
	os.Exit(cli.Main(adapters.Factories(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
