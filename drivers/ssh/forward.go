package ssh

import (
	"errors"

	"golang.org/x/crypto/ssh/agent"

	"github.com/kamald/kamald/release"
)

// forwardAgent lets what runs on the host talk to the agent here, where the file says so. Each talk opens the agent's socket by
// itself; nothing is opened before a command asks.
func (c *Client) forwardAgent(o Options, s release.SSH) error {
	if !s.ForwardAgent {
		return nil
	}
	if o.Agent == "" {
		return &Error{Host: c.name, Stage: StageConfig, Err: errors.New("ssh.forward_agent is true, and there is no agent to forward: SSH_AUTH_SOCK is not set")}
	}
	if err := agent.ForwardToRemote(c.wire.Client, o.Agent); err != nil {
		return &Error{Host: c.name, Stage: StageConfig, Err: err}
	}
	c.agent = true
	return nil
}
