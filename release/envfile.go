package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// EncodeEnvFile writes a role's secret variables in the form in which they lie on a host. env is Kamal's: a line KEY=VALUE for
// each, sorted, read literally as `docker run --env-file` does; an empty set is a single newline. A line cannot hold a line
// break, so it is written there as the two characters \n (or \r), and multiline holds the true value: a JSON object
// {name: value} for the file beside it; nil when there is no such value. Values that need it must be UTF-8.
func EncodeEnvFile(values map[string]Secret) (env, multiline []byte) {
	beside := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name].Reveal()
		if strings.ContainsAny(value, "\n\r") || !fitsLine(name) {
			beside[name] = value
		}
		if fitsLine(name) {
			env = append(env, name+"="+onOneLine(value)+"\n"...)
		}
	}
	if len(env) == 0 {
		env = []byte("\n")
	}
	if len(beside) == 0 {
		return env, nil
	}
	multiline, err := json.MarshalIndent(beside, "", "  ")
	if err != nil {
		panic("release: a map of strings always encodes: " + err.Error())
	}
	return env, append(multiline, '\n')
}

// ParseEnv reads both parts that EncodeEnvFile has written; multiline may be nil. Where the two disagree the env file holds:
// Kamal rewrites that one and does not know the other. Errors show no value.
func ParseEnv(env, multiline []byte) (map[string]Secret, error) {
	values, err := ParseEnvFile(env)
	if err != nil || len(multiline) == 0 {
		return values, err
	}
	beside, err := ParseEnvJSON(multiline)
	if err != nil {
		return nil, err
	}
	for name, value := range beside {
		line, there := values[name]
		if !fitsLine(name) || there && line.Reveal() == onOneLine(value.Reveal()) {
			values[name] = value
		}
	}
	return values, nil
}

// ParseEnvFile reads the lines alone: values that have line breaks come with them written out as \n. The error names a line that
// is no KEY=VALUE, and shows no value.
func ParseEnvFile(env []byte) (map[string]Secret, error) {
	values := map[string]Secret{}
	number := 0
	for line := range strings.SplitSeq(string(env), "\n") {
		number++
		line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !fitsLine(name) {
			return nil, fmt.Errorf("line %d of the secrets file is no KEY=VALUE: push it again with `kamald env push`", number)
		}
		values[name] = NewSecret(value)
	}
	return values, nil
}

// ParseEnvJSON reads the multi-line values alone. The error shows no value.
func ParseEnvJSON(multiline []byte) (map[string]Secret, error) {
	var beside map[string]string
	if json.Unmarshal(multiline, &beside) != nil { // its error could show a part of a value
		return nil, errors.New("the multi-line secrets beside the env file are not a JSON object of strings: push them again with `kamald env push`")
	}
	values := make(map[string]Secret, len(beside))
	for name, value := range beside {
		values[name] = NewSecret(value)
	}
	return values, nil
}

var oneLine = strings.NewReplacer("\n", `\n`, "\r", `\r`)

func onOneLine(value string) string { return oneLine.Replace(value) }

// fitsLine tells whether docker would read the name back from a line.
func fitsLine(name string) bool {
	return name != "" && name[0] != '#' && !strings.ContainsAny(name, "= \t\r\n")
}
