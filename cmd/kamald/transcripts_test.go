package main

import (
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
)

func TestTheLifeOfAReleaseAsItIsSaid(t *testing.T) {
	inTranscript(t, "release", func(tr *transcript) {
		tr.run(0, "plan --version v1")
		tr.run(0, "apply --version v1")
		tr.run(0, "apply --version v1")
		tr.run(0, "status")
		tr.write("deploy.hcl", strings.Replace(shopFile, `"info"`, `"debug"`, 1))
		tr.run(2, "plan --detailed-exitcode -o release.plan")
		tr.run(0, "show release.plan")
		tr.run(0, "apply release.plan")
		tr.run(5, "apply release.plan")
		tr.push("bad", sim.Exits(3, 200*time.Millisecond))
		tr.run(1, "apply --version bad")
		tr.run(0, "history")
		tr.run(0, "show 1")
		tr.run(0, "show 3")
		tr.run(0, "diff 1 2")
		tr.run(0, "diff v1")
		tr.run(1, "show 9")
		tr.run(1, "show v7")
		tr.run(0, "audit -n 1")
	})
}

func TestWhatWaitsAndWhatIsLeftOutAsItIsSaid(t *testing.T) {
	inTranscript(t, "held", func(tr *transcript) {
		tr.run(0, "apply --version v1")
		tr.run(0, "apply --version v2 --hosts web-1")
		tr.run(0, "apply --version v2 -q")
		tr.run(0, "rollback")
		tr.run(0, "plan --version v2")
		tr.run(1, "apply --version v2")
		tr.run(1, "apply --version v2 --json")
		tr.run(0, "status")
		tr.run(0, "resume")
		tr.run(0, "server cordon web-2 --reason disk")
		tr.run(0, "plan --version v3")
		tr.run(0, "plan --version v3 --markdown")
		tr.run(0, "apply --version v3")
		tr.run(0, "status")
		tr.run(0, "status --json")
		tr.run(1, "server cordon web-9")
		tr.run(1, "server uncordon web-1")
		tr.run(0, "server uncordon web-2")
		tr.run(0, "history")
		tr.run(1, "plan --hosts wbe-1")
		tr.run(1, "plan --roles worker")
		tr.run(1, "history --roles web")
	})
}

func TestServersThatComeAndGoAsItIsSaid(t *testing.T) {
	inTranscript(t, "servers", func(tr *transcript) {
		tr.run(0, "apply --version v1 -q")
		tr.write("deploy.hcl", strings.Replace(shopFile, `"web-2"`, `"web-3"`, 1))
		tr.Cut("web-2")
		tr.says("web-2 left the file and is out of reach")
		tr.run(0, "plan --version v1")
		tr.run(0, "plan --version v1 --markdown")
		tr.run(0, "apply --version v1")
		tr.run(0, "status")
		tr.run(1, "server forget web-22")
		tr.run(0, "server forget web-2")
		tr.run(0, "status")
		tr.Cut("jobs-1")
		tr.run(1, "apply --version v2")
		tr.run(6, "apply --version v2 --skip-unreachable")
		tr.run(6, "status")
		tr.Restore("jobs-1")
		tr.who = "bob"
		tr.run(0, "plan --version v3")
		tr.who = "cyd"
		tr.run(0, "apply --version v3 --json")
		tr.write("deploy.hcl", strings.Replace(shopFile, `, "web-2"`, ``, 1))
		tr.says("web-3 left the file")
		tr.run(0, "plan --version v3")
		tr.run(0, "status")
		tr.run(0, "apply --version v3")
	})
}

func TestWhatAHandMovedAsItIsSaid(t *testing.T) {
	inTranscript(t, "hand", func(tr *transcript) {
		tr.run(0, "apply --version v1 -q")
		tr.run(0, "apply --version v2 -q")
		tr.Retag("web-1", "registry.example.com/acme/shop:v1", "registry.example.com/acme/shop:latest")
		tr.says("somebody moved latest on web-1")
		tr.run(0, "plan --version v2")
		tr.run(0, "status")
		tr.run(3, "drift")
		tr.run(1, "apply --version v2")
		tr.run(0, "release v2")
		tr.StopContainer("jobs-1", "shop-workers-v2")
		tr.says("somebody stopped the worker")
		tr.run(3, "drift")
		tr.run(0, "apply --version v2")
		tr.run(0, "resume")
		tr.Retag("web-1", "registry.example.com/acme/shop:v1", "registry.example.com/acme/shop:latest")
		tr.says("again, and this time it was right")
		tr.run(0, "adopt --dry-run")
		tr.run(0, "adopt")
		tr.run(0, "history")
		tr.run(0, "adopt")
		tr.run(0, "plan --version v2")
		tr.run(0, "prune --dry-run")
		tr.run(0, "prune --retain 1")
	})
}

func TestLocksAndCancellingAsTheyAreSaid(t *testing.T) {
	inTranscript(t, "locks", func(tr *transcript) {
		tr.run(0, "apply --version v1 -q")
		tr.run(1, "lock acquire")
		tr.run(0, "lock acquire -m migration")
		tr.run(0, "lock status")
		tr.run(0, "status")
		tr.who = "bob"
		tr.run(4, "apply --version v2")
		tr.run(4, "apply --version v2 --json")
		tr.run(0, "lock release")
		tr.run(0, "lock status")
		tr.who = "ada"
		tr.says("while ada's release is under way, bob goes back")
		ended := make(chan said)
		go func() { ended <- tr.kamald(tr.t.Context(), "apply --version v2") }()
		time.Sleep(3 * time.Second)
		tr.who = "bob"
		tr.run(0, "rollback")
		tr.ended(1, "apply --version v2", <-ended)
		tr.run(0, "history")
		tr.run(0, "show 2")
	})
}

func TestAReleaseThatHaltsAsItIsSaid(t *testing.T) {
	inTranscript(t, "halt", func(tr *transcript) {
		tr.write("deploy.hcl", shopFile+"\nrollout {\n  limit      = 1\n  on_failure = \"halt\"\n}\n")
		tr.run(0, "apply --version v1 -q")
		tr.Before(func(c sim.Call) error {
			if c.Host == "web-2" && c.Method == "Engine.Start" {
				return sim.ErrFault
			}
			return nil
		})
		tr.run(1, "apply --version v2")
		tr.ClearHooks()
		tr.run(0, "plan --version v2")
	})
}
