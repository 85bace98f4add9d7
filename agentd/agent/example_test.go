package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/agent/agenttest"
)

var version = regexp.MustCompile(`\Av\d+\.\d+\.\d+\z`)

// deploy stands for what a service does when it is told to in a chat.
func deploy(ctx context.Context, job *agent.Job) (agent.Result, error) {
	words, err := job.Words()
	if err != nil {
		return agent.Result{}, err
	}
	if len(words) != 1 || !version.MatchString(words[0]) {
		return agent.Result{Reason: "bad_argument"}, errors.New("say which version, such as: deploy v1.2.3")
	}
	job.Printf("deploying %s for %s\n", words[0], job.Sender.Name) // shown at once
	if ctx.Err() != nil {                                          // somebody canceled it
		return agent.Result{}, ctx.Err()
	}
	job.Printf("done\n")
	return agent.Result{}, nil
}

// An agent inside a service: it runs beside everything else until the
// service stops.
func Example() {
	cloud := agenttest.New() // stands for the Skadi server
	server := httptest.NewServer(cloud)
	defer server.Close()
	state, _ := os.MkdirTemp("", "agent")
	defer func() { _ = os.RemoveAll(state) }()

	a, err := agent.New(agent.Config{
		Server:   server.URL,      // https://skadi.example.com
		Token:    agenttest.Token, // of: skadi agents create NAME
		StateDir: state,           // /var/lib/my-service/skadi
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	a.HandleCommand(agent.Command{Name: "deploy", Usage: "deploy VERSION", Help: "brings a version live"}, deploy)

	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- a.Run(ctx) }()

	for _, message := range []string{"deploy v1.2.3", "deploy everything"} {
		fmt.Println(cloud.Ask(message))
	}
	stop()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// succeeded: deploying v1.2.3 for Ada
	// done
	//
	// failed: say which version, such as: deploy v1.2.3
	// stopped: <nil>
}
