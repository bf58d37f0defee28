package release

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// mark is what a value carries that is no ordinary text. A marked value keeps its mark through every function and operator, so
// that a reference which was joined, cut or compared is found out.
type mark string

const (
	markSecret  mark = "secret"
	markHostEnv mark = "host_env"
)

// placeholder is what stands for a reference while expressions are evaluated: a value that is marked and does not look like
// this was made of a reference and something else.
func (m mark) placeholder(name string) string { return "\x01" + string(m) + "\x02" + name }

// name is the reference's name, false when the text is not the placeholder whole.
func (m mark) name(placeholder string) (string, bool) {
	return strings.CutPrefix(placeholder, "\x01"+string(m)+"\x02")
}

func (m mark) function() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			if !variableName.MatchString(name) {
				return cty.NilVal, function.NewArgErrorf(0, "%q is not a name: letters, digits, _ . and -", name)
			}
			if m == markHostEnv {
				return cty.StringVal(hostPlaceholder(name)).Mark(m), nil
			}
			return cty.StringVal(m.placeholder(name)).Mark(m), nil
		},
	})
}

// functions are what expressions can call; file() is relative to dir.
func (l *loader) functions(dir string) map[string]function.Function {
	return map[string]function.Function{
		"secret": markSecret.function(), "host_env": markHostEnv.function(), "env": l.envFunction(), "file": l.fileFunction(dir),
		"upper": stdlib.UpperFunc, "lower": stdlib.LowerFunc, "join": stdlib.JoinFunc, "split": stdlib.SplitFunc,
		"replace": stdlib.ReplaceFunc, "format": stdlib.FormatFunc, "jsondecode": stdlib.JSONDecodeFunc,
		"yamldecode": yamlFunction(),
	}
}

// maxYAMLAliases keeps aliases of aliases from growing past what memory holds.
const maxYAMLAliases = 20

var yamlAlias = regexp.MustCompile(`(?:^|[\s\[{,:-])\*[^\s\[\]{},*]`)

func yamlFunction() function.Function {
	bounded := func(args []cty.Value) error {
		if args[0].IsKnown() && len(yamlAlias.FindAllStringIndex(args[0].AsString(), maxYAMLAliases+1)) > maxYAMLAliases {
			return function.NewArgErrorf(0, "it has more than %d aliases", maxYAMLAliases)
		}
		return nil
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := bounded(args); err != nil {
				return cty.NilType, err
			}
			return yaml.YAMLDecodeFunc.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return yaml.YAMLDecodeFunc.Call(args) },
	})
}

func (l *loader) envFunction() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{Name: "default", Type: cty.String, AllowNull: true},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) > 2 {
				return cty.NilVal, fmt.Errorf(`env takes a name and a default: env("NAME", "default")`)
			}
			if l.lenient {
				return cty.UnknownVal(cty.String), nil
			}
			if set, ok := l.opts.Env(args[0].AsString()); ok {
				return cty.StringVal(set), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return cty.NilVal, function.NewArgErrorf(0, `the environment variable %s is not set: set it, or give a default: env(%q, "default")`, args[0].AsString(), args[0].AsString())
		},
	})
}

func (l *loader) fileFunction(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if l.lenient {
				return cty.UnknownVal(cty.String), nil
			}
			path := args[0].AsString()
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			data, err := l.opts.ReadFile(path)
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%v", err)
			}
			if !utf8.Valid(data) {
				return cty.NilVal, function.NewArgErrorf(0, "%s is not UTF-8 text", path)
			}
			return cty.StringVal(string(data)), nil
		},
	})
}
