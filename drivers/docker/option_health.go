package docker

import (
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
)

// healthOptions are Docker's own check, over what the image has of one. What is not asked for is the image's.
var healthOptions = map[string]option{
	"health-cmd":            healthCommand(),
	"health-interval":       healthTime(func(h *container.HealthConfig) *time.Duration { return &h.Interval }),
	"health-timeout":        healthTime(func(h *container.HealthConfig) *time.Duration { return &h.Timeout }),
	"health-start-period":   healthTime(func(h *container.HealthConfig) *time.Duration { return &h.StartPeriod }),
	"health-start-interval": since("1.44", healthTime(func(h *container.HealthConfig) *time.Duration { return &h.StartInterval })),
	"health-retries":        healthRetries(),
	"no-healthcheck":        noHealthcheck(),
}

func (r *request) health() *container.HealthConfig {
	if r.config.Healthcheck == nil {
		r.config.Healthcheck = &container.HealthConfig{}
	}
	return r.config.Healthcheck
}

// health is the check that counts, and whether the image may have brought what it says.
func (l live) health() (check container.HealthConfig, imagesOwn bool) {
	if l.config.Healthcheck != nil {
		check = *l.config.Healthcheck
	}
	return check, l.ours
}

func healthCommand() option {
	return option{
		set: func(r *request, values []string) error {
			r.health().Test = []string{"CMD-SHELL", values[0]}
			return nil
		},
		get: func(l live) ([]string, bool) {
			check, own := l.health()
			if len(check.Test) < 2 {
				return nil, true
			}
			return []string{strings.Join(check.Test[1:], " ")}, own
		},
	}
}

func healthTime(at func(*container.HealthConfig) *time.Duration) option {
	return option{
		set: func(r *request, values []string) (err error) {
			*at(r.health()), err = time.ParseDuration(values[0])
			return err
		},
		get: func(l live) ([]string, bool) {
			check, own := l.health()
			value := *at(&check)
			return []string{value.String()}, own || value == 0
		},
	}
}

func healthRetries() option {
	return option{
		set: func(r *request, values []string) (err error) {
			r.health().Retries, err = strconv.Atoi(values[0])
			return err
		},
		get: func(l live) ([]string, bool) {
			check, own := l.health()
			return []string{strconv.Itoa(check.Retries)}, own || check.Retries == 0
		},
	}
}

func noHealthcheck() option {
	return option{
		set: func(r *request, _ []string) error {
			r.health().Test = []string{"NONE"}
			return nil
		},
		get: func(l live) ([]string, bool) {
			check, own := l.health()
			if len(check.Test) == 0 || check.Test[0] != "NONE" {
				return nil, true
			}
			return []string{"true"}, own
		},
	}
}
