package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/state"
)

func TestMigrationsAsThePageSays(t *testing.T) {
	inReading(t, "migrations.md", []string{"web-1", "web-2", "jobs-1"}, func(r *reader) {
		for version, migration := range map[string]sim.Behaviour{"v2": sim.Exits(0, 3*time.Second), "v4": sim.Exits(0, 3*time.Second), "v5": sim.Exits(0, 3*time.Second),
			"v3": {Ends: true, EndsIn: time.Second, ExitCode: 1, Port: -1, Logs: []string{"PG::LockNotAvailable: canceling statement due to lock timeout"}}} {
			r.image("registry.example.com/acme/shop", "shop", version, sim.Healthy(300*time.Millisecond), map[string]sim.Behaviour{"bin/rails db:migrate": migration})
		}
		migrated := ""
		r.Program("bin/rails", func(_ context.Context, argv []string, env map[string]string, _ state.Streams) int {
			migrated = env["KAMAL_VERSION"] + " " + strings.Join(argv, " ")
			return 0
		})
		r.write("deploy.hcl", shopFile)
		r.types("kamald apply --version v1")
		r.exits["apply --version v3"] = 1
		r.follow("Run the migration")
		if migrated != "v2 bin/rails db:migrate" {
			t.Errorf("by hand it ran %q", migrated)
		}
		r.follow("When it does take an outage", "Try the schema on a part first")
	})
}

func TestSeveralAppsAsThePageSays(t *testing.T) {
	inReading(t, "several-apps.md", []string{"10.0.0.1", "10.0.0.2"}, func(r *reader) {
		r.app("registry.example.com/acme/till", "till")
		r.write("deploy.hcl", strings.NewReplacer(`"web-1", "web-2"`, `"10.0.0.1"`, `"jobs-1"`, `"10.0.0.1"`).Replace(shopFile))
		r.types("kamald apply --version v1")
		r.follow("Put a second app there", "What they share", "Destinations side by side")
		r.serves("10.0.0.1", "shop-web-v1", "shop-workers-v1", "till-web-staging-v2", "till-web-v1")
		r.follow("A server each, later")
		r.serves("10.0.0.1", "shop-web-v1", "shop-workers-v1", "till-web-staging-v2")
		r.serves("10.0.0.2", "till-web-v1")
	})
}

func TestGettingStartedAsThePageSays(t *testing.T) {
	inReading(t, "getting-started.md", []string{"10.0.0.1", "10.0.1.1"}, func(r *reader) {
		r.instead["init"] = "init --yes --host 10.0.0.1 --service shop --image acme/shop --registry registry.example.com --registry-user deploy --domain shop.example.com"
		r.follow("Say what you want", "Release")
		r.serves("10.0.0.1", "shop-web-v1")
		r.types("kamald apply --version v2")
		r.follow("When it goes wrong")
		r.serves("10.0.0.1", "shop-web-v1")
		r.types("kamald resume")
		r.RemoveContainer("10.0.0.1", "shop-web-v1")
		r.exits["drift"] = exitDrift
		r.follow("Somebody changed a server by hand", "Staging")
		r.serves("10.0.0.1", "shop-web-v1")
		r.serves("10.0.1.1", "shop-web-staging-v2")
	})
}

func TestAccessoriesAsThePageSays(t *testing.T) {
	inReading(t, "accessories.md", []string{"10.0.0.1"}, func(r *reader) {
		for _, ref := range []string{"postgres:17", "postgres:17.1", "redis:7"} {
			r.Push(sim.Image{Ref: ref, Port: 5432, Behaviour: sim.Healthy(time.Second)})
		}
		r.Program("pg_isready", func(context.Context, []string, map[string]string, state.Streams) int { return 0 })
		r.write(".kamald/secrets", "REGISTRY_PASSWORD=registry-password\nPOSTGRES_PASSWORD=a\nREDIS_PASSWORD=b\n")
		r.follow("")
		r.serves("10.0.0.1", "shop-db", "shop-web-v1")
		r.takes("locals {\n  cache_size = \"64mb\"\n}\n")
		r.write("redis.conf.tmpl", r.fence("Files and directories", "maxmemory"))
		r.follow("Files and directories")
		r.types("kamald apply")
		r.serves("10.0.0.1", "shop-cache", "shop-db", "shop-web-v1")
		if text, _ := r.File("10.0.0.1", "shop-cache/etc/redis.conf"); string(text) != "maxmemory 64mb\nrequirepass b\n" {
			t.Errorf("the cache's file has %q", text)
		}
		r.Push(sim.Image{Ref: "axllent/mailpit:v1.21", Port: 8025, Behaviour: sim.Healthy(time.Second)})
		r.follow("Put one behind the proxy")
		r.answered("mail.example.com", "shop-mail")
		r.serves("10.0.0.1", "shop-cache", "shop-db", "shop-mail", "shop-web-v1")
		for _, command := range []string{"exec db -i --reuse psql -U shop", "exec db --raw --reuse pg_dump -U shop shop > shop.sql",
			"exec db -i --reuse psql -U shop shop < shop.sql", "logs db -f"} {
			r.lab["accessory "+command] = "TestAConsoleOnAnAccessory"
		}
		r.follow("Look into it")
		r.edits(`"postgres:17"`, `"postgres:17.1"`)
		for _, command := range []string{"accessory reboot db", "accessory remove db", "accessory remove db --with-data"} {
			r.instead[command] = command + " -y"
		}
		r.follow("Change it", "Stop it for a while", "Remove it")
		r.serves("10.0.0.1", "shop-cache", "shop-mail", "shop-web-v1")
	})
}

