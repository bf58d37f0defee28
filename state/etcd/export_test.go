package etcd

// SetMost makes what one key holds small, so that values come in parts.
func SetMost(bytes int) (back func()) {
	before := most
	most = bytes
	return func() { most = before }
}
