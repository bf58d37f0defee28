package secrets

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kamald/kamald/release"
)

// doppler's is the plainest of the answers: what these tests are about is not the source.
func dopplerCalls(config, get, out string) []call {
	return []call{{Line: "doppler me --json", Out: "{}"}, {Line: "doppler secrets get " + get + " --json -p shop -c " + config, Out: out}}
}

func from(config string, keys ...string) release.Fetch {
	return release.Fetch{Source: "doppler", From: "shop/" + config, Keys: keys}
}

func TestABlockIsAskedOnceAndOnlyForWhatItDeclares(t *testing.T) {
	at := vendors(t, dopplerCalls("prd", "A B", `{"A":{"computed":"a"},"B":{"computed":"b"}}`)...)
	write(t, at.dir, "secrets", "FILE=of the file\nB=the file's")
	l := open(t, at, []string{"secrets"}, from("prd", "A", "B"), from("never", "C"))
	want(t, l, "FILE", "of the file")
	if made := lines(os.Getenv(scriptVariable) + ".made"); len(made) != 0 {
		t.Fatalf("before a secret of a block was asked for: %v", made)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { want(t, l, "A", "a") })
	}
	group.Wait()
	want(t, l, "B", "the file's")
	if _, ok, err := l.Secret("NOWHERE"); ok || err != nil {
		t.Errorf("a name that nothing has: %v, %v", ok, err)
	}
	if got := l.Sources(); !slices.Equal(got, []string{"secrets", `fetch "doppler" (shop/prd)`, `fetch "doppler" (shop/never)`}) {
		t.Errorf("searched %v", got)
	}
}

func TestLaterBlocksWinAndKeysMayGiveAnotherName(t *testing.T) {
	calls := append(dopplerCalls("prd", "A B", `{"A":{"computed":"a"},"B":{"computed":"b"}}`), dopplerCalls("staging", "A X", `{"A":{"computed":"staging's"},"X":{"computed":"x"}}`)...)
	at := vendors(t, calls...)
	l := open(t, at, nil, from("prd", "A", "B"), from("staging", "A", "DB_PASSWORD=X"))
	want(t, l, "B", "b")
	want(t, l, "A", "staging's")
	want(t, l, "DB_PASSWORD", "x")
	if _, ok, _ := l.Secret("X"); ok {
		t.Error("a key that has another name is there by its own too")
	}
}

func TestABlockThatTakesAllIsAskedForWhatNoneDeclares(t *testing.T) {
	in := call{Line: "doppler me --json", Out: "{}"}
	at := vendors(t, in, call{Line: "doppler secrets --json -p shop -c prd", Out: `{"A":{"computed":"a"}}`})
	write(t, at.dir, "secrets", "FROM=<$A>\nHOME_IS=$HOME")
	at.env = func(name string) (string, bool) { return "/home/me", name == "HOME" }
	l := open(t, at, []string{"secrets"}, from("prd"))
	want(t, l, "HOME_IS", "/home/me")
	want(t, l, "FROM", "<a>")
	want(t, l, "A", "a")
}

func TestWhatASourceAloneKnowsTheNameOfIsFound(t *testing.T) {
	const id = "82aeb5bd-6958-4a89-8197-eacab758acce"
	get := func(name string) []call {
		return []call{{Line: "bws project list --output json", Out: "[]"}, {Line: "bws secret get " + id + " --output json", Out: `{"key":"` + name + `","value":"v"}`}}
	}
	l := open(t, vendors(t, get("TOKEN")...), nil, release.Fetch{Source: "bitwarden-sm", Keys: []string{id}})
	want(t, l, "TOKEN", "v")
	if all, failed := l.All(); len(all) != 1 || all[0].Name != "TOKEN" || failed != nil {
		t.Errorf("all: %v, %v", all, failed)
	}
	want(t, open(t, vendors(t, get("TOKEN")...), nil, release.Fetch{Source: "bitwarden-sm", Keys: []string{"OTHER=" + id}}), "OTHER", "v")
}

func TestANameForSeveralSecretsIsRefused(t *testing.T) {
	at := vendors(t, call{Line: "aws secretsmanager batch-get-secret-value --secret-id-list app --output json", Out: `{"SecretValues":[{"Name":"app","SecretString":"{\"A\":\"` + canary + `\"}"}]}`})
	l := open(t, at, nil, release.Fetch{Source: "aws-secrets-manager", Keys: []string{"DB=app"}})
	if _, _, err := l.Secret("DB"); err == nil || !strings.Contains(err.Error(), `fetch "aws-secrets-manager": app is no single secret there, so that it cannot have the name DB`) {
		t.Errorf("said %v", err)
	}
}

func TestABlockThatFailsIsNamedAndFailsOnlyItsOwn(t *testing.T) {
	at := vendors(t, append(dopplerCalls("prd", "A", canary), dopplerCalls("staging", "B", `{"B":{"computed":"b"}}`)...)...)
	write(t, at.dir, "secrets", "C=c\nUSES=$A\nD=$GONE")
	l := open(t, at, []string{"secrets"}, from("prd", "A"), from("staging", "B"))
	_, ok, err := l.Secret("A")
	if ok || err == nil || !strings.Contains(err.Error(), `fetch "doppler" (shop/prd): Doppler: what doppler answered cannot be read`) {
		t.Errorf("said %v", err)
	}
	want(t, l, "B", "b")
	all, failed := l.All()
	if len(all) != 2 || all[0].Name != "C" || all[1].Name != "B" || len(failed) != 3 {
		t.Errorf("all: %v; failed: %v", all, failed)
	}
	for i, part := range []string{"USES: secrets:2: USES: it refers to $A", "D: secrets:3: D refers to $GONE, which is not set", "A: fetch"} {
		if len(failed) > i && !strings.Contains(failed[i].Error(), part) {
			t.Errorf("said %v, want %q", failed[i], part)
		}
	}
	for _, err := range failed {
		if strings.Contains(err.Error(), canary) {
			t.Errorf("a secret in an error: %v", err)
		}
	}
}