func TestTroubleshootingAsThePageSays(t *testing.T) {
	inReading(t, "troubleshooting.md", []string{"web-1", "web-2", "jobs-1"}, func(r *reader) {
		r.write("deploy.hcl", shopFile)
		r.types("kamald apply --version v1")
		r.lab["doctor"] = "TestDoctor"
		r.follow("")
		r.edits(`LOG_LEVEL = "info" }`, "LOG_LEVEL = \"info\" }\n  secret = [\"API_TOKEN\"]")
		r.exits["plan"] = exitError
		r.types("kamald plan")
		r.answered("its secrets file lacks API_TOKEN", "env push")
		r.write(".kamald/secrets", "REGISTRY_PASSWORD=registry-password\nAPI_TOKEN=a\n")
		r.follow(`"its secrets file lacks …"`)
		r.types("kamald apply --version v1")
		r.follow(`"the plan of … is stale" (exit code 5)`)
		r.types("kamald apply --version v2")
		r.types("kamald rollback")
		r.exits["apply --version v2"] = exitError
		r.types("kamald apply --version v2")
		r.answered("is held by", "kamald resume")
		r.follow(`"release … is held by …"`)
		r.serves("web-1", "shop-web-v3")
		delete(r.exits, "apply --version v2")
		r.types("kamald resume")
		r.Cut("web-2")
		r.exits["apply --version v4"], r.exits["apply --skip-unreachable"] = exitError, exitSkipped
		r.types("kamald apply --version v4")
		r.answered("it cannot be observed")
		delete(r.exits, "apply --version v4")
		r.instead["apply --skip-unreachable"] = "apply --skip-unreachable --version v4"
		r.exits["server forget web-2"] = exitError // the file has it still
		r.follow(`"it cannot be observed"`)
		r.Restore("web-2")
		r.types("kamald server uncordon web-2")
		r.types("kamald apply --version v4")
		r.serves("web-2", "shop-web-v4")
		r.instead["apply --ignore disk"] = "apply --ignore disk --version v4"
		r.follow(`"no space left on device"`, `"the image … has no room"`)
		r.instead["plan --json"] = "plan --json --version v4"
		r.follow("The plan is not empty right after an apply")
	})
}

// What of the page the lab does not play: TestThePagesByTaskAreAsTheyAreWritten (e2e) has the rest.
func TestDayTwoAsThePageSays(t *testing.T) {
	inReading(t, "day-two.md", []string{"web-1", "web-2", "jobs-1"}, func(r *reader) {
		for _, program := range []string{"bin/rails", "bin/cache", "bin/dump", "bin/backfill", "sh"} {
			r.Program(program, func(_ context.Context, argv []string, _ map[string]string, s state.Streams) int {
				if _, err := s.Out.Write([]byte(strings.Join(argv, " ") + "\n")); err != nil {
					return 1
				}
				return 0
			})
		}
		r.write("deploy.hcl", shopFile)
		r.types("kamald apply")
		r.lab["doctor"] = "TestDoctor"
		r.follow("Something is wrong, and you do not know where", "Stop a part of the app, and start it again", "Restart the app")
		r.serves("jobs-1", "shop-workers-v1")
		r.instead["app remove --hosts web-2"] = "app remove -y --hosts web-2"
		r.exits["remove"] = exitError // it asks, and nobody is here
		r.follow("Take the app from a host, or from all of them", "Does the registry let us in?")
		r.serves("web-2", "shop-web-v1")
		for _, command := range []string{"app logs -f", "proxy logs -f --grep ' 50[0-9] '", "app exec -i bin/rails console", "app exec -i --reuse bash", "app exec -i --hosts web-2 --roles workers sh",
			"app exec --primary --raw bin/dump > dump.sql", "app exec -i --primary bin/restore < dump.sql", "server exec -i --hosts web-2 bash", "server exec 'df -h / | tail -1'"} {
			r.lab[command] = "TestAConsoleOnProduction"
		}
		r.follow("Look at logs", "A console on production", "Run a command where the app runs")
		r.onTheLab("TestThePagesByTaskAreAsTheyAreWritten")
		for n := range r.sections {
			r.sections[n].read = true
		}
	})
}
