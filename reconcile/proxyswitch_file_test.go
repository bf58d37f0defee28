package reconcile_test

import (
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// ownerOf is the app whose file a host's proxy was made from.
func (v *volumes) ownerOf(host, name string) string {
	for _, c := range v.Containers(host, state.View{}) {
		if c.Name == name {
			return c.Owner
		}
	}
	return ""
}

func TestASwitchTakesTheFilesCertificateAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVolumes(t, 618)
		if err := v.run(func(c *reconcile.Controller) error {
			_, err := c.Apply(t.Context(), v.release("v1"), reconcile.Options{})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		desired := withTraefik(v.release("v1"))
		for i, role := range desired.Roles {
			if role.Proxy != nil {
				proxy := *role.Proxy
				proxy.Certificate, proxy.PrivateKey, proxy.Options.TLS = "CERTIFICATE_PEM", "PRIVATE_KEY_PEM", true
				desired.Roles[i].Proxy = &proxy
			}
		}
		other := v.fleet()
		defer func() { _ = other.Close() }()
		err := v.run(func(c *reconcile.Controller) error {
			planned, err := c.PlanProxySwitch(t.Context(), desired, other)
			if err == nil && planned.Hosts[0].Routes[0].Options.CertificatePath == "" {
				t.Errorf("the route is moved without its certificate: %+v", planned.Hosts[0])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
