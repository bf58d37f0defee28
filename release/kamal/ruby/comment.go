package ruby

import "go.yaml.in/yaml/v4"

func (d *document) comment(root *Node) {}

type span struct{ from, to int }

func (d *document) literal(y *yaml.Node, parent int) {}
