package release

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAProblemShowsItsLineAndTheNearestName(t *testing.T) {
	_, diags := Load("deploy.hcl", in(least+"role \"jobs\" {\n  hosst = [\"h\"]\n}\n", ""))
	want := `Error: Unknown attribute

  on deploy.hcl line 5, in role "jobs":
   5:   hosst = ["h"]

A role block has no attribute "hosst". Did you mean "hosts"?`
	if got := diags.Err().Error(); !strings.Contains(got, want) {
		t.Errorf("said\n%s\nwant\n%s", got, want)
	}
}

func TestAPasswordWrittenOutIsNotPrinted(t *testing.T) {
	_, diags := Load("deploy.hcl", in(least+"registry {\n  username = \"u\"\n  password = \"hunter2\"\n}\nssh {\n  key_data = [\"hunter2\", \"hunter2\"]\n}\n", ""))
	data, err := json.Marshal(diags)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{diags.Error(), string(data)} {
		if !strings.Contains(text, "Secret written out") || strings.Contains(text, "hunter2") {
			t.Errorf("said\n%s", text)
		}
	}
}

func TestDiagnosticsAreDataToo(t *testing.T) {
	_, diags := Load("deploy.hcl", in(least+"  bogus = 1\n", ""))
	data, err := json.Marshal(diags)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"severity":"error","summary":"Unknown attribute","detail":"The file has no attribute \"bogus\".","file":"deploy.hcl","line":4,"column":3}]`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
}

func TestWarningsAreNoErrors(t *testing.T) {
	_, diags := Load("deploy.hcl", in(least+"env {\n  clear = { V = 1.10 }\n}\n", ""))
	if diags.Err() != nil || diags.Len() != 1 || diags.List()[0].Severity != "warning" {
		t.Errorf("said %v", diags.List())
	}
}

func TestAFileThatIsNotThereSaysWhatToDo(t *testing.T) {
	_, diags := Load("deploy.hcl", memory(nil))
	if got := diags.Error(); !strings.Contains(got, "There is no file deploy.hcl here. kamald init writes one") {
		t.Errorf("said %s", got)
	}
}
