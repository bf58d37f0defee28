//go:build unix && !solaris && !aix

package bolt

import (
	"errors"
	"os"
	"syscall"

	bolterrors "go.etcd.io/bbolt/errors"
)

// hold takes the lock that bbolt takes, on a file that need not be whole; ErrTimeout when another process has it.
func hold(path string) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return func() { _ = file.Close() }, nil // which gives the lock back
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = bolterrors.ErrTimeout
	}
	return nil, errors.Join(err, file.Close())
}
