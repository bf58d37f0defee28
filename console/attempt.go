package console

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// So many wrong tokens from one address are answered at once; afterwards one every attemptPause. From all addresses together it is
// as many more as one machine that asks for many could need.
const (
	attemptBurst = 5
	attemptPause = 12 * time.Second
	attemptAll   = 20 // times that, from everywhere
	attemptMost  = 4096
)

// attempts slows down whoever tries tokens. While it does, no token is looked at, right or wrong.
type attempts struct {
	mu   sync.Mutex
	from map[string]*rate.Limiter
	all  *rate.Limiter
}

func newAttempts() *attempts {
	return &attempts{from: map[string]*rate.Limiter{}, all: rate.NewLimiter(attemptAll*rate.Every(attemptPause), attemptAll*attemptBurst)}
}

// wait is how long an address has to wait before a token of its is looked at; 0 when it need not.
func (a *attempts) wait(address string, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	longest := lacking(a.all, now)
	if one := a.from[network(address)]; one != nil {
		longest = max(longest, lacking(one, now))
	}
	return longest
}

// failed counts a wrong token.
func (a *attempts) failed(address string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all.AllowN(now, 1)
	key := network(address)
	if a.from[key] == nil {
		if len(a.from) >= attemptMost {
			for other, limiter := range a.from {
				if limiter.TokensAt(now) >= attemptBurst { // it has been quiet for long
					delete(a.from, other)
				}
			}
		}
		if len(a.from) >= attemptMost {
			return // the limit of all together holds
		}
		a.from[key] = rate.NewLimiter(rate.Every(attemptPause), attemptBurst)
	}
	a.from[key].AllowN(now, 1)
}

func lacking(limiter *rate.Limiter, now time.Time) time.Duration {
	there := limiter.TokensAt(now)
	if there >= 1 {
		return 0
	}
	return time.Duration((1 - there) / float64(limiter.Limit()) * float64(time.Second))
}

// network is what counts as one address: of IPv6 the 64 bits that one machine can choose under.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
