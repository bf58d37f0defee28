// Package etcd keeps state.Store in an etcd cluster, for more bastions than one, and gives the terms during which one of them acts.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// Config says where the cluster is, and as whom it is asked.
type Config struct {
	Endpoints []string // URLs of members, such as https://10.0.0.21:2379; one that answers is enough

	// CA, Certificate and Key are files; "": what the system trusts, and no certificate of ours. Certificate and Key are read
	// at each handshake, so that ones that are renewed need no restart; CA when the client is made.
	CA, Certificate, Key string

	// Username is an etcd user; "": none. Password gives its password when it is needed first, and again when etcd does not take that any
	// more. Until then etcd's client has it in memory.
	Username string
	Password func() (string, error)
}

// Store is a state.Store in an etcd cluster. Calls wait for the cluster at most as long as patience says: through the election of a new
// leader of etcd, and not through an outage.
//
// While the cluster does not answer, Snapshot, Watch, Releases and Apps give what was last read or written here, if there is such; Stale
// says so then. Everything else fails.
type Store struct {
	*core
	term *Term // what is written counts only as long as this is held; nil: always
}

var _ state.Store = (*Store)(nil)

// core is what the views of one store share.
type core struct {
	config Config
	life   context.Context // until Close
	end    context.CancelFunc

	mu     sync.Mutex
	client *clientv3.Client // nil until there was need of it
	dialed time.Time        // when it was made
	closed bool

	contact contact
	probe   probe
	memory  memory
}

// Open gives the store in a cluster. Nothing is reached until a call needs it; files that TLS needs are read at once.
func Open(config Config) (*Store, error) {
	if len(config.Endpoints) == 0 {
		return nil, errors.New("the store in etcd has no endpoint\n  next: name the cluster's members, store { etcd = [\"https://…:2379\"] }")
	}
	s := &core{config: config}
	if _, err := s.tls(); err != nil {
		return nil, err
	}
	s.life, s.end = context.WithCancel(context.Background())
	return &Store{core: s}, nil
}

// Under gives the store as whoever has a term may write to it: etcd refuses what comes after the term with state.ErrNotLeader, whatever
// this process believes. What is read is what the cluster has: while it is away reads fail, and nothing comes from memory.
func (s *Store) Under(t *Term) state.Store { return &Store{core: s.core, term: t} }

// Name says for people where the store is.
func (s *Store) Name() string { return s.name() }

// Close implements state.Store. Calls after it fail, and those under way end. It closes every view of the store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.end()
	if s.client == nil {
		return nil
	}
	err := s.client.Close()
	s.client = nil
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// Stale tells since when the cluster has not answered, and why; zero and nil while it does. It is what calls have met: nothing is asked.
func (s *Store) Stale() (since time.Time, err error) { return s.contact.lost() }

// Writable tells why nothing can be kept; nil: something can. It leaves nothing behind but the schema.
func (s *Store) Writable() error {
	// What would be written if the schema were not there is never written, and counts for etcd's quota.
	there := clientv3.Compare(clientv3.CreateRevision(keySchema), "!=", 0)
	_, err := s.write(change{when: []clientv3.Cmp{there}, otherwise: []clientv3.Op{clientv3.OpPut(keySchema, schemaText)}})
	return err
}

// sizeTime is how long one member may take to say how large its database is.
const sizeTime = time.Second

// Size is how much the database of the first member that answers takes on its disk, in bytes, with whatever else is kept there. What becomes
// of the question says nothing about whether the cluster answers: each member is asked for itself, and one that is gone leaves the others time.
func (s *Store) Size() (int64, error) {
	client, err := s.dial()
	if err != nil {
		return 0, s.explain(err)
	}
	for _, endpoint := range s.config.Endpoints {
		var status *clientv3.StatusResponse
		ctx, cancel := context.WithTimeout(s.life, sizeTime)
		status, err = client.Status(ctx, endpoint)
		cancel()
		if err == nil {
			return status.DbSize, nil
		}
	}
	return 0, s.explain(err)
}

// Check reads all that is kept, and tells what of it does not read.
func (s *Store) Check() error {
	apps, err := s.Apps()
	errs := []error{err}
	for _, app := range apps {
		_, _, err := s.Snapshot(app)
		errs = append(errs, err)
		_, err = s.Releases(app)
		errs = append(errs, err)
		_, err = s.Plans(app, 0)
		errs = append(errs, err)
		_, err = s.Events(app, 0)
		errs = append(errs, err)
		_, _, err = s.Watch(app)
		errs = append(errs, err)
	}
	if since, err := s.Stale(); !since.IsZero() {
		errs = append(errs, err) // what was read came from memory
	}
	return errors.Join(errs...)
}

func (s *core) name() string { return "etcd at " + strings.Join(s.config.Endpoints, ", ") }

func (s *core) misuse(format string, args ...any) error {
	return fmt.Errorf("the store in %s: %w", s.name(), fmt.Errorf(format, args...))
}
