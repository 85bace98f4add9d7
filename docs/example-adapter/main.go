// Command skadi-mattermost is Skadi with one more adapter: that for Mattermost
// of package mattermost. Everything else it does as Skadi itself.
package main

import (
	"os"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/cli"

	"example.com/skadi-mattermost/mattermost"
)

func main() {
	all := adapters.Factories()
	all[mattermost.Kind] = mattermost.Factory
	os.Exit(cli.Main(all, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
