package release

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// writeBlock writes the content of a block as a formatted file: its settings in the vocabulary's order, then its blocks. What is
// not set is written with its default, and marked.
func writeBlock(b *block) []byte {
	var text strings.Builder
	writeContent(&text, b)
	return Format([]byte(text.String()))
}

// isAnothers tells whether a setting is of another source than this fetch block's.
func isAnothers(b *block, name string) bool {
	return b.spec.name == "fetch" && b.label != sourceAge && slices.Contains(ofAge, name)
}

func writeContent(out *strings.Builder, b *block) {
	for _, as := range b.spec.attrs {
		v := b.get(as.name)
		switch {
		case as.isRemoval():
		case v.set() && v.derived:
			fmt.Fprintf(out, "%s = %s # default\n", as.name, v.written(as))
		case v.set():
			fmt.Fprintf(out, "%s = %s\n", as.name, v.written(as))
		case as.byDefault != "" && !belongsToRoles(b, as.name):
			fmt.Fprintf(out, "%s = %s # default\n", as.name, as.byDefault)
		case as.rule != "" && b.spec.name != "host" && !belongsToRoles(b, as.name) && !isAnothers(b, as.name):
			fmt.Fprintf(out, "# %s: %s\n", as.name, as.rule)
		}
	}
	for _, spec := range b.spec.blocks {
		for _, child := range b.children(spec.name) {
			label := ""
			if spec.label != "" {
				label = " " + Quote(child.label)
			}
			fmt.Fprintf(out, "\n%s%s {\n", spec.name, label)
			writeContent(out, child)
			out.WriteString("}\n")
		}
	}
}

// belongsToRoles tells whether a setting of the root says nothing more once the roles have taken it.
func belongsToRoles(b *block, name string) bool { return b.spec.name == "" && name == "stop_timeout" }

// written is a decoded value as the file would write it.
func (v *value) written(as attrSpec) string {
	switch as.kind {
	case kindBool:
		return fmt.Sprint(v.flag)
	case kindInt:
		return strconv.FormatInt(v.number, 10)
	case kindDuration:
		return strconv.Quote(shortDuration(v.duration))
	case kindSize:
		return strconv.Quote(sizeText(v.number))
	case kindShare:
		return fmt.Sprintf(`"%d%%"`, v.number)
	case kindLimit:
		if v.listed {
			return fmt.Sprintf(`"%d%%"`, v.number)
		}
		return strconv.FormatInt(v.number, 10)
	case kindSSHConfig:
		if !v.listed && len(v.list) == 0 {
			return fmt.Sprint(v.flag)
		}
		return writtenList(v.list)
	case kindStrings, kindSecrets, kindCommand:
		return writtenList(v.list)
	case kindStringMap, kindEnvMap, kindOptions:
		return writtenMap(v.dict)
	case kindByName:
		if v.dict != nil {
			return writtenMap(v.dict)
		}
	}
	return v.one.written()
}

func (t text) written() string {
	switch {
	case t.secret:
		return fmt.Sprintf("secret(%s)", Quote(t.s))
	case t.host != "":
		return t.host.written()
	}
	return Quote(t.s)
}

func writtenList(list []text) string {
	var all []string
	for _, t := range list {
		all = append(all, t.written())
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// writtenMap writes one entry a line when there are several.
func writtenMap(dict map[string][]text) string {
	var entries []string
	for _, name := range slices.Sorted(maps.Keys(dict)) {
		values := dict[name]
		if values == nil {
			continue // null: as if it were not there
		}
		key := name
		if !hclsyntax.ValidIdentifier(name) {
			key = Quote(name)
		}
		value := writtenList(values)
		if len(values) == 1 {
			value = values[0].written()
		}
		entries = append(entries, key+" = "+value)
	}
	switch len(entries) {
	case 0:
		return "{}"
	case 1:
		return "{ " + entries[0] + " }"
	}
	return "{\n" + strings.Join(entries, "\n") + "\n}"
}

// Quote writes a text as a file does, so that nothing in it is evaluated.
func Quote(s string) string {
	return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes())
}

// sizeText writes a number of bytes in the largest unit that it is a whole number of.
func sizeText(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "g"}, {1 << 20, "m"}, {1 << 10, "k"}} {
		if n > 0 && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// shortDuration leaves the zeros out that time.Duration prints: "1m0s" is "1m".
func shortDuration(d time.Duration) string {
	text := d.String()
	for _, end := range []string{"m0s", "h0m"} {
		if len(text) > len(end) && text[len(text)-len(end):] == end {
			text = text[:len(text)-2]
		}
	}
	return text
}
