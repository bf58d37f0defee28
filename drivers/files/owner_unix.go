//go:build unix

package files

import (
	"io/fs"
	"syscall"
)

// owner gives whose a file is, by number.
func owner(info fs.FileInfo) (user, group int) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid), int(stat.Gid)
	}
	return 0, 0
}
