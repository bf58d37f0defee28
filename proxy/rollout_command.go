package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

const rolloutUsage = `Give a share of a service's requests to other targets

Usage: kamal-proxy rollout COMMAND SERVICE [flags]

Commands:
  deploy SERVICE      Put rollout targets beside the service's own
  set SERVICE         Say which requests go to them
  stop SERVICE        Send all requests to the service's own targets again
`

func (in invocation) rollout(args []string) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	switch name, rest := args[0], args[1:]; name {
	case "deploy":
		return in.rolloutDeploy(rest)
	case "set":
		return in.rolloutSet(rest)
	case "stop":
		return in.rolloutStop(rest)
	case "help", "--help", "-h":
		fmt.Fprint(in.stdout, rolloutUsage)
		return nil
	default:
		return fmt.Errorf("unknown command %q for kamal-proxy rollout; run 'kamal-proxy rollout --help' for usage", name)
	}
}

func (in invocation) rolloutDeploy(args []string) error {
	f := in.newFlagSet("rollout deploy", "SERVICE ")
	req := RolloutDeployRequest{}
	targets := f.list("target", "Target HOST:PORT to deploy (required; list)")
	readers := f.list("read-target", "Target HOST:PORT for GET and HEAD of clients that have not just written (list)")
	f.DurationVar(&req.DeployTimeout, "deploy-timeout", DefaultDeployTimeout, "Maximum time to wait for the targets to become healthy")
	f.DurationVar(&req.DrainTimeout, "drain-timeout", DefaultDrainTimeout, "Maximum time for requests in flight on earlier rollout targets")
	f.fence(&req.Fence)
	names, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	if len(*targets) == 0 && !f.isSet("target") {
		return errors.New(`required flag(s) "target" not set`)
	}
	req.Service, req.Targets, req.Readers = names[0], *targets, *readers
	if err := req.Validate(); err != nil {
		return err
	}
	return in.command(f, "/v1/rollout/deploy", req)
}

func (in invocation) rolloutSet(args []string) error {
	f := in.newFlagSet("rollout set", "SERVICE ")
	req := RolloutSetRequest{}
	f.IntVar(&req.Percent, "percent", 0, "Share of the requests that go to the rollout targets, 0 to 100")
	list := f.list("list", "Values of the app's cookie "+appCookie+" that go to the rollout targets (list)")
	f.Func("header", "Request header NAME=VALUE that goes to the rollout targets (may be repeated)", func(text string) error {
		req.Headers = append(req.Headers, text)
		return nil
	})
	f.StringVar(&req.By, "by", RolloutByCookie, "What keeps a client on its side: "+RolloutByCookie+" (one of the proxy's own) or "+RolloutByAddress)
	f.DurationVar(&req.CookieMaxAge, "cookie-max-age", 0, "How long the proxy's cookie lives; 0 is the browser's session")
	f.fence(&req.Fence)
	names, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	if !f.isSet("percent") && !f.isSet("list") && !f.isSet("header") {
		return errors.New("at least one of the flags in the group [percent list header] is required")
	}
	req.Service, req.List = names[0], *list
	req.normalize()
	if err := req.Split.Validate(); err != nil {
		return err
	}
	return in.command(f, "/v1/rollout/set", req)
}

func (in invocation) rolloutStop(args []string) error {
	return in.serviceCommand(args, "rollout stop", "/v1/rollout/stop", nil)
}

func (in invocation) inspect(args []string) error {
	f := in.newFlagSet("inspect", "SERVICE ")
	names, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	var inspection json.RawMessage
	path := "/v1/inspect?service=" + url.QueryEscape(names[0])
	if err := newClient(f.socket).do(in.ctx, http.MethodGet, path, nil, &inspection); err != nil {
		return err
	}
	enc := json.NewEncoder(in.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(inspection)
}
