package secrets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestValuesAreReadAsDotenvHasThem(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", "K=value", "value"},
		{"empty", "K=", ""},
		{"export", "export K=value", "value"},
		{"spaces around", "  K = two words  \n", "two words"},
		{"windows", "\ufeffK=value\r\n", "value"},
		{"trailing comment", "K=value # not it", "value"},
		{"only a comment", "K= # not it", ""},
		{"hash within quotes", "K='a#b' # c", "a#b"},
		{"hash alone", "K=#not it", ""},
		{"yaml's colon", "K: value", "value"},
		{"spaces around the sign", "K =value", "value"},
		{"exported afterwards", "K=value\nexport K", "value"},
		{"exported by a tab", "export\tK=value", "value"},
		{"one sign in the value", "K=a=b", "a=b"},
		{"quotes within", `K=a"b"c`, `a"b"c`},
		{"old line breaks", "A=x\rK=y\rB=z", "y"},
		{"windows' line breaks in quotes", "K=\"one\r\ntwo\"", "one\ntwo"},
		{"a quote after a backslash", "K='this is \\'quoted\\'\none more'", "this is \\'quoted\\'\none more"},
		{"a backslash before the closing quote", "K='a\\'\nL='b'", "a\\"},
		{"backslashes without quotes", `K=a\ b\nc\\d`, `a bnc\d`},
		{"a backslash at the end", "K=a\\\nL=b", "a\\"},
		{"a command's line break", "K=$(printf 'x\\n\\n' | tr x y)", "ynn"},
		{"one line break is taken from a command's end", `K=$(printf 'x\\n\\n')`, "x\n"},
		{"a backslash goes before a command sees it", `K=$(echo 1 2 | awk '{print \$2}')`, "2"},
		{"quotes with backslashes in a quoted command", `K="$(echo \"a)\" b)"`, "a) b"},
		{"escaped command", `K=a-\$(echo hello)`, "a-$(echo hello)"},
		{"nested commands", `K=$(echo "$(echo "$(echo hello)")")`, "hello"},
		{"line breaks as Kamal reads them", `K="a\nb\rc"`, `a\nb\rc`},
		{"line breaks in dotenv's old mode", "DOTENV_LINEBREAK_MODE=legacy\nK=\"a\\nb\\rc\"", "a\nb\rc"},
		{"a digit first", "1K=v\nK=$1K", "v"},
		{"single quotes are literal", `K='$HOME \n "x"' # c`, `$HOME \n "x"`},
		{"double quotes escape", `K="a\"b\\\$ \q"`, `a"b\$ q`},
		{"multi-line", "K=\"one\ntwo\" # c\nL=x", "one\ntwo"},
		{"multi-line single", "K='one\ntwo'", "one\ntwo"},
		{"variable", "K=a${ENV}b$ENV/c", "afrom envb" + "from env/c"},
		{"variable in double quotes", `K="$ENV"`, "from env"},
		{"escaped dollar", `K=\$ENV`, "$ENV"},
		{"a dollar alone", "K=a$ $.", "a$ $."},
		{"file beats environment", "ENV=from file\nK=$ENV", "from file"},
		{"itself is the environment's", "ENV=$ENV!\nK=$ENV", "from env!"},
		{"command", "K=$(echo 'a) b'; echo \"(c\")", "a) b\n(c"},
		{"command in quotes", `K="<$(printf x)>"`, "<x>"},
		{"command sees the files' values", `ABOVE='a  b'` + "\n" + `K=$(printf %s "$ABOVE")`, "a  b"},
		{"command runs beside the file", "K=$(cat beside)", "content"},
		{"last one wins", "K=one\nK=two", "two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := lookup(t, c.text)
			if err != nil {
				t.Fatal(err)
			}
			got, ok, err := d.Secret("K")
			if err != nil || !ok || got.Reveal() != c.want {
				t.Fatalf("got %q, %v, %v, want %q", got.Reveal(), ok, err, c.want)
			}
		})
	}
}

func TestLaterFilesWinAndMissingOnesAreSkipped(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "common", "A=common\nB=common")
	write(t, dir, "staging", "B=staging of $A")
	d, err := Load(dir, []string{"common", "staging", "absent", "secrets."}, nil, none)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "common", "B": "staging of common"} {
		if got, ok, err := d.Secret(name); !ok || err != nil || got.Reveal() != want {
			t.Errorf("%s: %q, %v, %v", name, got.Reveal(), ok, err)
		}
	}
	if _, ok, err := d.Secret("C"); ok || err != nil {
		t.Errorf("an unknown name: %v, %v", ok, err)
	}
	if got := fmt.Sprint(d.Sources()); got != "[common staging absent (not there)]" {
		t.Errorf("sources: %s", got)
	}
}

func TestAReferenceToWhatIsNotSetIsNoSecretAndIsNamed(t *testing.T) {
	d, err := lookup(t, "A=1\nK=x$NOWHERE\nL=$K")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"K", "L"} {
		if _, ok, err := d.Secret(name); ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	if got := strings.Join(d.Sources(), "|"); !strings.Contains(got, "secrets:2: K refers to $NOWHERE, which is not set") {
		t.Errorf("sources: %s", got)
	}
}

func TestCommandsRunOnceAndOnlyWhenASecretIsAskedFor(t *testing.T) {
	d, err := lookup(t, "K=$(echo run >> ran; echo x)")
	if err != nil {
		t.Fatal(err)
	}
	ran := filepath.Join(d.files.at.dir, "ran")
	if _, err := os.Stat(ran); err == nil {
		t.Fatal("the command ran before a secret was asked for")
	}
	for range 3 {
		_, _, _ = d.Secret("K")
	}
	if data, _ := os.ReadFile(ran); string(data) != "run\n" {
		t.Fatalf("the command ran like this: %q", data)
	}
}

