package secrets

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/kamald/kamald/release"
)

func TestAnEncryptedFileIsRead(t *testing.T) {
	key := identity(t)
	const text = "# ours\nexport A='a $x'\nB=\"one\ntwo\"\nC=<$B>\n"
	for _, c := range []struct {
		name    string
		armored bool
		fetch   release.Fetch
		prepare func(*testing.T, *surroundings)
	}{
		{name: "by a file that is named", fetch: release.Fetch{Identity: "key.txt"}, prepare: func(t *testing.T, at *surroundings) {
			write(t, at.dir, "key.txt", "# created today\n"+key.String()+"\n")
		}},
		{name: "armored", armored: true, fetch: release.Fetch{Identity: "key.txt"}, prepare: func(t *testing.T, at *surroundings) { write(t, at.dir, "key.txt", key.String()) }},
		{name: "by the key in the variable", prepare: func(_ *testing.T, at *surroundings) {
			*at = with(*at, map[string]string{ageVariable: key.String() + "\n"})
		}},
		{name: "by all of the key's file in the variable", prepare: func(_ *testing.T, at *surroundings) {
			*at = with(*at, map[string]string{ageVariable: "# created today\n# public key: " + key.Recipient().String() + "\n" + key.String() + "\n"})
		}},
		{name: "by a file that the variable names", prepare: func(t *testing.T, at *surroundings) {
			write(t, at.dir, "key.txt", key.String())
			*at = with(*at, map[string]string{ageVariable: filepath.Join(at.dir, "key.txt")})
		}},
		{name: "by the usual file", prepare: func(t *testing.T, at *surroundings) { usual(t, at, ".config", key.String(), "HOME", at.dir) }},
		{name: "by the usual file of XDG", prepare: func(t *testing.T, at *surroundings) {
			usual(t, at, "x", key.String(), "XDG_CONFIG_HOME", filepath.Join(at.dir, "x"))
		}},
		{name: "by a file in the home", fetch: release.Fetch{Identity: "~/k"}, prepare: func(t *testing.T, at *surroundings) {
			write(t, at.dir, "k", key.String())
			*at = with(*at, map[string]string{"HOME": at.dir})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := vendors(t)
			encrypt(t, at.dir, "secrets.age", text, c.armored, key.Recipient())
			c.prepare(t, &at)
			c.fetch.Source, c.fetch.File = "age", "secrets.age"
			l := open(t, at, nil, c.fetch)
			want(t, l, "A", "a $x")
			want(t, l, "C", "<one\ntwo>")
			if all, failed := l.All(); len(all) != 3 || failed != nil {
				t.Errorf("all: %v, %v", all, failed)
			}
		})
	}
}

func TestKeysLimitWhatIsTakenOfAnEncryptedFile(t *testing.T) {
	at, key := vendors(t), identity(t)
	encrypt(t, at.dir, "secrets.age", "A=a\nB=b\nC=c", false, key.Recipient())
	at = with(at, map[string]string{ageVariable: key.String()})
	l := open(t, at, nil, release.Fetch{Source: "age", File: "secrets.age", Keys: []string{"A", "OTHER=B"}})
	want(t, l, "A", "a")
	want(t, l, "OTHER", "b")
	for _, name := range []string{"B", "C"} {
		if _, ok, err := l.Secret(name); ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

func TestWhatIsWrongWithAnEncryptedFileIsSaid(t *testing.T) {
	key, other := identity(t), identity(t)
	pass, err := age.NewScryptRecipient(canary)
	if err != nil {
		t.Fatal(err)
	}
	pass.SetWorkFactor(10)
	for _, c := range []struct {
		name, text string
		to         age.Recipient // nil: the text as it is
		identity   string
		keys       []string
		says       string
	}{
		{name: "no such file", identity: key.String(), says: "open the encrypted file"},
		{name: "no key", text: "A=b", to: key.Recipient(), says: "it is looked for in identity of the fetch block, in the variable AGE_IDENTITY (the key, or its file), or in ~/.config/kamald/age.key"},
		{name: "another's key", text: "A=" + canary, to: other.Recipient(), identity: key.String(), says: "the private key of $AGE_IDENTITY is none that secrets.age is encrypted to"},
		{name: "a passphrase", text: "A=" + canary, to: pass, identity: key.String(), says: "is encrypted with a passphrase, which kamald does not ask for"},
		{name: "no age file", text: "A=" + canary, identity: key.String(), says: "it is no age file"},
		{name: "a key that is none", text: "A=b", to: key.Recipient(), identity: "AGE-SECRET-KEY-" + canary, says: "has no age private key"},
		{name: "a key that was spoiled", text: "A=b", to: key.Recipient(), identity: canary, says: "from the file that $AGE_IDENTITY names: no such file"},
		{name: "a key that was spoiled, of several lines", text: "A=b", to: key.Recipient(), identity: "# created\n" + canary, says: "$AGE_IDENTITY has no age private key"},
		{name: "a command within", text: "A=$(echo " + canary + ")", to: key.Recipient(), identity: key.String(), says: "secrets.age:1: A: commands in an encrypted file are not run"},
		{name: "a mistake within", text: "A=b\n" + canary, to: key.Recipient(), identity: key.String(), says: "secrets.age:2: this is no KEY=VALUE"},
		{name: "a variable that is not set", text: "A=" + canary + "$GONE", to: key.Recipient(), identity: key.String(), says: "A refers to $GONE, which is not set"},
		{name: "a key that is not there", text: "A=" + canary, to: key.Recipient(), identity: key.String(), keys: []string{"B"}, says: "there is no B in secrets.age"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := with(vendors(t), map[string]string{ageVariable: c.identity, "HOME": "/nowhere"})
			switch {
			case c.to != nil:
				encrypt(t, at.dir, "secrets.age", c.text, false, c.to)
			case c.text != "":
				write(t, at.dir, "secrets.age", c.text)
			}
			_, _, err := open(t, at, nil, release.Fetch{Source: "age", File: "secrets.age", Keys: c.keys}).Secret(append(c.keys, "A")[0])
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary) {
				t.Errorf("said %v, want %q", err, c.says)
			}
		})
	}
}

func TestADamagedEncryptedFileIsRefused(t *testing.T) {
	at, key := vendors(t), identity(t)
	encrypt(t, at.dir, "secrets.age", "A="+canary, false, key.Recipient())
	path := filepath.Join(at.dir, "secrets.age")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	write(t, at.dir, "secrets.age", string(data))
	at = with(at, map[string]string{ageVariable: key.String()})
	if _, _, err := open(t, at, nil, release.Fetch{Source: "age", File: "secrets.age"}).Secret("A"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("said %v", err)
	}
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encrypt(t *testing.T, dir, name, text string, armored bool, to age.Recipient) {
	t.Helper()
	var b bytes.Buffer
	var out io.WriteCloser = discarding{&b}
	if armored {
		out = armor.NewWriter(&b)
	}
	encrypted, err := age.Encrypt(out, to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(encrypted, text)
	for _, closer := range []io.Closer{encrypted, out} {
		if closed := closer.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, name, b.String())
}

type discarding struct{ io.Writer }

func (discarding) Close() error { return nil }

func usual(t *testing.T, at *surroundings, config, key, variable, value string) {
	t.Helper()
	dir := filepath.Join(at.dir, config, "kamald")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "age.key", key)
	*at = with(*at, map[string]string{variable: value})
}
