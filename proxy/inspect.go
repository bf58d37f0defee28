package proxy

import (
	"slices"
	"time"
)

// Inspection is everything that the proxy knows of a service.
type Inspection struct {
	ServiceInfo
	Options       ServiceOptions  `json:"options"`
	TargetOptions TargetOptions   `json:"target_options"`
	Balance       string          `json:"balance"`
	DeployTimeout time.Duration   `json:"deploy_timeout"`
	DrainTimeout  time.Duration   `json:"drain_timeout"`
	Gate          GateInfo        `json:"gate"`
	Deploys       []DeployingInfo `json:"deploys"`         // that have not switched yet
	Sides         *SidesInfo      `json:"sides,omitempty"` // of a rollout
}

// GateInfo is what pause, stop and resume have asked for.
type GateInfo struct {
	State    string        `json:"state"` // running, paused or stopped
	Message  string        `json:"message,omitempty"`
	MaxPause time.Duration `json:"max_pause,omitempty"`
}

// DeployingInfo is a deploy that waits for its targets to become healthy.
type DeployingInfo struct {
	Rollout bool          `json:"rollout"`
	Began   time.Time     `json:"began"`
	Timeout time.Duration `json:"timeout"`
	Fence   uint64        `json:"fence,omitempty"`
	Targets []TargetInfo  `json:"targets"`
}

// Inspect returns everything about one service. A service whose first deploy waits has only that.
func (r *Router) Inspect(name string) (Inspection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := Inspection{Deploys: r.deploying(name)}
	s, ok := r.services[name]
	if !ok {
		if len(i.Deploys) == 0 {
			return i, ErrServiceNotFound
		}
		i.ServiceInfo = ServiceInfo{Service: name, State: "deploying", Hosts: []string{}, PathPrefixes: []string{}, Targets: []TargetInfo{}, Fence: r.fences.of(name)}
		i.Gate.State = gateRunning.String()
		return i, nil
	}
	now := s.now()
	i.ServiceInfo = r.info(s)
	d := now.dep
	i.Options, i.TargetOptions, i.Balance = d.options, d.targetOptions, d.balance
	if i.Balance == "" {
		i.Balance = BalanceRoundRobin
	}
	if now.rollout != nil {
		i.Sides = now.rollout.sides.info()
	}
	i.DeployTimeout, i.DrainTimeout = d.deployTimeout, d.drainTimeout
	i.Gate = GateInfo{now.gate.State.String(), now.gate.StopMessage, now.gate.FailAfter}
	return i, nil
}

func (r *Router) deploying(name string) []DeployingInfo {
	infos := []DeployingInfo{}
	for key, a := range r.attempts {
		if key.service == name {
			infos = append(infos, DeployingInfo{key.rollout, a.began.UTC(), a.dep.deployTimeout, a.fence, a.dep.pool.info()})
		}
	}
	slices.SortFunc(infos, func(a, b DeployingInfo) int { return a.Began.Compare(b.Began) })
	return infos
}
