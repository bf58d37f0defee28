package release

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFetchBlocksAreReadAndADestinationAddsItsOwn(t *testing.T) {
	text := least + `
secrets {
  fetch "1password" {
    account = "acme"
    from    = "Production/Shop"
    keys    = ["A", "DB=Section/password"]
  }
}
destination "staging" {
  secrets {
    fetch "1password" {
      account = "acme"
      from    = "Staging/Shop"
      keys    = ["A"]
    }
    fetch "age" {
      file     = ".kamald/secrets.age"
      identity = "~/.age"
    }
  }
}
`
	want := []Fetch{
		{Source: "1password", Account: "acme", From: "Production/Shop", Keys: []string{"A", "DB=Section/password"}},
		{Source: "1password", Account: "acme", From: "Staging/Shop", Keys: []string{"A"}},
		{Source: "age", File: ".kamald/secrets.age", Identity: "~/.age"},
	}
	if diff := cmp.Diff(want, load(t, in(text, "staging")).SecretFetches); diff != "" {
		t.Error(diff)
	}
	r := load(t, in(text, ""))
	if len(r.SecretFetches) != 1 || len(r.UnbuiltFor("plan")) != 0 {
		t.Errorf("fetches %v, unbuilt %v", r.SecretFetches, r.Unbuilt)
	}
}

func TestAKeySaysTheSecretsName(t *testing.T) {
	for _, c := range []struct {
		fetch       Fetch
		key         string
		name, asked string
	}{
		{Fetch{Source: "1password"}, "A", "A", "A"},
		{Fetch{Source: "1password"}, "Vault/Item/Section/A", "A", "Vault/Item/Section/A"},
		{Fetch{Source: "1password"}, "DB=Section/password", "DB", "Section/password"},
		{Fetch{Source: "1password"}, "a b=c/d", "d", "a b=c/d"},
		{Fetch{Source: "gcp-secret-manager"}, "A", "A", "A"},
		{Fetch{Source: "gcp-secret-manager"}, "shop/A/12", "A", "shop/A/12"},
		{Fetch{Source: "gcp-secret-manager"}, "OLD=shop/A/12", "OLD", "shop/A/12"},
		{Fetch{Source: "gcp-secret-manager", From: "shop"}, "A/12", "A", "A/12"},
		{Fetch{Source: "aws-secrets-manager"}, "shop/prod/A", "A", "shop/prod/A"},
	} {
		if name, asked := c.fetch.Name(c.key); name != c.name || asked != c.asked {
			t.Errorf("%s of %s: %q, %q; want %q, %q", c.key, c.fetch, name, asked, c.name, c.asked)
		}
	}
}

func TestABlockIsNamedWithoutItsKeys(t *testing.T) {
	f := Fetch{Source: "1password", Account: "acme", From: "Production/Shop", Keys: []string{"A"}}
	if got := f.String(); got != `fetch "1password" (acme, Production/Shop)` {
		t.Errorf("named %s", got)
	}
	if got := (Fetch{Source: "age", File: "secrets.age"}).String(); got != `fetch "age" (secrets.age)` {
		t.Errorf("named %s", got)
	}
}

func TestTheVocabularyNamesEverySourceOnce(t *testing.T) {
	if !slices.IsSorted(secretSources[:len(secretSources)-1]) || secretSources[len(secretSources)-1] != sourceAge {
		t.Errorf("sources %v", secretSources)
	}
}
