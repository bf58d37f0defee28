package release

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const aHash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestABastionsFileIsReadWithItsDefaults(t *testing.T) {
	b := bastion(t, `
token "ci" { hash = "`+aHash+`" }
app "shop" {
  source "git" { url = "git@example.com:acme/shop.git" }
  notify "slack" { url = secret("SLACK_URL") }
}
`)
	want := Bastion{
		Tokens: []Token{{Name: "ci", Hash: aHash, Role: RoleRead}},
		Apps: []DrivenApp{{Service: "shop", Destinations: []string{""}, ImageWait: 30 * time.Minute,
			Source: Source{Kind: SourceGit, URL: "git@example.com:acme/shop.git", Path: "deploy.hcl", Every: time.Minute},
			Notify: []Notify{{Kind: NotifySlack, URLSecret: "SLACK_URL",
				On: []string{"drifted", "healed", "released", "failed", "waiting", "held", "not-converging", "unreachable"}}}}},
		Log: Log{Format: "json", Level: "info"},
	}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Bastion{Log: want.Log}, bastion(t, "")); diff != "" {
		t.Errorf("an empty file:\n%s", diff)
	}
}

func TestEverythingThatABastionsFileSaysIsRead(t *testing.T) {
	b := bastion(t, `
locals { host = env("HOST", "example.com") }
store { bolt = "state.db" }
listen {
  socket      = "run/kamald.sock"
  https       = ":8443"
  http        = "[::1]:8080"
  certificate = "tls/server.pem"
  key         = "/etc/tls/server.key"
}
token "ci" {
  hash = "`+aHash+`"
  role = "operate"
  apps = ["shop"]
}
app "shop" {
  destinations = ["", "staging"]
  mode         = "heal"
  image_wait   = "1h"
  source "git" {
    url    = "../shop.git"
    branch = "release/2026"
    path   = "deploy/shop.hcl"
    every  = "10s"
    signed = true
  }
  secrets { files = ["shop.secrets", "/etc/kamald/more"] }
  notify "webhook" {
    url    = "https://hooks.${local.host}/kamald"
    secret = secret("KEY")
    on     = ["failed"]
  }
  notify "email" {
    to   = ["oncall@example.com"]
    smtp = secret("SMTP")
  }
}
app "shop" {
  destinations = ["production"]
  source "file" { path = "shop/deploy.hcl" }
}
metrics { listen = "127.0.0.1:9464" }
log {
  format = "text"
  level  = "debug"
}
`)
	all := []string{"drifted", "healed", "released", "failed", "waiting", "held", "not-converging", "unreachable"}
	want := Bastion{
		Store: Store{Bolt: "/etc/kamald/state.db"},
		Listen: Listen{Socket: "/etc/kamald/run/kamald.sock", HTTPS: ":8443", HTTP: "[::1]:8080", Certificate: "/etc/kamald/tls/server.pem",
			Key: "/etc/tls/server.key"},
		Tokens: []Token{{Name: "ci", Hash: aHash, Role: RoleOperate, Apps: []string{"shop"}}},
		Apps: []DrivenApp{{Service: "shop", Destinations: []string{"", "staging"}, Mode: ModeHeal, ImageWait: time.Hour,
			Source:      Source{Kind: SourceGit, URL: "/etc/shop.git", Branch: "release/2026", Path: "deploy/shop.hcl", Every: 10 * time.Second, Signed: true},
			SecretFiles: []string{"/etc/kamald/shop.secrets", "/etc/kamald/more"},
			Notify: []Notify{{Kind: NotifyWebhook, URL: "https://hooks.example.com/kamald", Secret: "KEY", On: []string{"failed"}},
				{Kind: NotifyEmail, To: []string{"oncall@example.com"}, SMTPSecret: "SMTP", On: all}}},
			{Service: "shop", Destinations: []string{"production"}, ImageWait: 30 * time.Minute, Source: Source{Kind: SourceFile, Path: "/etc/kamald/shop/deploy.hcl"}}},
		Metrics: MetricsListen{Listen: "127.0.0.1:9464"},
		Log:     Log{Format: "text", Level: "debug"},
	}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Error(diff)
	}
}

func TestTheHashOfATokenIsWhatTheFileTakes(t *testing.T) {
	if got := HashToken("test"); got != aHash {
		t.Errorf("got %s", got)
	}
}

func TestTheReferenceOfTheBastionLoads(t *testing.T) {
	b, diags := LoadBastion("testdata/kamald.reference.hcl", Options{})
	if diags.Len() > 0 {
		t.Fatal(diags)
	}
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"mode":"release"`, `"branch":"production"`, `"secret":"HOOK_SIGNING_KEY"`, `"url_secret":"SLACK_URL"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in\n%s", want, data)
		}
	}
}

