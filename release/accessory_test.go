package release

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/state"
)

const besideText = least + `
locals { size = "1gb" }
host "10.0.0.9" { tags = ["cache"] }
accessory "redis" {
  image     = "redis"
  tags      = ["cache"]
  port      = "127.0.0.1:6379:6379"
  options   = { cpus = 2, restart = "always", publish = ["16379:16379"] }
  volumes   = ["sockets:/run/redis", "./backups:/backups"]
  on_change = "recreate"

  env {
    clear  = { TZ = "UTC" }
    secret = ["REDIS_PASSWORD"]
  }
  file "redis.conf.tmpl" {
    to    = "/etc/redis/redis.conf"
    mode  = "0640"
    owner = "999:999"
  }
  file "init.sql" { to = "/init.sql" }
  directory "data" { to = "/data" }
  directory "/srv/dumps" { to = "/dumps" }
}
`

// files are beside deploy.hcl in a test.
func withFiles(text string, files map[string]string) Options {
	opts := in(text, "")
	read := opts.ReadFile
	opts.ReadFile = func(path string) ([]byte, error) {
		if data, ok := files[path]; ok {
			return []byte(data), nil
		}
		if path == "deploy.hcl" {
			return read(path)
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return opts
}

func TestAnAccessoryIsReadIntoARelease(t *testing.T) {
	r := load(t, withFiles(besideText, map[string]string{"redis.conf.tmpl": "requirepass ${secret(\"REDIS_PASSWORD\")}\nmaxmemory ${local.size}\n", "init.sql": "SELECT 1;\n"}))
	a, ok := r.Accessory("redis")
	if !ok {
		t.Fatal("there is none")
	}
	want := Accessory{Name: "redis", Service: r.Service + "-redis", Image: "redis:latest", Hosts: []string{"10.0.0.9"}, Network: "kamal", Restart: "always",
		Env:     Env{Clear: map[string]string{"TZ": "UTC"}, Secrets: map[string]string{"REDIS_PASSWORD": "REDIS_PASSWORD"}},
		Volumes: []string{"sockets:/run/redis", "./backups:/backups"}, Logging: Logging{Driver: "json-file", Options: map[string]string{"max-size": "10m"}},
		Options: map[string][]string{"cpus": {"2000000000"}, "publish": {"127.0.0.1:6379:6379", "16379:16379"}}, Stop: Stop{Grace: defaultDrainTimeout}, OnChange: OnChangeRecreate,
		Files: []Placed{
			{Path: "./" + r.Service + "-redis/etc/redis/redis.conf", To: "/etc/redis/redis.conf", Mode: "0640", Owner: "999:999",
				Content: []Part{{Text: "requirepass "}, {Secret: "REDIS_PASSWORD"}, {Text: "\nmaxmemory 1gb\n"}}},
			{Path: "./" + r.Service + "-redis/init.sql", To: "/init.sql", Mode: "0755", Content: []Part{{Text: "SELECT 1;\n"}}},
		},
		Directories: []Placed{{Path: "./" + r.Service + "-redis/data", To: "/data", Mode: "0755"}, {Path: "/srv/dumps", To: "/dumps", Mode: "0755"}}}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, there := r.Host("10.0.0.9"); !there || len(r.UnbuiltFor("plan")) > 0 {
		t.Errorf("hosts %v, refused %v", r.Hosts, r.Unbuilt)
	}
	content, missing := a.Files[0].Fill(map[string]Secret{"REDIS_PASSWORD": NewSecret("s3cret")})
	if missing != "" || content.Reveal() != "requirepass s3cret\nmaxmemory 1gb\n" {
		t.Errorf("it is filled to %q, %q is missing", content.Reveal(), missing)
	}
	role, ok := r.Role(state.AccessoryRole("redis"))
	if env := r.EnvOn(role, Host{Tags: []string{"any"}}); !ok || len(env.Clear) != 1 {
		t.Errorf("as a role: %+v %v", role, env)
	}
	if got, err := json.Marshal(r); err != nil || !strings.Contains(string(got), `"accessories"`) {
		t.Errorf("as JSON: %v", err)
	}
	directories, volumes := a.Data()
	if !slices.Equal(volumes, []string{"sockets"}) || len(directories) != 3 {
		t.Errorf("its data: %v %v", directories, volumes)
	}
}

func TestAnAccessoryIsOnTheHostsOfItsRoles(t *testing.T) {
	r := load(t, in("service = \"s\"\nimage = \"a/s\"\nversion = \"v1\"\nrole \"web\" { hosts = [\"a\", \"b\"] }\nrole \"jobs\" { hosts = [\"b\", \"c\"] }\naccessory \"x\" {\nimage = \"x:1\"\nroles = [\"web\", \"jobs\"]\n}\n", ""))
	if a, _ := r.Accessory("x"); !slices.Equal(a.Hosts, []string{"a", "b", "c"}) {
		t.Errorf("it is on %v", a.Hosts)
	}
}

func TestAnAccessorysImageIsNamedAsEnginesNameIt(t *testing.T) {
	for image, want := range map[string]string{
		`"redis"`: "redis:latest", `"redis:7"`: "redis:7", `"docker.io/library/redis:7"`: "redis:7", `"ghcr.io/a/b"`: "ghcr.io/a/b:latest", `"localhost:5000/x"`: "localhost:5000/x:latest",
		"\"cache:1\"\nregistry { server = \"r.example.com\" }":               "r.example.com/cache:1",
		"\"r.example.com/cache:1\"\nregistry { server = \"r.example.com\" }": "r.example.com/cache:1",
		"\"acme/x:1\"\nregistry { server = \"docker.io\" }":                  "acme/x:1",
	} {
		r := load(t, in(least+"accessory \"x\" {\nhosts = [\"h\"]\nimage = "+image+"\n}\n", ""))
		if a, _ := r.Accessory("x"); a.Image != want {
			t.Errorf("%s is %s, want %s", image, a.Image, want)
		}
	}
}

func TestWhatAnAccessoryCannotHaveIsSaid(t *testing.T) {
	for says, want := range map[string]string{
		"file \"f\" { to = \"etc/f\" }":                                    "to is an absolute path",
		"file \"f\" {\nto = \"/f\"\nmode = \"abc\"\n}":                     "permissions in octal",
		"file \"f\" {\nto = \"/f\"\nowner = \"mysql\"\n}":                  "by number",
		"directory \"../x\" { to = \"/x\" }":                               "has no ..",
		"directory \"x\" {\nto = \"/x\"\noptions = \"what\"\n}":            "no option of a mount",
		"directory \"x\" { to = \"/x\" }\ndirectory \"y\" { to = \"/x\" }": "mounted at /x already",
		"volumes = [\"a:/x\"]\ndirectory \"y\" { to = \"/x\" }":            "mounted at /x already",
		"port = \"http\"":                     "port is what docker run -p takes",
		"file \"key.pem\" { to = \"/k\" }":    "has a private key in it",
		"file \"large\" { to = \"/l\" }":      "configuration of at most",
		"file \"bad.tmpl\" { to = \"/b\" }":   "bad.tmpl, line 1",
		"file \"upper.tmpl\" { to = \"/b\" }": "gives a secret",
		"registry { username = \"u\" }":       "needs both username and password",
	} {
		opts := withFiles(besideFrame(says), map[string]string{"key.pem": "-----BEGIN RSA PRIVATE KEY-----\n", "large": strings.Repeat("x", mostContent+1), "f": "x",
			"bad.tmpl": "${local.nothing}", "upper.tmpl": "${upper(secret(\"ab\"))}"})
		_, diags := Load("deploy.hcl", opts)
		if got := diags.Error(); !strings.Contains(strings.ReplaceAll(got, "\n", " "), want) {
			t.Errorf("%s: said %q, want %q", says, got, want)
		}
	}
}

func TestAFileThatIsNotThereIsFoundByThePlan(t *testing.T) {
	r := load(t, withFiles(besideFrame("file \"f\" { to = \"/f\" }"), nil))
	if a, _ := r.Accessory("redis"); !strings.Contains(a.Files[0].Missing, "there is no file f") {
		t.Errorf("%+v", a.Files[0])
	}
	if diags := Validate("deploy.hcl", withFiles(besideFrame("file \"f\" { to = \"/f\" }"), nil)); diags.Len() > 0 {
		t.Errorf("validate reads it: %s", diags.Error())
	}
}
