package cli

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/agentapi"
)

// remote is a server that a command calls over HTTP.
type remote struct{ server, tokenFile string }

// flags adds the flags that name the server and the token.
func (r *remote) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.server, "server", os.Getenv("SKADI_SERVER"), "the server's address; default $SKADI_SERVER")
	f.StringVar(&r.tokenFile, "token-file", "", "a file that holds the token; default is the token in $SKADI_TOKEN")
	f.Lookup("server").DefValue = ""
}

// connect makes the client from flags and environment. It needs a token of
// that role.
func (r *remote) connect(role string) (*agentapi.Client, error) {
	if r.server == "" {
		return nil, usage("which server? Give --server https://… or set SKADI_SERVER")
	}
	token := os.Getenv("SKADI_TOKEN")
	if r.tokenFile != "" {
		data, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return nil, usage("--token-file: %w", err)
		}
		if token = strings.TrimSpace(string(data)); token == "" {
			return nil, usage("--token-file: %s is empty; `skadi tokens create NAME --role %s` makes a token", r.tokenFile, role)
		}
	}
	if token == "" {
		return nil, usage("no token: give --token-file FILE or set SKADI_TOKEN; `skadi tokens create NAME --role %s` makes one", role)
	}
	c, err := agentapi.NewClient(agentapi.ClientConfig{Server: r.server, Token: token, UserAgent: "skadi/" + currentVersion().Version})
	if err != nil {
		return nil, usage("%w", err)
	}
	return c, nil
}
