package main

import (
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/state"
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

func TestBareServersAsItIsSaid(t *testing.T) {
	inTranscript(t, "bare", func(tr *transcript) {
		tr.Bare("web-2")
		tr.run(1, "plan --version v1")
		tr.run(1, "apply --version v1")
		tr.run(1, "setup --version v1")
		tr.run(0, "setup --version v1 -P")
		tr.run(0, "setup --version v1 -P")
		tr.run(0, "server bootstrap --hosts web-*")
		tr.run(0, "audit -n 30 --host web-2")
		tr.Bare("jobs-1")
		tr.Cut("web-1")
		tr.run(1, "setup --version v2 -P --from-distro --json")
		tr.run(6, "setup --version v2 -P --skip-unreachable")
		tr.Restore("web-1")
		tr.run(0, "setup --version v2 -P --from-distro --json -q")
		tr.run(1, "server bootstrap --hosts wbe-1")
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

func TestTheProxyAndMaintenanceAsTheyAreSaid(t *testing.T) {
	inTranscript(t, "proxy", func(tr *transcript) {
		tr.run(1, "app live --roles workers")
		tr.run(1, "app maintenance")
		tr.run(0, "apply --version v1 -q")
		tr.run(0, "proxy details")
		tr.run(0, "proxy routes")
		tr.run(0, "app maintenance --message soon --reason migration --for 2h")
		tr.run(0, "plan --version v1")
		tr.run(0, "status")
		tr.run(0, "drift")
		tr.run(0, "plan --version v2 --markdown")
		tr.run(0, "apply --version v2 -q")
		tr.run(0, "proxy routes")
		tr.run(0, "app live --hosts web-1")
		tr.run(0, "app live")
		tr.run(0, "app live --json")
		tr.says("somebody stops the route on web-1, as Kamal does")
		tr.SetRoute("web-1", stoppedRoute(tr.Routes("web-1")[0]))
		tr.run(0, "plan --version v2")
		tr.run(0, "app live")
		tr.run(0, "app maintenance --for 1h -q --hosts web-2")
		time.Sleep(2 * time.Hour)
		tr.says("two hours later")
		tr.run(0, "plan --version v2")
		tr.run(3, "drift")
		tr.run(0, "apply --version v2 -q")
		tr.run(0, "proxy pause --max-pause 10 --hosts web-1")
		tr.run(0, "status")
		tr.run(0, "proxy resume")
		tr.run(1, "proxy reboot")
		tr.run(0, "proxy reboot -y --rolling")
		tr.run(0, "proxy restart -y --hosts web-2")
		tr.run(0, "proxy stop -y --reason disk --hosts web-1")
		tr.run(0, "plan --version v2")
		tr.run(1, "apply --version v3")
		tr.run(0, "proxy details")
		tr.run(0, "proxy start")
		tr.run(0, "proxy boot")
		tr.Cut("web-2")
		tr.run(6, "app maintenance")
		tr.run(6, "proxy details")
		tr.run(6, "app live --json")
		tr.Restore("web-2")
		tr.run(1, "proxy boot --roles web")
		tr.run(0, "proxy remove -y")
		tr.run(0, "proxy details")
		tr.run(0, "audit -n 3")
	})
}

func TestSecretsAndCertificatesAsTheyAreSaid(t *testing.T) {
	inTranscript(t, "secrets", func(tr *transcript) {
		certified := "app_port = 3000\n  ssl         = true\n  certificate = secret(\"CERTIFICATE\")\n  private_key = secret(\"PRIVATE_KEY\")"
		tr.write("deploy.hcl", strings.Replace(shopFile, "app_port = 3000", certified, 1))
		has := func(certificate string) {
			tr.write(".kamald/secrets", "REGISTRY_PASSWORD=registry-password\nCERTIFICATE=\"-----BEGIN CERTIFICATE-----\\n"+certificate+"\\n-----END CERTIFICATE-----\"\n"+
				"PRIVATE_KEY=\"-----BEGIN PRIVATE KEY-----\\nkey\\n-----END PRIVATE KEY-----\"\n")
		}
		tr.run(exitError, "env push")
		has("first")
		tr.run(exitDone, "env diff")
		tr.run(exitDone, "env push")
		tr.run(exitDone, "env diff")
		tr.run(exitDone, "apply --version v1 -q")
		tr.run(exitDone, "env diff")
		tr.says("the certificate is renewed")
		has("renewed")
		tr.run(exitChanges, "env diff --detailed-exitcode")
		tr.run(exitDone, "env diff --json")
		tr.run(exitDone, "env push --hosts web-1")
		tr.run(exitDone, "env diff")
	})
}

func stoppedRoute(route state.Route) state.Route {
	route.Stopped = true
	return route
}

func TestTranscriptOfAProxyThatMakesWayForTraefik(t *testing.T) {
	inTranscript(t, "switch", func(tr *transcript) {
		for _, host := range []string{"web-1", "web-2", "jobs-1"} {
			tr.Place(host, sim.ProxyImage("traefik:v3.1"))
		}
		tr.run(exitDone, "apply")
		tr.write("deploy.hcl", shopFile+"\nproxy_server {\n  driver = \"traefik\"\n  image  = \"traefik:v3.1\"\n}\n")
		tr.says("the file asks for Traefik now")
		tr.run(exitError, "plan")
		tr.run(exitDone, "proxy switch --dry-run")
		tr.run(exitDone, "proxy switch --yes")
		tr.run(exitDone, "proxy switch")
		tr.run(exitDone, "plan")
	})
}

func TestTranscriptOfASwitchThatOneHostForbidsWhileAnotherIsOutOfReach(t *testing.T) {
	inTranscript(t, "switch_refused", func(tr *transcript) {
		for _, host := range []string{"web-1", "web-2"} {
			tr.Place(host, sim.ProxyImage("traefik:v3.1"))
		}
		tr.run(exitDone, "apply")
		tr.run(exitDone, "proxy pause --max-pause 1h --hosts web-1")
		tr.write("deploy.hcl", shopFile+"\nproxy_server {\n  driver = \"traefik\"\n  image  = \"traefik:v3.1\"\n}\n")
		tr.says("web-2 is out of reach")
		tr.BlackHole("web-2", true, true)
		tr.run(exitError, "proxy switch --dry-run")
		tr.run(exitError, "proxy switch --yes")
		tr.run(exitError, "proxy switch --yes --json")
	})
}

func TestAVersionPolicyAsItIsSaid(t *testing.T) {
	inTranscript(t, "policy", func(tr *transcript) {
		file := strings.Replace(shopFile, `version = "v1"`, `version_policy { semver = "~> 1.0" }`, 1)
		tr.write("deploy.hcl", file)
		tr.run(0, "plan")
		tr.run(1, "apply")
		tr.push("1.0.0", sim.Healthy(0))
		tr.push("1.1.0", sim.Healthy(0))
		tr.says("1.0.0 and 1.1.0 were pushed")
		tr.run(0, "plan --markdown")
		tr.run(0, "apply")
		tr.run(0, "plan")
		tr.push("1.2.0", sim.Exits(3, 200*time.Millisecond))
		tr.says("1.2.0 was pushed, and is broken")
		tr.run(1, "apply")
		tr.run(0, "plan")
		tr.run(0, "plan --json")
		tr.run(0, "apply")
		tr.run(0, "status")
		tr.run(0, "diff 1")
		tr.push("1.2.1", sim.Healthy(0))
		tr.says("1.2.1 was pushed")
		tr.run(0, "apply")
		tr.run(0, "drift")
		tr.run(0, "plan --no-refresh")
		tr.run(0, "rollback")
		tr.run(0, "plan")
		tr.run(0, "resume")
		tr.write(".kamald/secrets", "REGISTRY_PASSWORD=another-password\n")
		tr.says("the registry's password was changed")
		tr.run(0, "plan")
		tr.run(0, "apply")
	})
}

func TestAnImageThatIsNotPushedYetAsItIsSaid(t *testing.T) {
	inTranscript(t, "awaited", func(tr *transcript) {
		tr.run(0, "plan --version v9")
		tr.run(1, "apply --version v9")
		tr.run(1, "apply --version v9 --json")
		tr.run(1, "release v9")
		tr.run(0, "plan --version v9 -o v9.plan")
		tr.run(1, "apply v9.plan")
		tr.push("v9", sim.Healthy(0))
		tr.says("v9 was pushed")
		tr.run(0, "apply --version v9")
		tr.Cut("web-1")
		tr.says("web-1 is out of reach, and v10 was never pushed")
		tr.run(1, "plan --version v10")
	})
}

func TestConsolesAndLogsAsItIsSaid(t *testing.T) {
	inTranscript(t, "console", func(tr *transcript) {
		tr.run(0, "apply --version v1 -q")
		tr.run(0, "app exec --primary echo hello there")
		tr.run(0, "app exec --reuse -e COLOUR=red printenv COLOUR KAMAL_HOST")
		tr.run(3, "app exec --reuse --roles web exit 3")
		tr.run(0, "app exec --raw --hosts jobs-1 echo --json")
		tr.run(0, "app exec --detach --roles workers bin/backfill")
		tr.run(7, "app exec --json --primary exit 7")
		tr.run(0, "server exec printenv HOSTNAME")
		tr.Cut("web-2")
		tr.run(1, "app exec --roles web true")
		tr.run(1, "server exec true")
		tr.says("the app says something, on all hosts")
		for n, at := range []struct{ host, name string }{{"jobs-1", "shop-workers-v1"}, {"web-1", "shop-web-v1"}, {"web-2", "shop-web-v1"}, {"jobs-1", "shop-workers-v1"}} {
			tr.Say(at.host, at.name, "line "+string(rune('1'+n)))
			time.Sleep(2 * time.Second)
		}
		tr.run(6, "app logs")
		tr.Restore("web-2")
		tr.run(0, "app logs")
		tr.run(0, "app logs -T --since 5s --roles w*")
		tr.run(0, "app logs -T --grep [24]$ --json")
		tr.run(1, "app logs --container shop-web-v9")
		tr.StopContainer("jobs-1", "shop-workers-v1")
		tr.run(0, "app logs -T -n 1 --hosts jobs-1")
		tr.Say("web-1", "kamal-proxy", "GET / 200")
		tr.run(0, "proxy logs --hosts web-1")
		tr.run(0, "audit -n 12")
		tr.run(0, "server cordon web-2 --reason disk")
		tr.run(0, "app exec --reuse --roles web echo there")
		tr.run(0, "app logs --roles web")
		tr.run(0, "server exec --hosts web-* echo there")
		tr.run(0, "status")
	})
}
