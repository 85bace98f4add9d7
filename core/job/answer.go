package job

import "context"

// Start confirms jobs that were offered: an agent runs nothing before it. One
// answer for each hold, in order: no error also if the same lease started it
// before; ErrLease, ErrFinal or ErrNotFound otherwise.
func (s *Service) Start(ctx context.Context, c Caller, starts []Hold) ([]Updated, error) {
	if err := s.CheckIn(ctx, c); err != nil {
		return nil, err
	}
	answers := make([]Updated, len(starts))
	err := s.each(ctx, c.Space, answers, func(i int) string { return starts[i].ID }, func(i int) Decide {
		return s.rules().start(c.Agent, starts[i].Lease)
	})
	return answers, err
}

// each updates the job that each answer is about, all in one transaction
// unless a job comes twice: its second turn is decided after its first.
// Answers that have an error already are left out.
func (s *Service) each(ctx context.Context, space string, answers []Updated, id func(i int) string, decide func(i int) Decide) error {
	todo := make([]int, 0, len(answers))
	for i := range answers {
		if answers[i].Err == nil {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		turn := make(map[string]int, len(todo))
		ids := make([]string, 0, len(todo))
		var later []int
		for _, i := range todo {
			if _, twice := turn[id(i)]; twice {
				later = append(later, i)
				continue
			}
			turn[id(i)] = i
			ids = append(ids, id(i))
		}
		us, err := s.update(ctx, ByID(space, ids...), func(v View) (*Change, error) {
			return decide(turn[v.Job.ID])(v)
		})
		if err != nil {
			return err
		}
		for n, u := range us {
			answers[turn[ids[n]]] = u
		}
		todo = later
	}
	return nil
}

// Output adds a piece of live output and takes it as a word that the job
// runs. Errors: *GapError, ErrLease, ErrFinal, ErrNotFound, *InvalidError.
func (s *Service) Output(ctx context.Context, c Caller, id, lease string, chunk OutputChunk) error {
	if chunk.Seq < 1 {
		return invalid("seq", "must be 1 or more")
	}
	if err := s.CheckIn(ctx, c); err != nil {
		return err
	}
	u, err := s.store.AppendOutput(ctx, c.Space, id, chunk, s.rules().limits.LiveBytes, s.rules().running(c.Agent, lease))
	if err == nil {
		err = u.Err
	}
	if err != nil {
		return err
	}
	s.waker.Wake(WakeJob(id))
	return nil
}

// Report takes results. One answer for each, in order: no error also for an
// identical repetition; ErrFinal with the job for a late or different one,
// which is kept; ErrLease, ErrConflict, ErrNotFound or *InvalidError otherwise.
func (s *Service) Report(ctx context.Context, c Caller, reports []Report) ([]Updated, error) {
	if err := s.CheckIn(ctx, c); err != nil {
		return nil, err
	}
	answers := make([]Updated, len(reports))
	for i, r := range reports {
		answers[i].Err = r.validate()
	}
	err := s.each(ctx, c.Space, answers, func(i int) string { return reports[i].ID }, func(i int) Decide {
		return s.rules().report(c.Agent, reports[i])
	})
	if err != nil {
		return nil, err
	}
	for i, u := range answers {
		if u.Err == nil && !u.Job.counted(reports[i].digest()) {
			answers[i].Err = ErrFinal
		}
	}
	return answers, nil
}
