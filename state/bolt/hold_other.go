//go:build !unix || solaris || aix

package bolt

import (
	bbolt "go.etcd.io/bbolt"
)

// hold takes the lock by opening the file, which must be whole then.
func hold(path string) (release func(), err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: DefaultTimeout})
	if err != nil {
		return nil, err
	}
	return func() { _ = db.Close() }, nil
}
