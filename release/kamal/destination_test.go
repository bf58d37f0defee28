package kamal

import (
	"strings"
	"testing"
)

const baseWithoutServers = "service: shop\nimage: acme/shop\nregistry: {username: u, password: [P]}\n"

// What lies beside the file may be a configuration of its own, or not be ready. It keeps nobody from the rest.
func TestADestinationThatCannotBeOneIsLeftOutWithTheReason(t *testing.T) {
	for name, c := range map[string]struct{ file, why string }{
		"a placeholder":              {"servers: [<STAGING_IP>]\n", `config/deploy.staging.yml:1: left out as a destination: "<STAGING_IP>" is not a host's name or address`},
		"no servers":                 {"servers: {web: {hosts: []}}\n", `has no hosts`},
		"a text":                     {"deploy.other.yml\n", "it is a text, and not keys with values"},
		"what cannot be read":        {"service: 'shop\n", "cannot be read as Kamal reads it"},
		"a name that no service has": {"service: My Shop\n", `"My Shop" cannot name a service`},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := Import("config/deploy.yml", memory(map[string]string{
				"config/deploy.yml":            baseWithoutServers,
				"config/deploy.staging.yml":    c.file,
				"config/deploy.production.yml": "servers: [10.0.0.2]\n",
			}, nil))
			if err != nil {
				t.Fatal(err)
			}
			text := string(result.HCL)
			if !strings.Contains(text, `destination "production" {`) || strings.Contains(text, `destination "staging" {`) {
				t.Errorf("it is\n%s", text)
			}
			if !strings.Contains(text, "# config/deploy.staging.yml is left out") {
				t.Errorf("nothing is said of it in\n%s", text)
			}
			found := ""
			for _, line := range result.Report {
				if line.File == "config/deploy.staging.yml" {
					found += line.String() + "\n"
				}
			}
			if strings.Count(found, "\n") != 1 || !strings.Contains(found, c.why) || !strings.Contains(found, "kamald import config/deploy.staging.yml") {
				t.Errorf("it says:\n%s", found)
			}
			if strings.Join(result.Sources, " ") != "config/deploy.yml config/deploy.production.yml" {
				t.Errorf("read were %v", result.Sources)
			}
		})
	}
}

func TestTheBaseStandsAloneWhenNoDestinationCanBeOne(t *testing.T) {
	text, report := importedOf(t, map[string]string{"config/deploy.yml": least, "config/deploy.staging.yml": "servers: [<STAGING_IP>]\n"}, nil)
	if strings.Contains(text, "destination") || !strings.Contains(text, `hosts = ["10.0.0.1"]`) || report.Count(Todo) != 1 {
		t.Errorf("it is\n%s\n%v", text, report)
	}
}

// Whoever asks for a destination by name gets it, or an error.
func TestADestinationThatIsAskedForIsNotLeftOut(t *testing.T) {
	opts := memory(map[string]string{"config/deploy.yml": least, "config/deploy.staging.yml": "servers: [<STAGING_IP>]\n"}, nil)
	opts.Destinations = []string{"staging"}
	_, err := Import("config/deploy.yml", opts)
	if err == nil || !strings.Contains(err.Error(), `config/deploy.staging.yml:1: "<STAGING_IP>" is not a host's name or address`) {
		t.Errorf("it says %v", err)
	}
}

// The base is what is wrong then, and each destination would say so again.
func TestWhatIsWrongInTheBaseIsSaidOnce(t *testing.T) {
	_, err := Import("config/deploy.yml", memory(map[string]string{
		"config/deploy.yml":            strings.Replace(least, "acme/shop", "ACME/shop", 1),
		"config/deploy.staging.yml":    "servers: [10.0.0.2]\n",
		"config/deploy.production.yml": "servers: [10.0.0.3]\n",
	}, nil))
	if err == nil || strings.Count(err.Error(), "is not a repository") != 1 || !strings.Contains(err.Error(), "config/deploy.yml:2: ") {
		t.Errorf("it says %v", err)
	}
}

// The reason is what stands there, and not what follows of its being taken out.
func TestAHostThatIsNoneIsNamedAndNotMissed(t *testing.T) {
	_, err := Import("config/deploy.yml", memory(map[string]string{"config/deploy.yml": strings.Replace(least, "[10.0.0.1]", "\n  - <your.ip>", 1)}, nil))
	if err == nil || !strings.Contains(err.Error(), `config/deploy.yml:5: "<your.ip>" is not a host's name or address`) || strings.Contains(err.Error(), "has no hosts") {
		t.Errorf("it says %v", err)
	}
	text, report := imported(t, least+"accessories:\n  db:\n    image: postgres:17\n    host: <your.ip>\n")
	if !report.has("accessories.db", Todo, `"<your.ip>" is not a host's name or address`) || report.Count(Todo) != 1 {
		t.Errorf("it says %v\n%s", report, text)
	}
	text, report = imported(t, strings.Replace(least, "[10.0.0.1]", "[10.0.0.1, <your.ip>]", 1))
	if !report.has("servers[1]", Todo, `"<your.ip>" is not a host's name or address`) || report.Count(Todo) != 1 {
		t.Errorf("it says %v\n%s", report, text)
	}
}

// Kamal puts .yml behind a destination's name whatever the file ends in.
func TestADestinationsFileEndsInYml(t *testing.T) {
	for _, base := range []string{"config/deploy.yml", "config/deploy.yaml"} {
		result, err := Import(base, memory(map[string]string{
			base:                        least,
			"config/deploy.staging.yml": "servers: [10.0.0.2]\n",
			"config/deploy.other.yaml":  "servers: [10.0.0.3]\n",
			"config/deploy.yml.bak":     "servers: [10.0.0.4]\n",
		}, nil))
		if err != nil || strings.Join(result.Sources, " ") != base+" config/deploy.staging.yml" || result.Report.Count(Todo) != 0 {
			t.Errorf("%s: read were %v, %v\n%v", base, result.Sources, err, result.Report)
		}
	}
}

func importedOf(t *testing.T, files map[string]string, hooks []string) (string, Report) {
	t.Helper()
	result, err := Import("config/deploy.yml", memory(files, hooks))
	if err != nil {
		t.Fatal(err)
	}
	return string(result.HCL), result.Report
}
