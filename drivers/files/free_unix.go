//go:build unix

package files

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func free(name string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(name, &stat); err != nil {
		return 0, fmt.Errorf("ask for free space at %s: %w", name, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}
