package files

import (
	"errors"
	"fmt"
	"path"
	"syscall"

	"github.com/pkg/sftp"
)

// littleSpace is so little that its lack is what a failed write is about.
const littleSpace = 64 << 10

// statusFailure is SSH_FX_FAILURE of the protocol.
const statusFailure = 4

// whyNotWritten adds that a disk is full: SFTP 3 has no word for that, only for a failure.
func whyNotWritten(c *sftp.Client, name string, size int, err error) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) || status.Code != statusFailure {
		return err
	}
	if _, offered := c.HasExtension("statvfs@openssh.com"); !offered {
		return err
	}
	stat, asked := c.StatVFS(path.Dir(name))
	if asked != nil || stat.Frsize*stat.Bavail > uint64(max(size, littleSpace)) && stat.Favail > 0 {
		return err
	}
	return fmt.Errorf("%w (%d bytes and %d files are free there): %w", syscall.ENOSPC, stat.Frsize*stat.Bavail, stat.Favail, err)
}
