package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// serviceRecord is a service in the state file, with kamal-proxy's field names, so that one reader serves both.
// What kamal-proxy does not know is under kamald.
type serviceRecord struct {
	Name              string         `json:"name"`
	Options           ServiceOptions `json:"options"`
	TargetOptions     TargetOptions  `json:"target_options"`
	ActiveTargets     []string       `json:"active_targets"`
	ActiveReaders     []string       `json:"active_readers"`
	RolloutTargets    []string       `json:"rollout_targets"`
	RolloutReaders    []string       `json:"rollout_readers"`
	PauseController   gate           `json:"pause_controller"`
	RolloutController *splitRecord   `json:"rollout_controller"`
	Kamald            *deployRecord  `json:"kamald,omitempty"`

	unknown unknownFields
	damage  error           // why the record could not be read in full
	raw     json.RawMessage // the record as it was read, if it is damaged
}

// splitRecord is a rollout's split as kamal-proxy keeps it: the split point is the percentage of its largest hash.
type splitRecord struct {
	Percentage           int      `json:"percentage"`
	PercentageSplitPoint float64  `json:"percentage_split_point"`
	Allowlist            []string `json:"allowlist"`
	Disabled             bool     `json:"disabled,omitempty"`
}

type deployRecord struct {
	DeployTimeout time.Duration  `json:"deploy_timeout"`
	DrainTimeout  time.Duration  `json:"drain_timeout"`
	Balance       string         `json:"balance,omitempty"`
	Generation    uint64         `json:"generation,omitempty"`
	Deployed      uint64         `json:"deployed,omitempty"` // the generation of the active targets
	Fence         uint64         `json:"fence,omitempty"`
	Rollout       *rolloutRecord `json:"rollout,omitempty"`
}

// rolloutRecord is what kamal-proxy's fields do not say of a rollout.
type rolloutRecord struct {
	Deployed      uint64        `json:"deployed,omitempty"`
	TargetOptions TargetOptions `json:"target_options"`
	DeployTimeout time.Duration `json:"deploy_timeout"`
	DrainTimeout  time.Duration `json:"drain_timeout"`
	Headers       []string      `json:"headers,omitempty"`
	By            string        `json:"by,omitempty"`
	CookieMaxAge  time.Duration `json:"cookie_max_age,omitempty"`
}

func recordOf(name string, s standing, fence uint64) serviceRecord {
	d := s.dep
	if d.kept != nil {
		rec := *d.kept
		rec.PauseController = s.gate
		if fence > 0 && rec.raw == nil {
			kamald := deployRecord{DeployTimeout: DefaultDeployTimeout, DrainTimeout: DefaultDrainTimeout}
			if rec.Kamald != nil {
				kamald = *rec.Kamald
			}
			kamald.Fence = fence
			rec.Kamald = &kamald
		}
		return rec
	}
	rec := serviceRecord{
		Name:            name,
		Options:         d.options,
		TargetOptions:   d.targetOptions,
		ActiveTargets:   d.targetNames,
		ActiveReaders:   orEmpty(d.readerNames),
		RolloutTargets:  []string{},
		RolloutReaders:  []string{},
		PauseController: s.gate,
		Kamald: &deployRecord{DeployTimeout: d.deployTimeout, DrainTimeout: d.drainTimeout, Generation: s.generation, Fence: fence,
			Balance: d.balance, Deployed: s.deployed},
		unknown: s.unknown,
	}
	if s.rollout != nil {
		rec.addRollout(s.rollout)
		rec.Kamald.Rollout.Deployed = s.rolledOut
	}
	return rec
}

