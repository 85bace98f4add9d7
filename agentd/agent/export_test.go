package agent

// OnStep calls f at every point where a crash would matter.
func (a *Agent) OnStep(f func(point string)) { a.step = f }
