package plan_test

import "testing"

func TestAnEntrypointOfOnesOwnDropsTheImagesCommandAndIsNoDrift(t *testing.T) {
	desired := shop()
	desired.Roles[0].Options = map[string][]string{"entrypoint": {"/bin/serve"}}
	w := released(t, desired) // which holds the plan after it to be empty
	for _, host := range []string{"web-1", "web-2"} {
		if c := w.container(host, "shop-web-v1"); c.Live.Cmd != nil {
			t.Fatalf("%s: the engine runs %v", host, c.Live.Cmd)
		}
	}
	w.container("web-1", "shop-web-v1").Live.Options["entrypoint"] = []string{"/bin/sh"}
	if p := w.plan(); len(p.Drifted()) == 0 {
		t.Errorf("another entrypoint is not seen\n%s", show(p))
	}
	w = released(t, shop())
	w.container("web-1", "shop-web-v1").Live.Cmd = nil
	if p := w.plan(); len(p.Drifted()) == 0 {
		t.Errorf("a command that is gone is not seen\n%s", show(p))
	}
}