func (rec *serviceRecord) addRollout(ro *rollout) {
	d := ro.dep
	rec.RolloutTargets, rec.RolloutReaders = d.targetNames, orEmpty(d.readerNames)
	rec.Kamald.Rollout = &rolloutRecord{TargetOptions: d.targetOptions, DeployTimeout: d.deployTimeout, DrainTimeout: d.drainTimeout}
	if p := ro.split; p != nil {
		rec.RolloutController = &splitRecord{
			Percentage:           p.Percent,
			PercentageSplitPoint: math.MaxUint32 * (float64(p.Percent) / 100),
			Allowlist:            p.List,
		}
		rec.Kamald.Rollout.Headers, rec.Kamald.Rollout.By, rec.Kamald.Rollout.CookieMaxAge = p.Headers, p.By, p.CookieMaxAge
	}
}

// restoreService makes a service that serves at once. With an error it is there too: broken, with its routes and its
// record, or serving without its rollout.
func restoreService(rec serviceRecord) (*service, error) {
	s := &service{name: rec.Name}
	s.gate = newGate()
	s.gate.State, s.gate.StopMessage, s.gate.FailAfter = rec.PauseController.State, rec.PauseController.StopMessage, rec.PauseController.FailAfter
	s.unknown = rec.unknown
	if rec.Kamald != nil {
		s.generation, s.deployed = rec.Kamald.Generation, rec.Kamald.Deployed
		if rec.Kamald.Rollout != nil {
			s.rolledOut = rec.Kamald.Rollout.Deployed
		}
	}
	req := rec.deployRequest()
	err := rec.damage
	if err == nil {
		err = errors.Join(req.Validate(), rec.PauseController.validate())
	}
	if err == nil {
		s.dep, err = newDeployment(req)
	}
	if err != nil {
		s.broken = err
		s.dep = &deployment{options: req.Options, targetOptions: req.TargetOptions, targetNames: req.Targets, readerNames: req.Readers, kept: &rec}
		return s, err
	}
	s.dep.pool.markHealthy()
	s.rollout, err = rec.rollout(s.dep)
	return s, err
}

func (rec serviceRecord) deployRequest() DeployRequest {
	req := DeployRequest{
		Service:       rec.Name,
		Targets:       rec.ActiveTargets,
		Readers:       rec.ActiveReaders,
		Options:       rec.Options,
		TargetOptions: rec.TargetOptions,
		DeployTimeout: DefaultDeployTimeout,
		DrainTimeout:  DefaultDrainTimeout,
		Force:         true,
	}
	if rec.Kamald != nil {
		req.DeployTimeout, req.DrainTimeout, req.Balance = rec.Kamald.DeployTimeout, rec.Kamald.DrainTimeout, rec.Kamald.Balance
	}
	if rec.damage == nil || len(req.Options.Hosts) > 0 {
		req.Options.Normalize() // a damaged record without a host must not become one of any host
	}
	return req
}

func (rec serviceRecord) rollout(active *deployment) (*rollout, error) {
	if len(rec.RolloutTargets) == 0 {
		return nil, nil
	}
	ours := rolloutRecord{TargetOptions: rec.TargetOptions, DeployTimeout: DefaultDeployTimeout, DrainTimeout: DefaultDrainTimeout}
	if rec.Kamald != nil && rec.Kamald.Rollout != nil {
		ours = *rec.Kamald.Rollout
	}
	req := RolloutDeployRequest{Service: rec.Name, Targets: rec.RolloutTargets, Readers: rec.RolloutReaders, DeployTimeout: ours.DeployTimeout, DrainTimeout: ours.DrainTimeout}
	dep, err := newRolloutDeployment(req, active, ours.TargetOptions)
	if err != nil {
		return nil, fmt.Errorf("its rollout is dropped: %w", err)
	}
	ro := &rollout{dep: dep, sides: &sides{}}
	if c := rec.RolloutController; c != nil && !c.Disabled {
		split := Split{Percent: c.Percentage, List: c.Allowlist, Headers: ours.Headers, By: ours.By, CookieMaxAge: ours.CookieMaxAge}
		split.normalize()
		split.Percent = min(split.Percent, 100) // kamal-proxy accepts more
		if err := split.Validate(); err != nil {
			return nil, fmt.Errorf("its rollout is dropped: %w", err)
		}
		ro.split = &split
	}
	dep.pool.markHealthy()
	return ro, nil
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
