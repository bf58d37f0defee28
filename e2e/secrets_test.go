package e2e

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

// op stands in for 1Password's command line: it knows one item, and notes each call. Everything else it refuses.
const op = `#!/bin/sh
echo "$*" >> calls
case "$*" in
"account get --account acme") ;;
"item get Shop --vault Production --format json --account acme --fields label=REGISTRY_USER,label=DB_PASSWORD")
	echo '[{"label":"REGISTRY_USER","value":"%[1]s","reference":"op://Production/Shop/REGISTRY_USER"},{"label":"DB_PASSWORD","value":"%[2]s","reference":"op://Production/Shop/DB_PASSWORD"}]' ;;
"item get Shop --vault Production --format json --account acme --fields label=REGISTRY_PASSWORD")
	echo '{"label":"REGISTRY_PASSWORD","value":"%[3]s","reference":"op://Production/Shop/REGISTRY_PASSWORD"}' ;;
*)
	echo "[ERROR] no such item" >&2
	exit 1 ;;
esac
`

// A release takes its SSH key from an age file, the registry's account from a password manager by a block, its password by a line of
// Kamal's form, and the containers' secrets from all three; a destination's file beside says where it runs.
func TestSecretsOfEverySource(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	key, err := os.ReadFile(f.lab.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	f.encrypted(".kamald/secrets.age", "age.key", "SSH_KEY='"+string(key)+"'\nAPI_TOKEN='"+canary+"'\n")
	f.write("bin/op", fmt.Sprintf(op, f.lab.Registry.Username, canary+"-db", f.lab.Registry.Password.Reveal()), 0o700)
	f.env = append(f.env, "PATH="+f.dir+"/bin:"+os.Getenv("PATH"))
	f.write(".kamald/secrets", "FETCHED=$(kamal secrets fetch --adapter 1password --account acme --from Production/Shop REGISTRY_PASSWORD)\n"+
		"REGISTRY_PASSWORD=$(kamal secrets extract REGISTRY_PASSWORD $FETCHED)\nURL=postgres://shop:$DB_PASSWORD@db/shop\n", 0o600)
	f.write("deploy.hcl", fmt.Sprintf(`service = "shop"
image   = "acme/shop"
deploy_timeout  = "5s"
readiness_delay = "1s"
registry {
  server   = %q
  username = secret("REGISTRY_USER")
  password = secret("REGISTRY_PASSWORD")
}
ssh {
  key_data    = [secret("SSH_KEY")]
  keys_only   = true
  known_hosts = [%q]
  config      = false
}
secrets {
  fetch "1password" {
    account = "acme"
    from    = "Production/Shop"
    keys    = ["REGISTRY_USER", "DB_PASSWORD"]
  }
  fetch "age" {
    file     = ".kamald/secrets.age"
    identity = "age.key"
  }
}
env { secret = ["API_TOKEN", "DATABASE_URL:URL"] }
proxy { app_port = 3000 }
role "web" { hosts = [%q] }
role "workers" {
  hosts = [%q]
  cmd   = ["app", "worker"]
}
`, f.lab.Registry.Server, f.lab.KnownHosts, f.host(1).Address, f.host(3).Address), 0o600)
	f.write("deploy.staging.hcl", fmt.Sprintf("role \"web\" { hosts = [%q] }\nrole \"workers\" { hosts = [] }\nallow_empty_roles = true\n", f.host(2).Address), 0o600)

	printed := f.must(0, "apply", "--version", "v1", "-d", "staging", "-v").all()
	f.wantRunning(f.host(2), "shop-web-staging-v1")
	for _, n := range []int{1, 3} {
		f.wantRunning(f.host(n))
	}
	env := f.containers(f.host(2))[0].Env
	for _, want := range []string{"API_TOKEN=" + canary, "DATABASE_URL=postgres://shop:" + canary + "-db@db/shop"} {
		if !slices.Contains(env, want) {
			t.Errorf("the container has no %q", want)
		}
	}
	calls, err := os.ReadFile(f.dir + "/calls")
	if err != nil || strings.Count(string(calls), "item get") != 2 || strings.Contains(string(calls), canary) {
		t.Errorf("the password manager was called\n%s%v", calls, err)
	}
	printed += f.must(0, "plan", "--version", "v1", "-d", "staging", "--detailed-exitcode").all()
	printed += f.must(0, "env", "diff", "-d", "staging", "--detailed-exitcode").all()

	f.write("bin/op", "#!/bin/sh\necho '[ERROR] You are not currently signed in.' >&2\nexit 1\n", 0o700)
	failed := f.must(1, "apply", "--version", "v1")
	if !strings.Contains(failed.all(), "OP_SERVICE_ACCOUNT_TOKEN") || !strings.Contains(failed.all(), "not currently signed in") {
		t.Error("who is not logged in is not told so, or not what to do")
	}
	f.wantRunning(f.host(1))
	f.noCanary("what the program printed", printed+failed.all())
}

// encrypted writes a file for age and the key that opens it.
func (f *fixture) encrypted(name, keyFile, text string) {
	f.t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		f.t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, identity.Recipient())
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err = w.Write([]byte(text)); err == nil {
		err = w.Close()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(name, sealed.String(), 0o600)
	f.write(keyFile, identity.String()+"\n", 0o600)
}
