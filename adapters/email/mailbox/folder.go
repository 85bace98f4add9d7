package mailbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// errEnded is why a connection is no more where nobody says why.
var errEnded = errors.New("the server ended the connection")

// folder reads one folder.
type folder struct {
	b    *Mailbox
	name string
	log  *slog.Logger
	// validity is that of the last connection; later holds mail that failed and
	// waits, by UID.
	validity uint32
	later    map[uint32]*waiting
	// renew asks for another access token, since the last one was refused.
	renew bool
}

// waiting is a mail that could not be handled.
type waiting struct {
	next  time.Time
	retry *backoff.ExponentialBackOff
}

func (b *Mailbox) newRetry() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: b.times.retry, MaxInterval: b.times.retryMost, Multiplier: 2, RandomizationFactor: 0.2}
}

// run holds one connection after the other until ctx ends.
func (f *folder) run(ctx context.Context) error {
	retry := f.b.newRetry()
	retry.Reset()
	for ctx.Err() == nil {
		read, err := f.connection(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if read {
			retry.Reset()
		}
		if err := f.final(err); err != nil {
			return err
		}
		wait := retry.NextBackOff()
		f.b.health.set(f.b.c.Report, f.name, fmt.Errorf("folder %q is not read: %w", f.name, cmp.Or(err, errEnded)))
		f.log.Warn("the connection to the mail server ended or was not made; trying again", "err", err, "in", wait.Round(time.Millisecond))
		pause(ctx, wait)
	}
	return nil
}

// final returns err if it does not pass by itself.
func (f *folder) final(err error) error {
	var refused *refusedError
	var config *configError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		// A token may have run out since it was fetched.
		if f.b.c.Token != nil && !f.renew {
			f.renew = true
			return nil
		}
		return err
	case errors.As(err, &config):
		return err
	case errors.As(err, &certificate):
		return fmt.Errorf("the mail server's certificate is not trusted (host, ca_file): %w", err)
	}
	return nil
}

// connection reads over one connection until that or ctx ends. It reports
// whether it came to read anything.
func (f *folder) connection(ctx context.Context) (read bool, err error) {
	s, err := f.b.connect(ctx, f.renew)
	if err != nil {
		return false, err
	}
	defer s.close()
	// What is under way when ctx ends has a little time.
	release := context.AfterFunc(ctx, func() {
		s.g.endAfter(min(f.b.times.command, 5*time.Second))
	})
	defer release()
	f.renew = false
	able := s.can("IDLE")
	for ctx.Err() == nil {
		// A folder that was made anew under way shows when it is opened again.
		open, err := f.open(s)
		if err != nil {
			return read, err
		}
		f.b.health.set(f.b.c.Report, f.name, nil)
		if !read {
			f.log.Info("reading mail", "mark", open.mark, "idle", able)
		}
		for opened := time.Now(); ctx.Err() == nil && time.Since(opened) < f.b.times.idle; {
			if err := f.round(ctx, s, open); err != nil {
				return read, err
			}
			read = true
			if able, err = f.wait(ctx, s, able); err != nil {
				return read, err
			}
		}
	}
	return read, nil
}

// open opens the folder, and forgets what was known of it if it is another.
func (f *folder) open(s *session) (selected, error) {
	open, err := s.selectFolder(f.name, f.b.c.Keyword)
	var no *noError
	if errors.As(err, &no) && !passing[no.code] {
		return open, &configError{fmt.Errorf("folder %q: %w", f.name, err)}
	}
	if err == nil && f.validity != open.validity {
		if f.validity != 0 {
			f.log.Info("the folder was made anew; reading what is not marked in it")
		}
		f.validity, f.later = open.validity, nil
	}
	return open, err
}

