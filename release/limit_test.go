package release

import (
	"strings"
	"testing"
)

func TestAFileThatIsNoUTF8IsRefusedInOneSentence(t *testing.T) {
	const good = "service = \"shop\"\n"
	for _, c := range []struct{ name, text, says string }{
		{"Latin-1", good + "labels = { a = \"\xe9\" }\n", "deploy.hcl:2: error: No UTF-8: The file is to be UTF-8, and byte 34 of it (0xE9) is none.\n"},
		{"UTF-16", "\xff\xfes\x00e\x00", "deploy.hcl:1: error: No UTF-8: The file is UTF-16: save it as UTF-8.\n"},
		{"no text at all", strings.Repeat("\x00\xff\n", 100), "deploy.hcl:1: error: No UTF-8: The file is to be UTF-8, and byte 2 of it (0xFF) is none.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := said(memory(map[string]string{"deploy.hcl": c.text}), Options{}); got != c.says {
				t.Errorf("said %q, want %q", got, c.says)
			}
		})
	}
}
