//go:build unix

package files

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// free gives the bytes that are free for the user where a path lies, and those that there are in all.
func free(name string) (free, size int64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(name, &stat); err != nil {
		return 0, 0, fmt.Errorf("ask for free space at %s: %w", name, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), int64(stat.Blocks) * int64(stat.Bsize), nil
}