func TestAStoreInEtcdIsReadWithWhatIsNeededForIt(t *testing.T) {
	text := `locals { m = "https://10.0.0.21:2379" }
store {
  etcd        = [local.m, "https://10.0.0.22:2379"]
  ca          = "ca.pem"
  certificate = "client.pem"
  key         = "/keys/client.key"
  username    = "kamald"
  password    = secret("ETCD_PASSWORD")
  name        = "bastion-1"
  secrets { files = ["etcd.secrets"] }
}
log { level = env("NOWHERE") }
`
	files := memory(map[string]string{"/etc/kamald/kamald.hcl": text})
	want := Store{Etcd: []string{"https://10.0.0.21:2379", "https://10.0.0.22:2379"}, CA: "/etc/kamald/ca.pem", Certificate: "/etc/kamald/client.pem",
		Key: "/keys/client.key", Username: "kamald", Password: "ETCD_PASSWORD", SecretFiles: []string{"/etc/kamald/etcd.secrets"}, Name: "bastion-1", Lease: 15 * time.Second}
	store, diags := LoadStore("/etc/kamald/kamald.hcl", files)
	if diff := cmp.Diff(want, store); diff != "" || diags.Len() > 0 {
		t.Errorf("%v\n%s", diags, diff)
	}
	if _, diags := LoadBastion("/etc/kamald/kamald.hcl", files); !strings.Contains(diags.Error(), "NOWHERE is not set") {
		t.Errorf("of the whole file: said %v", diags)
	}
	files = memory(map[string]string{"kamald.hcl": strings.Replace(text, `env("NOWHERE")`, `"info"`, 1)})
	if b, diags := LoadBastion("kamald.hcl", files); diags.Len() > 0 || b.Store.Username != "kamald" {
		t.Errorf("said %v of %+v", diags, b.Store)
	}
}

func TestWhatCannotReachAStoreInEtcdIsAMistake(t *testing.T) {
	for text, want := range map[string]string{
		`etcd = ["10.0.0.21:2379"]`:                      "A member of etcd is https://",
		`etcd = ["https://10.0.0.21"]`:                   "and a port",
		`etcd = ["https://root:hunter2@10.0.0.21:2379"]`: "a user stands in username and password",
		`etcd = []`: "at least one member",
		"etcd = [\"http://10.0.0.21:2379\"]\n ca = \"ca.pem\"":               "With ca connections are made by TLS",
		"etcd = [\"https://10.0.0.21:2379\"]\n key = \"x.key\"":              "key needs certificate beside it",
		"etcd = [\"https://10.0.0.21:2379\"]\n username = \"x\"":             "username needs password beside it",
		"etcd = [\"https://10.0.0.21:2379\"]\n password = \"hunter2\"":       "secret(",
		"bolt = \"x.db\"\n lease = \"20s\"":                                  "lease is for a store in etcd",
		"etcd = [\"https://10.0.0.21:2379\"]\n lease = \"1s\"":               "2s",
		"bolt = \"x.db\"\n username = \"x\"\n password = secret(\"HUNTER\")": "username is for a store in etcd",
	} {
		diags := ValidateBastion("kamald.hcl", memory(map[string]string{"kamald.hcl": "store {\n " + text + "\n}\n"}))
		said := strings.ReplaceAll(diags.Error(), "\n", " ")
		if !strings.Contains(said, want) || strings.Contains(said, "hunter2") {
			t.Errorf("%s: said %v", text, diags)
		}
	}
}

func TestWhatABastionsFileDependsOnMustBeKnown(t *testing.T) {
	for text, want := range map[string]string{
		"store { bolt = env(\"NOWHERE\") }\n":      "NOWHERE is not set",
		"store { bolt = git.sha }\n":               "is not known here",
		"store { bolt = file(\"nowhere.txt\") }\n": "there is no file /etc/kamald/nowhere.txt",
	} {
		_, diags := LoadBastion("/etc/kamald/kamald.hcl", memory(map[string]string{"/etc/kamald/kamald.hcl": text}))
		if !strings.Contains(strings.ReplaceAll(diags.Error(), "\n", " "), want) {
			t.Errorf("%s: said %v", text, diags)
		}
	}
	if _, diags := LoadBastion("/etc/kamald/kamald.hcl", memory(nil)); !strings.Contains(diags.Error(), "There is no file /etc/kamald/kamald.hcl") {
		t.Errorf("said %v", diags)
	}
}

func TestWhatMayBeSecretIsNotShownOfABadAddress(t *testing.T) {
	text := "app \"shop\" {\n source \"file\" { path = \"deploy.hcl\" }\n notify \"slack\" { url = \"hooks.example.com/T0/hunter2\" }\n}\n"
	_, diags := LoadBastion("kamald.hcl", memory(map[string]string{"kamald.hcl": text}))
	if said := diags.Error(); !strings.Contains(said, "Bad address") || strings.Contains(said, "hunter2") {
		t.Errorf("said\n%s", said)
	}
}

func bastion(t *testing.T, text string) Bastion {
	t.Helper()
	b, diags := LoadBastion("/etc/kamald/kamald.hcl", memory(map[string]string{"/etc/kamald/kamald.hcl": text}))
	if diags.Len() > 0 {
		t.Fatal(diags)
	}
	return b
}
