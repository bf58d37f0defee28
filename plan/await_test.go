package plan_test

import (
	"strings"
	"testing"

	"github.com/kamald/kamald/plan"
)

// text is a plan as a person sees it.
func text(t *testing.T, p plan.Plan) string {
	t.Helper()
	var out strings.Builder
	if err := p.Text(&out, plan.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAnImageThatIsNowhereIsWaitedFor(t *testing.T) {
	w := fresh(shop())
	w.pin = plan.Pin{}
	p := w.plan()
	if len(p.Problems) != 0 || !p.Empty() || p.Awaited != w.desired.Image() || !strings.Contains(p.Waits, "it waits for the image "+w.desired.Image()) {
		t.Errorf("%q %q %+v", p.Awaited, p.Waits, p.Problems)
	}
	if text := text(t, p); !strings.HasPrefix(text, "Nothing is done to shop now: it waits for the image") || !strings.Contains(text, "build and push it") {
		t.Errorf("it is not said:\n%s", text)
	}
	// Beside something that is wrong it is one of the problems, all of which are seen at once.
	w.host("web-1").Unreachable = "no route"
	if p := w.plan(); p.Awaited != "" || p.Waits != "" || len(p.Problems) < 2 || !strings.Contains(p.Problems[1].Summary, "acme/shop:v1 is found neither") {
		t.Errorf("%q %q %+v", p.Awaited, p.Waits, p.Problems)
	}
}

// What is held has been somewhere, and so has what a rollback goes back to: nobody is about to push that.
func TestAnImageThatWasReleasedAndIsNowhereIsAProblem(t *testing.T) {
	w := released(t, shop()).to("v2")
	in := w.input()
	in.Pin, in.Options.Back = plan.Pin{}, true
	if p := plan.New(in); p.Waits != "" || len(p.Problems) != 4 {
		t.Errorf("%q %+v", p.Waits, p.Problems)
	}
}

func TestAPolicyThatFindsNoTagWaitsAndPlansNothing(t *testing.T) {
	w := fresh(shop())
	w.desired.Version = ""
	in := w.input()
	in.Choice = &plan.Choice{Policy: "~> 2.1", Tags: 3, From: "at the registry"}
	p := plan.New(in)
	if !p.Empty() || len(p.Items) != 0 || p.Awaited != w.desired.ImageName() || !strings.Contains(p.Waits, "none of 3 tags at the registry fits ~> 2.1") {
		t.Errorf("%q %q %+v %+v", p.Awaited, p.Waits, p.Items, p.Steps)
	}
	if got := text(t, p); !strings.HasPrefix(got, "Nothing is done to shop now: it waits for a tag: none of 3 tags") || !strings.Contains(got, "give a version with --version") {
		t.Errorf("it is not said:\n%s", got)
	}
}
