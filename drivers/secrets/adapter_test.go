package secrets

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/release"
)

// v is a value that must not be seen.
func v(name string) string { return canary + " " + name }

// answer writes what a vendor's program would.
func answer(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type thing = map[string]any

// fetching is a case: a query, the calls it comes to, and what it gives as JSON or says as an error.
type fetching struct {
	name    string
	query   Query
	vars    map[string]string
	typed   string // somebody is at the terminal; "-": and types nothing
	missing bool   // the program is not installed
	calls   []call
	want    string
	says    []string
}

func (c fetching) run(t *testing.T, adapter string) {
	t.Run(c.name, func(t *testing.T) {
		a, err := adapterNamed(adapter)
		if err != nil {
			t.Fatal(err)
		}
		programs := []string{a.program}
		if c.missing {
			programs = nil
		}
		at := with(installed(t, programs, c.calls), c.vars)
		if c.typed != "" {
			at = someone(t, at, strings.TrimPrefix(c.typed, "-"))
		}
		c.query.Adapter = adapter
		all, err := fetch(context.Background(), at, c.query)
		if len(c.says) == 0 {
			if err != nil || object(all) != c.want {
				t.Fatalf("got  %s, %v\nwant %s", object(all), err, c.want)
			}
			return
		}
		if err == nil {
			t.Fatalf("no error; got %s", object(all))
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error lacks %q: %v", part, err)
			}
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("the error has a secret in it: %v", err)
		}
	})
}

