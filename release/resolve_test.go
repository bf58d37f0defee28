package release

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is resolved, read again, is the same release: nothing is lost, and nothing is said twice.
func TestAResolvedFileIsTheSameRelease(t *testing.T) {
	reference, err := os.ReadFile("testdata/deploy.reference.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ text, destination string }{
		"the least":              {least, ""},
		"a destination":          {laid, "staging"},
		"an emptied role":        {laid, "quiet"},
		"the whole vocabulary":   {string(reference), ""},
		"its destination":        {string(reference), "staging"},
		"what must be quoted":    {least + "env {\n clear = { A = \"$${b} %%{c} \\\"\\n\", \"x.y\" = 1, H = host_env(\"HOST\") }\n secret = [\"A_SECRET:B\"]\n}\n", ""},
		"sizes and lists":        {least + "proxy {\n buffering {\n  memory = \"1500\"\n  max_request_body = \"40m\"\n }\n}\nssh {\n config = false\n key_data = [secret(\"K\")]\n}\nrollout { limit = 2 }\n", ""},
		"env of tags":            {least + "host \"10.0.0.1\" { tags = [\"x\"] }\ntag \"x\" {\n env { clear = { A = \"1\" } }\n}\nrole \"jobs\" {\n tags = [\"x\"]\n env { remove = [\"A\"] }\n}\n", ""},
		"a log driver elsewhere": {least + "logging { driver = \"local\" }\nrole \"jobs\" {\n hosts = [\"h\"]\n logging { options = { max-size = \"1m\" } }\n}\n", ""},
		"stop and drain":         {least + "stop_timeout = \"20s\"\nrole \"jobs\" {\n hosts = [\"h\"]\n proxied = true\n proxy { hosts = [\"j.example.com\"] }\n}\n", ""},
	} {
		opts := in(test.text, test.destination)
		want, text, diags := Resolve("deploy.hcl", opts)
		if diags.HasErrors() {
			t.Fatalf("%s: %s", name, diags.Error())
		}
		again := in(string(text), "")
		got, diags := Load("deploy.hcl", again)
		if diags.HasErrors() {
			t.Fatalf("%s: %s\n%s", name, diags.Error(), text)
		}
		got.Destination, want.Unbuilt, got.Unbuilt = want.Destination, nil, nil
		forgetWhoSaidIt(&want)
		forgetWhoSaidIt(&got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s\nin\n%s", name, diff, text)
		}
		if !bytes.Equal(Format(text), text) {
			t.Errorf("%s is not formatted:\n%s", name, text)
		}
	}
}

// forgetWhoSaidIt takes away the notes of whether the file itself has a default, which is no part of what a release does.
func forgetWhoSaidIt(r *Release) {
	r.SSH.UserDefault, r.SSH.PortDefault = false, false
	for i := range r.Hosts {
		r.Hosts[i].SSH.UserDefault, r.Hosts[i].SSH.PortDefault = false, false
	}
}

func TestAResolvedFileMarksItsDefaultsAndHasNoSecret(t *testing.T) {
	_, text, diags := Resolve("deploy.hcl", in(least+"network = \"other\"\nregistry {\n username = \"u\"\n password = secret(\"P\")\n}\nenv { clear = { A = upper(\"x\") } }\n", ""))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	got := strings.Join(strings.Fields(string(text)), " ")
	for _, want := range []string{`deploy_timeout = "30s" # default`, `network = "other" hooks_path = ".kamald/hooks" # default hooks_output = "show" # default registry {`, `password = secret("P")`, `A = "X"`, `app_port = 80 # default`,
		`version = "0123456789abcdef" # default`, `grace = "10s" # default`, `# cmd: the image's`, `hosts = ["10.0.0.1"]`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
