package release

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestASecretPrintsAsOneWhateverPrintsIt(t *testing.T) {
	s := NewSecret("hunter2")
	within := struct{ S Secret }{s}
	var all []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%o", "%e"} {
		all = append(all, fmt.Sprintf(verb, s), fmt.Sprintf(verb, within), fmt.Sprintf(verb, []Secret{s}), fmt.Sprintf(verb, map[string]Secret{"a": s}),
			fmt.Sprintf(verb, &s))
	}
	data, err := json.Marshal(map[string]any{"a": s, "b": within})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(all, string(data), s.String(), s.GoString()) {
		if strings.Contains(text, "hunter2") || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("printed %s", text)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Errorf("reveals %q", s.Reveal())
	}
}
