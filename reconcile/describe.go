package reconcile

import (
	"fmt"

	"github.com/kamald/kamald/plan"
)

// describe names a step to a person.
func describe(s plan.Step) string {
	if text := describeContainer(s); text != "" {
		return text
	}
	switch s.Kind {
	case plan.StepNetwork:
		return "create network " + s.Name
	case plan.StepEnv:
		return "push the secrets of " + s.Role
	case plan.StepCertificate:
		return "push the certificate of " + s.Role
	case plan.StepAssets:
		return "bring the assets of " + s.Name
	case plan.StepPages:
		return "push the error pages"
	case plan.StepPlace:
		return "put the files of " + s.Name + " there"
	case plan.StepPermit:
		return "set the permissions of the files of " + s.Name
	case plan.StepImage, plan.StepPull:
		return "get image " + s.Name
	case plan.StepProxy:
		if s.NewName != "" {
			return fmt.Sprintf("upgrade proxy %s to %s", s.Name, s.NewName)
		}
		return "boot proxy " + s.Name
	case plan.StepBarrier:
		return "open the barrier: the first " + s.Role + " is healthy"
	case plan.StepHold:
		return fmt.Sprintf("watch the canary for %s", s.Wait)
	case plan.StepTag:
		return "move tag " + s.Name
	case plan.StepRecord:
		return "write the release record"
	case plan.StepKeep:
		return "write the record of the release that is held"
	case plan.StepUntag:
		return "remove image " + s.Name
	case plan.StepClean:
		return "remove file " + s.Name
	case plan.StepWait:
		return fmt.Sprintf("wait %s before the next hosts", s.Wait)
	case plan.StepGate:
		return "wait for all"
	case plan.StepHook:
		return hookTitle(*s.Hook)
	}
	return string(s.Kind)
}

// describeContainer is what a step does to a container or to its route; "" for any other.
func describeContainer(s plan.Step) string {
	switch s.Kind {
	case plan.StepRename:
		return fmt.Sprintf("rename %s to %s", s.Name, s.NewName)
	case plan.StepCreate:
		return "create " + s.Name
	case plan.StepStart:
		return "start " + s.Name
	case plan.StepProve:
		return "prove " + s.Name + " healthy"
	case plan.StepSwitch:
		return "switch traffic of " + s.Name
	case plan.StepCanary:
		return fmt.Sprintf("give %d %% of the traffic of %s to the new container", s.Percent, s.Name)
	case plan.StepEndCanary:
		return "end the canary of " + s.Name
	case plan.StepResume:
		return "resume " + s.Name
	case plan.StepLift:
		return "take back that " + s.Name + " was stopped on purpose"
	case plan.StepUnroute:
		return "take route " + s.Name + " away"
	case plan.StepStop:
		return "stop " + s.Name
	case plan.StepUpdate:
		return "set the limits of " + s.Name
	case plan.StepConnect:
		return fmt.Sprintf("attach %s to network %s", s.Name, s.NewName)
	case plan.StepRemove:
		return "remove " + s.Name
	}
	return ""
}