func TestOnePassword(t *testing.T) {
	field := func(section, label, value string) thing {
		path := "Production/Shop/" + label
		if section != "" {
			path = "Production/Shop/" + section + "/" + label
		}
		return thing{"id": "x", "type": "CONCEALED", "label": label, "section": thing{"id": "s", "label": section}, "value": value, "reference": "op://" + path}
	}
	in := call{Line: "op account get --account acme"}
	for _, c := range []fetching{
		{name: "all keys of an item come by one call", query: Query{Account: "acme", From: "op://Production/Shop", Keys: []string{"A", "Section/B"}},
			calls: []call{in, {Line: "op item get Shop --vault Production --format json --account acme --fields label=A,label=Section.B",
				Out: answer(t, []thing{field("", "A", v("a")), field("Section", "B", v("b"))})}},
			want: `{"Production/Shop/A":"canary-7f3a a","Production/Shop/Section/B":"canary-7f3a b"}`},
		{name: "one field comes without a list, and several items by several calls", query: Query{Account: "acme", From: "Production", Keys: []string{"Shop/A", "My Item/B"}},
			calls: []call{in, {Line: "op item get Shop --vault Production --format json --account acme --fields label=A", Out: answer(t, field("", "A", v("a")))},
				{Line: "op item get ⟨My Item⟩ --vault Production --format json --account acme --fields label=B", Out: answer(t, thing{"label": "B", "value": v("b"), "reference": "op://Production/My Item/B"})}},
			want: `{"Production/Shop/A":"canary-7f3a a","Production/My Item/B":"canary-7f3a b"}`},
		{name: "a path that ends at the item is its password", query: Query{Account: "acme", Keys: []string{"op://Production/Shop"}},
			calls: []call{in, {Line: "op item get Shop --vault Production --format json --account acme --fields label=password", Out: answer(t, field("", "password", v("p")))}},
			want:  `{"Production/Shop":"canary-7f3a p"}`},
		{name: "without keys all fields that have a value", query: Query{Account: "acme", From: "op://Production/Shop"},
			calls: []call{in, {Line: "op item get Shop --vault Production --format json --account acme",
				Out: answer(t, thing{"id": "i", "title": "Shop", "fields": []thing{field("", "A", v("a")), {"id": "notesPlain", "label": "notesPlain", "reference": "op://Production/Shop/notesPlain"}}})}},
			want: `{"Production/Shop/A":"canary-7f3a a"}`},
		{name: "who is not signed in is asked, and the session's token is in no argument", query: Query{Account: "acme", From: "Production/Shop", Keys: []string{"A"}}, typed: "password",
			calls: []call{{Line: "op account get --account acme", Code: 1}, {Line: "op signin --account acme --force", Stdin: "password", Out: "export OP_SESSION_abc=\"" + canary + "-token\"\n# This command is meant to be used with your shell's eval function.\n"},
				{Line: "op item get Shop --vault Production --format json --account acme --fields label=A", Env: map[string]string{"OP_SESSION_abc": canary + "-token"}, Out: answer(t, field("", "A", v("a")))}},
			want: `{"Production/Shop/A":"canary-7f3a a"}`},
		{name: "the desktop app gives no token", query: Query{Account: "acme", From: "Production/Shop", Keys: []string{"A"}}, typed: "-",
			calls: []call{{Line: "op account get --account acme", Code: 1}, {Line: "op signin --account acme --force"},
				{Line: "op item get Shop --vault Production --format json --account acme --fields label=A", Out: answer(t, field("", "A", v("a")))}},
			want: `{"Production/Shop/A":"canary-7f3a a"}`},
		{name: "a service account needs no sign-in and no account", query: Query{From: "Production/Shop", Keys: []string{"A"}}, vars: map[string]string{"OP_SERVICE_ACCOUNT_TOKEN": canary},
			calls: []call{{Line: "op item get Shop --vault Production --format json --fields label=A", Out: answer(t, field("", "A", v("a")))}},
			want:  `{"Production/Shop/A":"canary-7f3a a"}`},
		{name: "nobody is there to sign in", query: Query{Account: "acme", From: "Production/Shop", Keys: []string{"A"}},
			calls: []call{{Line: "op account get --account acme", Code: 1, Err: "not signed in"}},
			says:  []string{"1Password", "not logged in", "no terminal", "op signin --account acme", "OP_SERVICE_ACCOUNT_TOKEN", "not signed in"}},
		{name: "signing in fails", query: Query{Account: "acme", From: "Production/Shop", Keys: []string{"A"}}, typed: "wrong",
			calls: []call{{Line: "op account get --account acme", Code: 1}, {Line: "op signin --account acme --force", Stdin: "wrong", Code: 1, Err: "[ERROR] Unauthorized"}},
			says:  []string{"1Password", "the login failed", "Unauthorized"}},
		{name: "no such item, and the token is not quoted", query: Query{Account: "acme", From: "Production/Shop", Keys: []string{"A"}}, typed: "-",
			calls: []call{{Line: "op account get --account acme", Code: 1}, {Line: "op signin --account acme --force", Out: `export OP_SESSION_abc="` + canary + `"`},
				{Line: "op item get Shop --vault Production --format json --account acme --fields label=A", Code: 1, Err: `[ERROR] "Shop" isn't an item; session ` + canary, Out: v("a")}},
			says: []string{"cannot read A of the item Shop in the vault Production", "isn't an item", "session (secret)"}},
		{name: "no such field", query: Query{Account: "acme", From: "Production/Shop", Keys: []string{"A", "Missing"}},
			calls: []call{in, {Line: "op item get Shop --vault Production --format json --account acme --fields label=A,label=Missing", Out: answer(t, []thing{field("", "A", v("a"))})}},
			says:  []string{`no field "Missing"`, "item Shop", "vault Production"}},
		{name: "garbage", query: Query{Account: "acme", From: "Production/Shop", Keys: []string{"A"}},
			calls: []call{in, {Line: "op item get Shop --vault Production --format json --account acme --fields label=A", Out: canary}},
			says:  []string{"1Password", "op answered", "cannot be read"}},
		{name: "an answer of another shape", query: Query{Account: "acme", From: "Production/Shop", Keys: []string{"A"}},
			calls: []call{in, {Line: "op item get Shop --vault Production --format json --account acme --fields label=A", Out: answer(t, thing{"value": []string{canary}})}},
			says:  []string{"cannot be read"}},
		{name: "not installed", missing: true, query: Query{Account: "acme", Keys: []string{"A"}}, says: []string{"1Password", "op, is not installed", "https://developer.1password.com/docs/cli"}},
	} {
		c.run(t, "1password")
	}
}

func TestWhatIsMissingInAQueryIsSaidBeforeAnythingIsAsked(t *testing.T) {
	for _, c := range []struct {
		adapter, program string
		query            Query
		says             string
	}{
		{"one_password", "op", Query{From: "V/I", Keys: []string{"A"}}, "an account is needed"},
		{"1password", "op", Query{Account: "a", Keys: []string{"A"}}, "names no item"},
		{"1password", "op", Query{Account: "a", From: "V"}, "from is Vault/Item"},
		{"aws_secrets_manager", "aws", Query{}, "no key is given"},
		{"bitwarden", "bw", Query{Keys: []string{"A"}}, "an account is needed"},
		{"bitwarden", "bw", Query{Account: "a"}, "no key is given"},
		{"doppler", "doppler", Query{Keys: []string{"A"}}, "--from project/config"},
		{"enpass", "enpass-cli", Query{Keys: []string{"A"}}, "the vault's directory is needed"},
		{"gcp", "gcloud", Query{Keys: []string{"A"}}, "an account is needed"},
		{"last_pass", "lpass", Query{Keys: []string{"A"}}, "an account is needed"},
		{"passbolt", "passbolt", Query{}, "no key is given"},
		{"age", "age", Query{}, "the encrypted file is needed"},
		{"lastpass", "lpass", Query{Account: "a", Keys: []string{"--all"}}, "begins with a dash"},
		{"onepassword", "op", Query{}, `Did you mean "1password"?`},
	} {
		t.Run(c.adapter+" "+c.says, func(t *testing.T) {
			at := installed(t, []string{c.program}, nil)
			c.query.Adapter = c.adapter
			if _, err := fetch(context.Background(), at, c.query); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("said %v, want %q", err, c.says)
			}
		})
	}
}