// What a file of Kamal's has, word for word.
func TestAFileOfKamalsWorksWithoutKamal(t *testing.T) {
	field := func(label string) string {
		return `{"label":"` + label + `","value":"` + v(label) + `","reference":"op://Vault/My Item/` + label + `"}`
	}
	at := vendors(t, call{Line: "op account get --account acme"},
		call{Line: "op item get ⟨My Item⟩ --vault Vault --format json --account acme --fields label=A,label=B", Out: "[" + field("A") + "," + field("B") + "]"})
	write(t, at.dir, "secrets", `ITEM='My Item'
SECRETS=$(kamal secrets fetch --adapter 1password --account acme --from "Vault/$ITEM" A B)
A=$(kamal secrets extract A ${SECRETS})
B=$(kamald secrets extract B $SECRETS)
BOTH="$(kamal secrets extract A \"$SECRETS\")/$B"
`)
	l := open(t, at, []string{"secrets"})
	want(t, l, "A", v("A"))
	want(t, l, "B", v("B"))
	want(t, l, "BOTH", v("A")+"/"+v("B"))
}

func TestACallFromAFileIsCarriedOutOrGoesToTheShell(t *testing.T) {
	for _, c := range []struct{ name, line, want, says string }{
		{name: "Kamal's escaped JSON", line: `K=$(kamal secrets extract A \\{\\"A\\":\\"b\\"\\})`, want: "b"},
		{name: "single quotes", line: `K=$(kamal secrets extract A '{"A":"b c"}')`, want: "b c"},
		{name: "a value with spaces is one word", line: "J='{\"A\": \"b  c\"}'\nK=$(kamald secrets extract A $J)", want: "b  c"},
		{name: "a flag of Kamal's", line: `K=$(kamal secrets extract --inline A '{"A":"b"}')`, want: "b"},
		{name: "a pipe is the shell's", line: `K=$(echo '{"A":"b"}' | sed s/b/shell/)`, want: `{"A":"shell"}`},
		{name: "another program is the shell's", line: `K=$(echo kamal secrets fetch)`, want: "kamal secrets fetch"},
		{name: "no such secret", line: `K=$(kamal secrets extract B '{"A":"` + canary + `"}')`, says: "there is no secret B in what was fetched: no key is that, or ends in /B; its keys are A"},
		{name: "no JSON", line: `K=$(kamal secrets extract B ` + canary + `)`, says: "is no JSON object"},
		{name: "no adapter", line: `K=$(kamal secrets fetch A)`, says: "needs --adapter"},
		{name: "an unknown flag", line: `K=$(kamal secrets fetch --` + canary + `)`, says: "flags that it has not"},
		{name: "print", line: `K=$(kamal secrets print)`, says: "a file can call fetch and extract"},
		{name: "a secret in the wrong place", line: `K=$(kamal secrets ` + canary + ` --x)`, says: "a file can call fetch and extract"},
		{name: "half an extract", line: `K=$(kamal secrets extract A)`, says: "extract NAME $SECRETS"},
		{name: "an unknown adapter", line: `K=$(kamal secrets fetch --adapter lostpass --account me A)`, says: `Did you mean "lastpass"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := lookup(t, c.line)
			if err != nil {
				t.Fatal(err)
			}
			secret, ok, err := l.Secret("K")
			switch {
			case c.says == "" && (!ok || err != nil || secret.Reveal() != c.want):
				t.Errorf("got %q, %v, %v, want %q", secret.Reveal(), ok, err, c.want)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary)):
				t.Errorf("said %v, want %q", err, c.says)
			}
		})
	}
}

func TestACallThatRefersToWhatIsNotSetIsNoSecret(t *testing.T) {
	l, err := lookup(t, "K=$(kamal secrets extract A $GONE)")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := l.Secret("K"); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if got := strings.Join(l.Sources(), "|"); !strings.Contains(got, "secrets:1: K refers to $GONE, which is not set") {
		t.Errorf("searched %s", got)
	}
}

func TestABlockOfAnUnknownSourceIsRefused(t *testing.T) {
	if _, err := Load(t.TempDir(), nil, []release.Fetch{{Source: "paper"}}, none); err == nil || !strings.Contains(err.Error(), `fetch "paper": there is no secrets adapter "paper"`) {
		t.Errorf("said %v", err)
	}
}

func open(t *testing.T, at surroundings, files []string, fetches ...release.Fetch) *Lookup {
	t.Helper()
	l, err := load(at, files, fetches)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func want(t *testing.T, l *Lookup, name, value string) {
	t.Helper()
	if got, ok, err := l.Secret(name); !ok || err != nil || got.Reveal() != value {
		t.Errorf("%s: got %q, %v, %v, want %q", name, got.Reveal(), ok, err, value)
	}
}
