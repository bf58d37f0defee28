package ruby

import "slices"

// ruler measures in the characters of one line of a text. It keeps the line that it measured last, for lines may be long and what
// is asked of one is asked again.
type ruler struct {
	text     string
	from, to int
	begins   []int // where each character of the line begins; nil: each is a byte
	laid     bool
}

// lay takes a line by where it begins and ends.
func (r *ruler) lay(from, to int) {
	if r.laid && r.from == from && r.to == to {
		return
	}
	r.from, r.to, r.begins, r.laid = from, to, nil, true
	begins := make([]int, 0, to-from)
	for i := range r.text[from:to] {
		begins = append(begins, from+i)
	}
	if len(begins) < to-from {
		r.begins = begins
	}
}

// offset is where a column, counted from 1, is in the text.
func (r *ruler) offset(column int) int {
	switch {
	case column < 1:
		return r.from
	case r.begins == nil:
		return min(r.from+column-1, r.to)
	case column > len(r.begins):
		return r.to
	}
	return r.begins[column-1]
}

// column is the reverse.
func (r *ruler) column(offset int) int {
	if r.begins == nil {
		return offset - r.from + 1
	}
	i, _ := slices.BinarySearch(r.begins, offset)
	return i + 1
}
