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
			among(SourceClone, SourceArchive, SourceDirectory).ruled(`"clone" in a git repository; "directory" when context is set`),
		attr("dockerfile", kindString, "path of the Dockerfile, relative to this file's directory").otherwise(defaultDockerfile),
		attr("target", kindString, "stage of the Dockerfile").ruled("the last one").like(`"production"`),
		attr("arch", kindStrings, "processor architectures, by Docker's names").ruled("that of the engine that builds").like(`["amd64", "arm64"]`),
		attr("args", kindStringMap, "build arguments").like(`{ RUBY_VERSION = "3.4" }`),
		attr("secrets", kindStrings, "names of secrets that the build may read").like(`["GITHUB_TOKEN"]`),
		attr("ssh", kindString, "SSH agent or key that the build may use, as buildx has it").like(`"default"`),
		attr("local", kindBool, "build on this machine what is of its own architecture; false: all is built at remote").otherwise(defaultLocal),
		attr("remote", kindString, "engine that builds for the other architectures").like(`"ssh://builder@10.0.0.9"`),
		attr("driver", kindString, "driver of buildx: docker, docker-container, kubernetes, remote, or cloud ORGANISATION/BUILDER").
			ruled("docker where that can do it, else docker-container").like(`"docker-container"`),
		attr("provenance", kindString, "attest how the image was made: true, false or buildx's mode").ruled("Docker's own choice").like(`"mode=max"`),
		attr("sbom", kindBool, "attest what is in the image").ruled("Docker's own choice"),
		attr("context", kindString, "directory to build, relative to this file's").ruled("this file's").like(`"."`),
	},
		single("cache", "Where layers are kept between builds.", []attrSpec{
			attr("type", kindString, "kind of cache; nothing is kept without it").among(CacheRegistry, CacheGHA, CacheLocal),
			attr("image", kindString, "repository of a registry cache, without the server").ruled("the image's, with -build-cache after it").like(`"acme/shop-cache"`),
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
		attr("identity", kindString, "file with the private keys that open it, for age").ruled("AGE_IDENTITY, the key or its file; else age.key in kamald's configuration directory").like(`"~/.config/kamald/age.key"`),
		attr("keys", kindStrings, "names of the secrets, or their paths as the vendor has them; NAME=path gives another name").like(`["DATABASE_URL", "PASSWORD=Section/password"]`),
	})
	fetch.repeats, fetch.known = true, secretSources
	return single("secrets", "Where the values of secrets are read, on the machine that kamald runs on.", []attrSpec{
		attr("files", kindStrings, "dotenv files beside this one, with $VAR and $(command); later ones win, absent ones are skipped, and so are names that end in a dot").
			ruled(`[".kamald/secrets", ".kamald/secrets.${destination}"]; where neither is there, Kamal's .kamal/secrets-common and .kamal/secrets or .kamal/secrets.${destination}`).
			like(`[".kamald/secrets", ".kamald/secrets.${destination}"]`),
	}, fetch)
}
