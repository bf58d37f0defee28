package conformance_test

import (
	"flag"
	"os"
	"testing"
)

// The cases wait for the servers most of their time: more of them go at once than there are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
