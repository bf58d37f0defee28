package reconcile_test

import "os"

// long tells whether the full counts are wanted (`make long`).
func long() bool { return os.Getenv("KAMALD_LONG") != "" }
