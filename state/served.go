package state

import (
	"strings"
	"time"
)

// ServedCertificate is what a certificate says of itself.
type ServedCertificate struct {
	Names []string  `json:"names"` // *.example.com stands for one label more
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	By    string    `json:"by"` // who issued it
}

// Fits tells whether it is for a name.
func (c ServedCertificate) Fits(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	for _, one := range c.Names {
		if strings.EqualFold(one, name) || parent != "" && strings.EqualFold(one, "*."+parent) {
			return true
		}
	}
	return false
}
