package main

import (
	"strings"
	"testing"
)

func TestTheSlowestTestsAreNamedTheSlowestFirst(t *testing.T) {
	text, _ := summary(t, passing+`{"Action":"pass","Package":"q","Test":"TestLong","Elapsed":7.5}
{"Action":"pass","Package":"q","Test":"TestLonger/part","Elapsed":90}
{"Action":"pass","Package":"q","Test":"TestLonger","Elapsed":91.2}
`)
	want := "others beside them included:\n     91.2  q TestLonger\n      7.5  q TestLong\n"
	if !strings.Contains(text, want) || strings.Contains(text, "/part") {
		t.Errorf("it prints\n%s", text)
	}
	if text, _ := summary(t, passing); strings.Contains(text, "slowest") {
		t.Errorf("there is no slow test in\n%s", text)
	}
}
