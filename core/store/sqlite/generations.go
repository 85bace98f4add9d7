package sqlite

// generations is a map that forgets: it holds the last max entries that were
// put, and up to as many before them.
type generations[K comparable, V any] struct {
	max      int
	now, old map[K]V
}

func (g *generations[K, V]) get(k K) (V, bool) {
	if v, ok := g.now[k]; ok {
		return v, true
	}
	v, ok := g.old[k]
	return v, ok
}

func (g *generations[K, V]) put(k K, v V) {
	if g.now == nil {
		g.now = map[K]V{}
	} else if len(g.now) >= g.max {
		g.now, g.old = make(map[K]V, g.max), g.now
	}
	g.now[k] = v
}

func (g *generations[K, V]) remove(k K) {
	delete(g.now, k)
	delete(g.old, k)
}

func (g *generations[K, V]) clear() { g.now, g.old = nil, nil }
