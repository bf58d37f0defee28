package plan

// Precondition is what must still be true just before a step acts, and who sees to it. The zero value is for steps that change
// nothing.
type Precondition struct {
	Must  Must   `json:"must"`
	Guard Guard  `json:"guard"`
	Value string `json:"value,omitempty"` // what Must compares with: a container's ID, an image's, a route's target; "" for none
}

// Must is a condition; the set is closed.
type Must string

// The conditions.
const (
	MustBeThere    Must = "the container is there"
	MustBeFree     Must = "the name is free"
	MustRouteTo    Must = "the route goes to"
	MustNotRouteTo Must = "no route goes to"
	MustBeAt       Must = "the tag is at"
	MustNotRun     Must = "the container does not run"
	MustBeUnused   Must = "no container has it"
	MustBeOurs     Must = "the deploy lock is ours"
)

// Guard is who sees to a precondition.
type Guard string

// The guards.
const (
	GuardEngine Guard = "engine" // the call itself: the engine refuses it otherwise
	GuardCheck  Guard = "check"  // a call of its own just before
	GuardPlan   Guard = "plan"   // an earlier step of the same plan made it so
	GuardLock   Guard = "lock"   // only a holder of the deploy lock changes it
)

// guard gives every step its precondition.
func (b *builder) guard() {
	proxied, switched, booted := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, role := range b.in.Desired.Roles {
		proxied[role.Name] = role.Proxy != nil && !role.Singleton
	}
	for _, s := range b.steps {
		switch s.Kind {
		case StepSwitch:
			switched[s.Host+"/"+s.Role] = true
		case StepProxy:
			booted[s.Host] = booted[s.Host] || s.NewName == ""
		}
	}
	for i := range b.steps {
		s := &b.steps[i]
		s.Precondition = preconditionOf(s)
		switch {
		case s.Kind == StepStop && proxied[s.Role] && !switched[s.Host+"/"+s.Role]:
			// Nothing of this plan takes its traffic away, so nothing must have brought any.
			s.Precondition = Precondition{Must: MustNotRouteTo, Guard: GuardCheck, Value: s.Container}
		case s.Precondition.Must == MustRouteTo && booted[s.Host]:
			s.Precondition.Guard = GuardPlan // it comes up with what it kept, which could not be seen
		}
	}
}

func preconditionOf(s *Step) Precondition {
	there := Precondition{Must: MustBeThere, Guard: GuardEngine, Value: s.Container}
	if s.Container == s.Name {
		there.Guard = GuardPlan
	}
	switch s.Kind {
	case StepCreate:
		return Precondition{Must: MustBeFree, Guard: GuardEngine, Value: s.Name}
	case StepProxy:
		if s.NewName != "" {
			return Precondition{Must: MustBeThere, Guard: GuardEngine, Value: s.Container}
		}
		return Precondition{Must: MustBeFree, Guard: GuardEngine, Value: s.Name}
	case StepNetwork:
		return Precondition{Must: MustBeFree, Guard: GuardEngine, Value: s.Name}
	case StepRename, StepStart, StepProve, StepUpdate, StepConnect, StepStop:
		return there
	case StepSwitch, StepUnroute, StepCanary:
		must := Precondition{Must: MustRouteTo, Guard: GuardCheck}
		if s.OldRoute != nil {
			must.Value = s.OldRoute.TargetID()
		}
		return must
	case StepTag:
		return Precondition{Must: MustBeAt, Guard: GuardCheck, Value: s.OldImage}
	case StepRemove:
		return Precondition{Must: MustNotRun, Guard: GuardCheck, Value: s.Container}
	case StepUntag:
		// An engine takes one of several names away, whoever uses the image.
		return Precondition{Must: MustBeUnused, Guard: GuardCheck, Value: s.Name}
	case StepEnv, StepCertificate, StepAssets, StepPages, StepRecord, StepKeep, StepImage, StepPull, StepPlace, StepPermit, StepResume, StepLift, StepEndCanary, StepHook:
		return Precondition{Must: MustBeOurs, Guard: GuardLock}
	}
	return Precondition{}
}
