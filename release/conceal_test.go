package release

import (
	"encoding/json"
	"strings"
	"testing"
)

const canary = "canary-5f3a"

// leaks are ways to write a secret where a reference belongs, and to be wrong about it.
var leaks = []string{
	"registry {\n username = \"u\"\n password = \"canary-5f3a\"\n}\n",
	"registry {\n password = [\"canary-5f3a\"]\n}\n",
	"registry {\n password = { a = \"canary-5f3a\" }\n}\n",
	"registry {\n password = \"canary-5f3a\n}\n",
	"registry { password = \"canary-5f3a\", username = \"u\" }\n",
	"registry {\n password = \"canary-5f3a\"\n password = \"canary-5f3a\"\n}\n",
	"registry {\n password = \"canary-5f3a\" + 1\n}\n",
	"registry {\n password = upper(\"canary-5f3a\", 1)\n}\n",
	"registry {\n password = canary-5f3a\n}\n",
	"registry {\n passwrd = \"canary-5f3a\"\n}\n",
	"registry {\n password: \"canary-5f3a\"\n}\n",
	"registry_password = \"canary-5f3a\"\n",
	"REGISTRY_PASSWORD = \"canary-5f3a\" oops\n",
	"registry {\n password = <<EOT\ncanary-5f3a\nEOT\n oops\n}\n",
	"registry {\n password = \"x-${secret(\"A\")}-canary-5f3a\"\n}\n",
	"ssh { key_data = [\"canary-5f3a\"] }\n",
	"ssh {\n key_data = \"canary-5f3a\"\n}\n",
	"ssh {\n key_data = [\n \"canary-5f3a\",\n \"canary-5f3a\" oops\n ]\n}\n",
	"proxy {\n certificate = \"canary-5f3a\"\n private_key = \"canary-5f3a\"\n}\n",
	"accessory \"redis\" {\n registry { password = \"canary-5f3a\" }\n}\n",
	"destination \"eu\" {\n registry { password = \"canary-5f3a\" }\n}\n",
	"locals {\n pw = \"canary-5f3a\"\n x = upper([local.pw])\n}\nregistry {\n password = local.pw\n}\n",
	"token \"ci\" {\n hash = \"canary-5f3a\"\n}\n",
	"token \"ci\" {\n hash = [\"canary-5f3a\"]\n}\n",
	"app \"shop\" {\n notify \"webhook\" {\n secret = \"canary-5f3a\"\n }\n}\n",
}

func TestASecretThatIsWrittenOutIsShownNowhere(t *testing.T) {
	for _, leak := range leaks {
		for name, text := range map[string]string{"alone": leak, "after others": least + leak, "before others": leak + least + "oops = 1\n"} {
			if strings.Contains(leak, "\n x = upper") {
				text = strings.Replace(text, "pw = \"canary-5f3a\"", "pw = env(\"PW\")", 1)
			}
			printed := everythingSaid(t, text)
			if strings.Contains(printed, canary) {
				t.Errorf("%s:\n%s\nsays\n%s", name, text, printed)
			}
			if !strings.Contains(printed, "rror") {
				t.Errorf("%s:\n%s\nsays nothing", name, text)
			}
		}
	}
}

// everythingSaid is what is printed of a text, as deploy.hcl and as kamald.hcl, and as data.
func everythingSaid(t testing.TB, text string) string {
	t.Helper()
	opts := memory(map[string]string{"deploy.hcl": text, "kamald.hcl": text, "deploy.eu.hcl": text})
	opts.Env = func(name string) (string, bool) { return canary, name == "PW" }
	_, diags := Load("deploy.hcl", opts)
	printed := ""
	for _, d := range []Diagnostics{diags, Validate("deploy.hcl", opts), ValidateBastion("kamald.hcl", opts)} {
		data, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if d.Len() > 0 {
			printed += d.Error()
		}
		printed += string(data)
	}
	return printed
}