func TestTheFileKnowsTheSourcesThatThereAreAndWhichOfThemNeedKeys(t *testing.T) {
	said := func(source string) string {
		file := fmt.Sprintf(`
service = "shop"
image   = "shop"
version = "v1"
secrets {
  fetch %q {
    from = "a/b"
  }
}
role "web" { hosts = ["10.0.0.1"] }
`, source)
		_, diags := release.Load("deploy.hcl", release.Options{
			ReadFile: func(name string) ([]byte, error) {
				if name == "deploy.hcl" {
					return []byte(file), nil
				}
				return nil, fs.ErrNotExist
			},
			ReadDir: func(string) ([]string, error) { return nil, nil },
		})
		return fmt.Sprint(diags.Err())
	}
	var names []string
	for _, a := range adapters() {
		names = append(names, a.name)
		if text := said(a.name); strings.Contains(text, "needs keys") != a.keys {
			t.Errorf("%s needs keys: %v; of a fetch block without them the file says %s", a.name, a.keys, text)
		}
	}
	all := `fetch is one of "` + strings.Join(names, `", "`) + `", not "nothing".`
	if text := strings.Join(strings.Fields(said("nothing")), " "); !strings.Contains(text, all) {
		t.Errorf("the file says %s, want %s", text, all)
	}
}

func TestThePageOfSecretsHasEverySourceAndLinesThatAreUnderstood(t *testing.T) {
	data, err := os.ReadFile("../../docs/secrets.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	d := &dotenv{at: vendors(t)} // no program is installed: a call comes as far as that
	fetched := map[string]bool{}
	for _, match := range regexp.MustCompile(`\$\((kamald secrets [^)]*)\)`).FindAllStringSubmatch(page, -1) {
		words := secretsCall(match[1])
		if words == nil {
			t.Errorf("%s is left to sh", match[1])
			continue
		}
		if words[2].Lit() != "fetch" {
			continue
		}
		said := fmt.Sprint(d.substitute(entry{}, match[1]).err)
		for _, a := range adapters() {
			if strings.Contains(said, a.title+": its command line, "+a.program) || a.program == "" && strings.HasPrefix(said, a.title+": open the encrypted file") {
				fetched[a.name] = true
				said = ""
			}
		}
		if said != "" {
			t.Errorf("%s: %s", match[1], said)
		}
	}
	for _, a := range adapters() {
		heading := fmt.Sprintf("### %s (`%s`)", a.title, a.program)
		if a.program != "" && !strings.Contains(page, heading) || !fetched[a.name] || !strings.Contains(page, fmt.Sprintf("fetch %q {", a.name)) {
			t.Errorf("the page lacks %s: its heading, a block or a line", a.name)
		}
	}
}

func TestAProgramThatDoesNotEndIsEnded(t *testing.T) {
	at := vendors(t, call{Line: "aws secretsmanager batch-get-secret-value --secret-id-list A --output json", Forget: true, Err: "still waiting", Out: canary})
	at.timeout = 500 * time.Millisecond
	_, err := fetch(context.Background(), at, Query{Adapter: "aws-secrets-manager", Keys: []string{"A"}})
	if err == nil || !strings.Contains(err.Error(), "did not end within") || !strings.Contains(err.Error(), "still waiting") || strings.Contains(err.Error(), canary) {
		t.Fatalf("said %v", err)
	}
}

func TestEveryAdapterSaysWhereItsProgramIsToBeHad(t *testing.T) {
	for _, a := range adapters() {
		if a.program == "" {
			continue
		}
		_, err := fetch(context.Background(), vendors(t), Query{Adapter: a.name, Account: "a", From: "f/g", Keys: []string{"K"}})
		if err == nil || !strings.Contains(err.Error(), a.title) || !strings.Contains(err.Error(), a.program+", is not installed") || !strings.Contains(err.Error(), a.install) {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}
