package release

// Where a release's image and its secrets come from.

var secretSources = []string{"1password", "aws-secrets-manager", "bitwarden", "bitwarden-sm", "doppler", "enpass",
	"gcp-secret-manager", "lastpass", "passbolt", "age"}

// registrySpec is the root's registry, or an accessory's own.
func registrySpec(meaning string) *blockSpec {
	return single("registry", meaning, []attrSpec{
		attr("server", kindString, "host name, with a port where it has one").ruled("Docker Hub").like(`"registry.example.com"`),
		attr("username", kindStringOrSecret, "needs password with it").like(`"deploy"`),
		attr("password", kindSecret, "a reference; the value never enters a plan, the store or a log").like(`secret("REGISTRY_PASSWORD")`),
	})
}

func buildSpec() *blockSpec {
	return single("build", "How the image is built.", []attrSpec{
		attr("source", kindString, "clone builds a clean local clone, archive what git archive gives, directory what lies there, uncommitted files and all").
			among("clone", "archive", "directory").ruled(`"clone" in a git repository; "directory" when context is set`),
		attr("dockerfile", kindString, "path of the Dockerfile").like(`"Dockerfile"`),
		attr("target", kindString, "stage of the Dockerfile").like(`"production"`),
		attr("arch", kindStrings, "processor architectures").like(`["amd64", "arm64"]`),
		attr("args", kindStringMap, "build arguments").like(`{ RUBY_VERSION = "3.4" }`),
		attr("secrets", kindStrings, "names of secrets that the build may read").like(`["GITHUB_TOKEN"]`),
		attr("ssh", kindString, "SSH agent or key that the build may use").like(`"default"`),
		attr("local", kindBool, "build on this machine"),
		attr("remote", kindString, "builder for other architectures").like(`"ssh://builder@10.0.0.9"`),
		attr("driver", kindString, "driver of buildx").like(`"docker-container"`),
		attr("provenance", kindString, "provenance attestation").like(`"mode=max"`),
		attr("sbom", kindBool, "attest what is in the image"),
		attr("context", kindString, "directory to build").like(`"."`),
	},
		single("cache", "Where layers are kept between builds.", []attrSpec{
			attr("type", kindString, "kind of cache").among("registry", "gha", "local"),
			attr("image", kindString, "repository of a registry cache").like(`"acme/shop-cache"`),
			attr("options", kindString, "options of buildx for it").like(`"mode=max"`),
		}),
		single("pack", "Buildpacks in place of a Dockerfile.", []attrSpec{
			attr("builder", kindString, "builder image").needed().like(`"heroku/builder:24"`),
			attr("buildpacks", kindStrings, "buildpacks, in their order").like(`["heroku/ruby"]`),
		}))
}

func secretsSpec() *blockSpec {
	fetch := labelled("fetch", "source", "Secrets from a password manager, or an encrypted file.", []attrSpec{
		attr("account", kindString, "account there").like(`"acme.1password.com"`),
		attr("from", kindString, "vault, folder or project there").like(`"Production/Shop"`),
		attr("file", kindString, "the encrypted file, for age").like(`".kamald/secrets.age"`),
		attr("keys", kindStrings, "names of the secrets").like(`["DATABASE_URL"]`),
	})
	fetch.repeats, fetch.known = true, secretSources
	return single("secrets", "Where the values of secrets are read, on the machine that kamald runs on.", []attrSpec{
		attr("files", kindStrings, "dotenv files beside this one, with $VAR and $(command); later ones win, absent ones are skipped, and so are names that end in a dot").
			ruled(`[".kamald/secrets", ".kamald/secrets.${destination}"]; where neither is there, Kamal's .kamal/secrets-common and .kamal/secrets or .kamal/secrets.${destination}`).
			like(`[".kamald/secrets", ".kamald/secrets.${destination}"]`),
	}, fetch)
}
