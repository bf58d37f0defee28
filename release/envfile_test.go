package release

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTheEnvFileIsKamalsSortedLines(t *testing.T) {
	env, multiline := EncodeEnvFile(map[string]Secret{
		"B": NewSecret(`with "quotes", $dollars and \ slashes`), "A": NewSecret("1=2"), "EMPTY": NewSecret(""),
	})
	want := "A=1=2\nB=with \"quotes\", $dollars and \\ slashes\nEMPTY=\n"
	if string(env) != want || multiline != nil {
		t.Fatalf("got %q and %q, want %q", env, multiline, want)
	}
}

func TestAnEmptySetIsASingleNewline(t *testing.T) {
	if env, multiline := EncodeEnvFile(nil); string(env) != "\n" || multiline != nil {
		t.Fatalf("got %q and %q", env, multiline)
	}
}

func TestAMultiLineValueIsEscapedInTheEnvFileAndTrueBesideIt(t *testing.T) {
	env, multiline := EncodeEnvFile(map[string]Secret{"KEY": NewSecret("one\ntwo\n"), "X": NewSecret("y")})
	if string(env) != "KEY=one\\ntwo\\n\nX=y\n" || string(multiline) != "{\n  \"KEY\": \"one\\ntwo\\n\"\n}\n" {
		t.Fatalf("got %q and %q", env, multiline)
	}
}

func TestAnEnvFileThatWasRewrittenWinsOverTheFileBesideIt(t *testing.T) {
	_, multiline := EncodeEnvFile(map[string]Secret{"KEY": NewSecret("old\nvalue"), "GONE": NewSecret("a\nb")})
	values, err := ParseEnv([]byte("# a comment\nKEY=new\r\n"), multiline)
	if err != nil || len(values) != 1 || values["KEY"].Reveal() != "new" {
		t.Fatalf("%d values, KEY %q, %v", len(values), values["KEY"].Reveal(), err)
	}
}

func TestABrokenFileBesideTheEnvFileIsAnErrorWithoutValues(t *testing.T) {
	for _, text := range []string{"canary", `{"KEY": 31337}`, `["canary"]`} {
		_, err := ParseEnv([]byte("KEY=1\n"), []byte(text))
		if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "31337") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestALineThatIsNoKeyAndValueIsNamedByItsNumberAlone(t *testing.T) {
	_, err := ParseEnvFile([]byte("A=1\n\ncanary\n"))
	if err == nil || !strings.Contains(err.Error(), "line 3") || strings.Contains(err.Error(), "canary") {
		t.Fatal(err)
	}
}

func FuzzEnvFileGivesBackWhatWasPutIn(f *testing.F) {
	f.Add("NAME", "value", "one\ntwo")
	f.Add("#N", "\r", `\n`)
	f.Add(" ", "a=b", "")
	f.Fuzz(func(t *testing.T, name, a, b string) {
		if !utf8.ValidString(name) || !utf8.ValidString(a) || !utf8.ValidString(b) {
			t.Skip("a multi-line value must be UTF-8")
		}
		want := map[string]Secret{name: NewSecret(a), "OTHER": NewSecret(b)}
		got, err := ParseEnv(EncodeEnvFile(want))
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("%d values came back, %v", len(got), err)
		}
	})
}