// wait waits until there may be something to do.
func (f *folder) wait(ctx context.Context, s *session, able bool) (bool, error) {
	limit := f.b.times.idle
	if !able {
		limit = f.b.c.Poll
	}
	for _, w := range f.later {
		limit = min(limit, max(time.Until(w.next), 0))
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	if able {
		return s.idle(ctx, timer.C)
	}
	select {
	case <-timer.C:
	case <-s.g.exists:
		s.again()
	case <-s.g.closed:
		return false, s.g.failed()
	case <-ctx.Done():
	}
	return false, nil
}

// round handles what is not marked.
func (f *folder) round(ctx context.Context, s *session, open selected) error {
	for ctx.Err() == nil {
		select {
		case <-s.g.exists: // what came until now is found by this search
		default:
		}
		uids, err := s.search(open, time.Now().Add(-f.b.c.Since))
		if err != nil {
			return err
		}
		slices.Sort(uids)
		f.forget(uids)
		for _, uid := range f.inTurn(uids) {
			if ctx.Err() != nil {
				return nil
			}
			if w := f.later[uid]; w != nil && time.Now().Before(w.next) {
				continue
			}
			if err := f.mail(ctx, s, open, uid); err != nil {
				return err
			}
		}
		select {
		case <-s.g.exists:
			s.again()
		default:
			return nil
		}
	}
	return nil
}

// inTurn puts what failed before behind the rest: a mail that ends the
// connection whenever it is read must not keep the others from being read.
func (f *folder) inTurn(uids []uint32) []uint32 {
	var fresh, failed []uint32
	for _, uid := range uids {
		if f.later[uid] == nil {
			fresh = append(fresh, uid)
		} else {
			failed = append(failed, uid)
		}
	}
	slices.SortStableFunc(failed, func(a, b uint32) int { return f.later[a].next.Compare(f.later[b].next) })
	return append(fresh, failed...)
}

// forget drops what waited and is no longer there.
func (f *folder) forget(uids []uint32) {
	for uid := range f.later {
		if _, there := slices.BinarySearch(uids, uid); !there {
			delete(f.later, uid)
		}
	}
}

// mail reads, hands on and marks one mail. Its error is one of the connection.
func (f *folder) mail(ctx context.Context, s *session, open selected, uid uint32) error {
	log := f.log.With("uid", uid)
	raw, received, err := s.fetch(uid, f.b.c.MaxSize)
	var no *noError
	switch {
	case errors.Is(err, errGone):
		return nil
	case errors.Is(err, errLarge):
		err = Aside(err)
	case errors.As(err, &no):
		f.postpone(uid, log, err)
		return nil
	case err != nil:
		// Should this mail be what ends the connection, the others go first.
		f.postpone(uid, log, err)
		return err
	default:
		err = f.b.handle(ctx, Mail{Raw: raw, Folder: f.name, UID: uid, Validity: open.validity, Received: received})
	}
	var aside *asideError
	switch {
	case err == nil:
		err = f.done(s, open, uid)
	case errors.As(err, &aside):
		err = f.aside(s, open, uid, aside.error)
	default:
		if ctx.Err() == nil {
			f.postpone(uid, log, err)
		}
		return nil
	}
	if errors.As(err, &no) {
		f.postpone(uid, log, fmt.Errorf("it was handled and could not be marked: %w", err))
		return nil
	}
	return err
}

// handle hands a mail on, one at a time.
func (b *Mailbox) handle(ctx context.Context, m Mail) (err error) {
	b.handling.Lock()
	defer b.handling.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return b.c.Handle(ctx, m)
}

// done marks what was handled.
func (f *folder) done(s *session, open selected, uid uint32) error {
	if f.b.c.DoneFolder == "" {
		return s.setMark(open, uid)
	}
	err := s.move(open, uid, f.b.c.DoneFolder)
	var no *noError
	if errors.As(err, &no) {
		f.log.Warn("what was handled could not be moved and is marked in place (done_folder)", "uid", uid, "err", err)
		return s.setMark(open, uid)
	}
	return err
}

// aside moves what cannot be read out of the way.
func (f *folder) aside(s *session, open selected, uid uint32, reason error) error {
	f.log.Warn("a mail cannot be read and is moved aside", "uid", uid, "to", f.b.c.AsideFolder, "reason", reason)
	err := s.move(open, uid, f.b.c.AsideFolder)
	var no *noError
	if errors.As(err, &no) {
		f.log.Warn("it could not be moved and is marked in place (aside_folder)", "uid", uid, "err", err)
		return s.setMark(open, uid)
	}
	return err
}

// postpone leaves a mail for later.
func (f *folder) postpone(uid uint32, log *slog.Logger, err error) {
	w := f.later[uid]
	if w == nil {
		w = &waiting{retry: f.b.newRetry()}
		w.retry.Reset()
		if f.later == nil {
			f.later = map[uint32]*waiting{}
		}
		f.later[uid] = w
	}
	wait := w.retry.NextBackOff()
	w.next = time.Now().Add(wait)
	log.Warn("a mail was not taken; trying it again", "err", err, "in", wait.Round(time.Millisecond))
}

// pause waits for d, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
