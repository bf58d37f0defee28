package release

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"maps"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
)

// mostContent bounds a file of an accessory, in bytes: it is configuration, and is kept with every release.
const mostContent = 256 << 10

// templateSuffix is the end of the names of templates.
const templateSuffix = ".tmpl"

var (
	fileMode  = regexp.MustCompile(`\A0?[0-7]{3}\z`)
	fileOwner = regexp.MustCompile(`\A[0-9]{1,10}(?::[0-9]{1,10})?\z`)
	// contentSecret is a reference to a secret within a rendered template. The sum finds out a name that a function has changed.
	contentSecret = regexp.MustCompile("\x01content\x02([^\x03]*):([0-9A-F]{8})\x03")
)

// content reads an accessory's file of this machine, and renders it when it is a template. Whoever validates reads no other file.
// One that is not there is no mistake of the configuration: missing says so to whoever plans.
func (c *compiler) content(b *block) (parts []Part, missing string) {
	if c.lenient {
		return nil, ""
	}
	name := b.label
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(c.path), name)
	}
	data, err := c.opts.ReadFile(name)
	switch {
	case err != nil:
		return nil, unreadable(b.label, err).Error()
	case len(data) > mostContent:
		c.errorf(b.rng, "Too large", "%s has %d bytes, and the files of an accessory are configuration of at most %d: put what is larger into its image.", b.title(), len(data), mostContent)
		return nil, ""
	case strings.HasSuffix(b.label, templateSuffix):
		return c.render(b, name, data), ""
	case bytes.Contains(data, []byte("PRIVATE KEY-----")):
		c.errorf(b.rng, "A key in clear", "%s has a private key in it, and files are kept with the release records. Put the key into a secret, and name it in a template: a file ending in %s with ${secret(\"NAME\")} in it.", b.title(), templateSuffix)
		return nil, ""
	case !utf8.Valid(data):
		return []Part{{Data: data}}, ""
	}
	return []Part{{Text: string(data)}}, ""
}

// render evaluates a template with what the file's own expressions have.
func (c *compiler) render(b *block, name string, data []byte) []Part {
	if !utf8.Valid(data) {
		c.errorf(b.rng, "Bad template", "%s is not UTF-8 text.", name)
		return nil
	}
	template, diags := hclsyntax.ParseTemplate(data, name, hcl.InitialPos)
	if !diags.HasErrors() {
		ctx := c.view.ctx.NewChild()
		ctx.Functions = maps.Clone(c.view.ctx.Functions)
		ctx.Functions["secret"] = contentSecretFunction()
		var val cty.Value
		if val, diags = template.Value(ctx); !diags.HasErrors() {
			return c.parts(b, val)
		}
	}
	for _, diag := range diags {
		if diag.Severity == hcl.DiagError {
			at := ""
			if diag.Subject != nil {
				at = fmt.Sprintf(", line %d", diag.Subject.Start.Line)
			}
			c.errorf(b.rng, "Bad template", "%s%s: %s: %s", name, at, diag.Summary, diag.Detail)
		}
	}
	return nil
}

// parts cuts rendered text at the secrets in it.
func (c *compiler) parts(b *block, val cty.Value) []Part {
	val, _ = val.Unmark()
	val, err := convert.Convert(val, cty.String)
	if err != nil || val.IsNull() || !val.IsKnown() {
		c.errorf(b.rng, "Bad template", "%s does not come to a text.", b.title())
		return nil
	}
	text, from := val.AsString(), 0
	var parts []Part
	for _, at := range contentSecret.FindAllStringSubmatchIndex(text, -1) {
		if at[0] > from {
			parts = append(parts, Part{Text: text[from:at[0]]})
		}
		secret := text[at[2]:at[3]]
		if contentPlaceholder(secret) != text[at[0]:at[1]] {
			c.errorf(b.rng, "Secret changed", "%s gives a secret to a function: its value is put in when the file is written, so that it cannot be changed before.", b.title())
			return nil
		}
		parts, from = append(parts, Part{Secret: secret}), at[1]
	}
	if rest := text[from:]; rest != "" || len(parts) == 0 {
		parts = append(parts, Part{Text: rest})
	}
	for _, part := range parts {
		if strings.ContainsAny(part.Text, "\x01\x02\x03") {
			c.errorf(b.rng, "Secret changed", "%s gives a secret, or a variable of the host's, to a function or puts it where none is taken.", b.title())
			return nil
		}
	}
	return parts
}

func contentPlaceholder(name string) string {
	return fmt.Sprintf("\x01content\x02%s:%08X\x03", name, crc32.ChecksumIEEE([]byte(name)))
}

func contentSecretFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if name := args[0].AsString(); variableName.MatchString(name) {
				return cty.StringVal(contentPlaceholder(name)), nil
			}
			return cty.NilVal, fmt.Errorf("%q is not a name: letters, digits, _ . and -", args[0].AsString())
		},
	})
}
