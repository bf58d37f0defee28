//go:build !unix

package build

import (
	"errors"
	"os"
)

// lockFile refuses: without a lock two builds at once would disturb each other.
func lockFile(name string) (*os.File, error) {
	return nil, &os.PathError{Op: "lock", Path: name, Err: errors.ErrUnsupported}
}
