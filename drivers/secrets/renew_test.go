package secrets

import (
	"os"
	"strings"
	"testing"
)

// counting is a command that writes how often it was called.
const counting = `$(n=\$(cat %[1]s 2>/dev/null || true); n="x\$n"; printf %%s "\$n" > %[1]s; printf %%s "\$n")`

func times(file string) string {
	return strings.ReplaceAll(strings.ReplaceAll(counting, "%[1]s", file), "%%", "%")
}

func renewed(t *testing.T, l *Lookup, name, want string) {
	t.Helper()
	got, ok, err := l.Renew(name)
	if !ok || err != nil || got.Reveal() != want {
		t.Errorf("%s renewed: %v, %v, and it is not %q", name, ok, err, want)
	}
}

func TestASecretThatIsRenewedRunsItsOwnCommandsAgainAndNoOthers(t *testing.T) {
	at := vendors(t)
	at.env = func(string) (string, bool) { return "", false }
	t.Setenv("PATH", "/usr/bin:/bin")
	write(t, at.dir, "secrets", "OTHER="+times("other")+"\nLOGIN="+times("login")+"\nREGISTRY_PASSWORD=$(printf %s \"$LOGIN-token\")\nSAME=fixed\nGONE=$NOWHERE\n")
	l := open(t, at, []string{"secrets"})
	want(t, l, "REGISTRY_PASSWORD", "x-token")
	renewed(t, l, "REGISTRY_PASSWORD", "xx-token")
	want(t, l, "REGISTRY_PASSWORD", "xx-token")
	want(t, l, "LOGIN", "xx")
	want(t, l, "OTHER", "x")
	renewed(t, l, "OTHER", "xx")
	renewed(t, l, "SAME", "fixed")
	want(t, l, "REGISTRY_PASSWORD", "xx-token")
	if sources := l.Sources(); len(sources) != 2 || !strings.Contains(sources[1], "$NOWHERE") {
		t.Errorf("what led nowhere, once: %v", sources)
	}
}

func TestASecretOfABlockThatIsRenewedIsFetchedAgain(t *testing.T) {
	calls := append(dopplerCalls("prd", "A", `{"A":{"computed":"old"}}`), dopplerCalls("prd", "A", `{"A":{"computed":"new"}}`)...)
	at := vendors(t, calls...)
	write(t, at.dir, "secrets", "FROM=<$A>\nPLAIN=plain")
	l := open(t, at, []string{"secrets"}, from("prd", "A"), from("never", "C"))
	want(t, l, "FROM", "<old>")
	renewed(t, l, "PLAIN", "plain")
	if made := lines(os.Getenv(scriptVariable) + ".made"); len(made) != 2 {
		t.Fatalf("a secret that is not of the block made it be asked again: %v", made)
	}
	renewed(t, l, "FROM", "<new>")
	want(t, l, "A", "new")
}

func TestACommandThatFailsWhenItIsRunAgainIsAnError(t *testing.T) {
	at := vendors(t)
	t.Setenv("PATH", "/usr/bin:/bin")
	write(t, at.dir, "secrets", "TOKEN=$(test ! -e used && touch used && echo token)\n")
	l := open(t, at, []string{"secrets"})
	want(t, l, "TOKEN", "token")
	if _, ok, err := l.Renew("TOKEN"); ok || err == nil || !strings.Contains(err.Error(), "secrets:1: TOKEN: its command failed") {
		t.Errorf("renewed: %v, %v", ok, err)
	}
}