func TestWhatACommandLeavesBehindIsNotWaitedFor(t *testing.T) {
	d, err := lookup(t, "A=$(sleep 15 & echo a)")
	if err != nil {
		t.Fatal(err)
	}
	d.files.at.timeout = 10 * time.Second // waited for, it is an error
	if secret, ok, err := d.Secret("A"); err != nil || !ok || secret.Reveal() != "a" {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestAFailedCommandIsNamedWithItsComplaintAndWithoutItsOutput(t *testing.T) {
	d, err := lookup(t, "# one\nBAD=$(echo canary; echo no such vault >&2; exit 3)\nUSES=$BAD\nGOOD=x")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"BAD", "USES"} {
		_, ok, err := d.Secret(name)
		if ok || err == nil || strings.Contains(err.Error(), "canary") {
			t.Fatalf("%s: %v, %v", name, ok, err)
		}
		for _, part := range []string{"secrets:2", "BAD", "exit status 3", "no such vault"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: the error lacks %q: %v", name, part, err)
			}
		}
	}
	if _, ok, err := d.Secret("GOOD"); !ok || err != nil {
		t.Fatalf("another secret fell with it: %v", err)
	}
}

func TestNoErrorOfALineHasAValueOfTheLinesAbove(t *testing.T) {
	for _, c := range []struct{ name, line, says string }{
		{"a command that complains of it", `K=$(echo "no $PLAIN" >&2; exit 3)`, "no (secret)"},
		{"one of the secrets within JSON", `K=$(echo "no canary-within" >&2; exit 3)`, "no (secret)"},
		{"one that is part of another", `K=$(echo "no $LONGER" >&2; exit 3)`, "no (secret)"},
		{"a key that begins with a dash", `K=$(kamald secrets fetch --adapter age --from "-$JSON" A)`, "begins with a dash"},
		{"a key", `K=$(kamald secrets fetch --adapter 1pass "$PLAIN")`, "no secrets adapter"},
		{"an adapter", `K=$(kamald secrets fetch --adapter "$PLAIN" A)`, "no secrets adapter"},
		{"arguments that are swapped", `K=$(kamald secrets extract $JSON A)`, "the name first"},
		{"an extract of what is no JSON", `K=$(kamald secrets extract $PLAIN $PLAIN)`, "no JSON object"},
		{"a file that is not there", `K=$(kamald secrets fetch --adapter age --from "$PLAIN")`, "open the encrypted file"},
		{"an identity that is not there", `K=$(kamald secrets fetch --adapter age --from secrets --identity "$PLAIN")`, "identity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := lookup(t, "PLAIN=canary-plain\nLONGER=canary-plain-longer\nJSON='{\"A\":\"canary-within\"}'\n"+c.line)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok, err := d.Secret("K"); ok || err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "longer") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("said %v", err)
			}
		})
	}
}

func TestAllErrorsOfAFileNameTheirLineAndNoValue(t *testing.T) {
	_, err := lookup(t, "A=1\ncanary\nB=\"x\" canary\nC=${canary:-x}\nD=$(canary")
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Fatal(err)
	}
	for _, part := range []string{"secrets:2: ", "secrets:3: B: ", "secrets:4: C: ", "secrets:5: D: "} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
}

func TestASecretIsNotPrinted(t *testing.T) {
	d, err := lookup(t, "K=canary")
	if err != nil {
		t.Fatal(err)
	}
	secret, _, _ := d.Secret("K")
	if got := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); strings.Contains(got, "canary") {
		t.Fatal(got)
	}
}

func TestWhatIsStricterThanTheGemSaysSo(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"a line that says nothing", "K", "no KEY=VALUE"},
		{"an export of what is not set", "export K", "no KEY=VALUE"},
		{"a value that the gem would cut", "K=a#b", "a # stands in its value"},
		{"text after a quote", `K="a" b`, "quote the whole value"},
		{"a default", "K=${A:-b}", "${NAME}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := lookup(t, c.text); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("said %v, want %q", err, c.says)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"K=v", "export K='a\nb' # c", `K="a\"$X${Y}$(z)"`, "K=$(", "K=${", "\\", "K=\"\\", "K: v", `K='a\'`} {
		f.Add(seed)
	}
	const canary = "c4naryvalue"
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parse("f", text, false)
		for _, open := range []string{"", "'", `"`, "$(", "${", "$", `\`, "ok' "} {
			if _, err := parse("f", "K="+open+canary+text, false); err != nil && strings.Contains(err.Error(), canary) {
				t.Fatalf("a value is shown: %v", err)
			}
		}
		if strings.ContainsAny(text, "'\r") {
			return
		}
		entries, err := parse("f", "K='"+text+"'\nL=x", false)
		if err != nil || len(entries) != 2 || entries[0].parts[0].text != text || entries[1].line != 2+strings.Count(text, "\n") {
			t.Fatalf("a single-quoted value did not come back: %+v, %v", entries, err)
		}
	})
}

func lookup(t *testing.T, text string) (*Lookup, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "secrets", text)
	write(t, dir, "beside", "content\n")
	return Load(dir, []string{"secrets"}, nil, func(name string) (string, bool) { return "from env", name == "ENV" })
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func none(string) (string, bool) { return "", false }
