package strictyaml

import "slices"

// Same reports whether both sections say the same, with references resolved:
// wherever in the file they stand, and in whatever order their keys are.
func (s Section) Same(other Section) bool { return s.node.same(other.node) }

func (n *node) same(o *node) bool {
	if n == nil || o == nil {
		return n == o
	}
	if n.kind != o.kind || n.text != o.text || len(n.entries) != len(o.entries) {
		return false
	}
	for _, e := range n.entries {
		i := slices.IndexFunc(o.entries, func(f entry) bool { return f.key == e.key })
		if i < 0 || !e.value.same(o.entries[i].value) {
			return false
		}
	}
	return slices.EqualFunc(n.items, o.items, (*node).same)
}
