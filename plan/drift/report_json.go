package drift

import (
	"encoding/json"
	"io"

	"github.com/kamald/kamald/state"
)

// JSON writes all of the report.
func (r Report) JSON(w io.Writer) error {
	if r.Findings == nil {
		r.Findings = []state.Finding{}
	}
	return indented(w, r)
}

func indented(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
