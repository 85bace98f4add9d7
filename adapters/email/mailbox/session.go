package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-imap"
	"github.com/emersion/go-imap/client"
	"github.com/emersion/go-imap/commands"
	"github.com/emersion/go-imap/responses"
)

// chunk is how much of a mail is fetched at once.
const chunk = 256 << 10

// session is one connection. It is used by one goroutine.
type session struct {
	c       *client.Client
	g       *guard
	caps    map[string]bool
	timeout time.Duration
}

// begin makes the library's client, and logs in.
func (s *session) begin(ctx context.Context, c *Config, renew bool) error {
	err := s.do(func() error {
		// After an error the library has a client all the same, which nobody reads.
		c, err := client.New(s.g)
		if err == nil {
			s.c = c
		}
		return err
	})
	if err != nil {
		return err
	}
	s.c.ErrorLog = stop{s.g}
	s.g.open()
	if err := s.capabilities(); err != nil {
		return err
	}
	if err := s.login(ctx, c, renew); err != nil {
		return err
	}
	return s.capabilities()
}

// stop ends the connection when the library would log. It logs whole responses,
// and reads on after one that it did not understand.
type stop struct{ g *guard }

// Printf implements imap.Logger.
func (s stop) Printf(string, ...any) { s.g.fail(errConfused) }

// Println implements imap.Logger.
func (s stop) Println(...any) { s.g.fail(errConfused) }

var (
	errConfused = errors.New("the server sends what was not asked for")
	errTimeout  = errors.New("the server does not answer")
)

// do runs something of the library's: its panics become errors, and what takes
// too long ends with the connection.
func (s *session) do(f func() error) (err error) {
	timer := time.AfterFunc(s.timeout, func() { s.g.fail(errTimeout) })
	defer timer.Stop()
	defer func() {
		if p := recover(); p != nil {
			s.g.fail(fmt.Errorf("panic in the IMAP library: %v", p))
			err = s.g.failed()
		}
	}()
	s.g.refused(nil)
	return s.explain(f())
}

// explain makes of an error of the library's what the server said, or why the
// connection ended: the library returns text alone.
func (s *session) explain(err error) error {
	if err == nil {
		return nil
	}
	if no := s.g.said(); no != nil {
		return no
	}
	if why := s.g.failed(); why != nil {
		return why
	}
	return err
}

// execute runs a command with a handler of one's own for what it brings. The
// library's own send on channels that the library closes under them.
func (s *session) execute(cmd imap.Commander, h responses.Handler) error {
	return s.do(func() error {
		status, err := s.c.Execute(cmd, h)
		if err != nil {
			return err
		}
		return status.Err()
	})
}

func (s *session) close() {
	if s.c != nil && s.g.failed() == nil {
		quick := *s
		quick.timeout = min(s.timeout, 2*time.Second)
		_ = quick.do(quick.c.Logout)
	}
	s.drop()
}

// drop ends the connection without a word.
func (s *session) drop() {
	_ = s.g.Close()
	if s.c != nil {
		<-s.c.LoggedOut()
	}
}

// capabilities asks what the server can do.
func (s *session) capabilities() error {
	return s.do(func() error {
		caps, err := s.c.Capability()
		if err != nil {
			return err
		}
		s.caps = map[string]bool{}
		for name := range caps {
			s.caps[strings.ToUpper(name)] = true
		}
		return nil
	})
}

func (s *session) can(what string) bool { return s.caps[what] }

// noError is a server's NO or BAD to a command; the connection goes on.
type noError struct {
	code imap.StatusRespCode
	text string
}

func (e *noError) Error() string {
	if e.code != "" {
		return fmt.Sprintf("the server says no (%s): %s", e.code, e.text)
	}
	return "the server says no: " + e.text
}

// newNo makes one fit for a log of what the server says, or nil if it says yes.
func newNo(r *imap.StatusResp) *noError {
	if r.Type != imap.StatusRespNo && r.Type != imap.StatusRespBad {
		return nil
	}
	return &noError{code: r.Code, text: printable(r.Info)}
}

func printable(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// selected is an opened folder.
type selected struct {
	validity uint32
	// mark is the flag that marks what was handled.
	mark string
}

// selectFolder opens a folder and finds out how mail can be marked in it.
func (s *session) selectFolder(name, keyword string) (selected, error) {
	var status *imap.MailboxStatus
	err := s.do(func() error {
		var err error
		status, err = s.c.Select(name, false)
		return err
	})
	if err != nil {
		return selected{}, err
	}
	if status.ReadOnly {
		return selected{}, &configError{fmt.Errorf("folder %q can only be read, and what was handled cannot be marked", name)}
	}
	f := selected{validity: status.UidValidity}
	for _, flag := range status.PermanentFlags {
		switch {
		case flag == imap.TryCreateFlag, strings.EqualFold(flag, keyword):
			f.mark = keyword
			return f, nil
		case strings.EqualFold(flag, imap.FlaggedFlag):
			f.mark = imap.FlaggedFlag
		}
	}
	if f.mark == "" {
		return selected{}, &configError{fmt.Errorf("folder %q keeps no flags that what was handled could be marked with; move it with done_folder", name)}
	}
	return f, nil
}

// search returns the mail that is not marked, the oldest first.
func (s *session) search(f selected, since time.Time) ([]uint32, error) {
	found := &responses.Search{}
	criteria := &imap.SearchCriteria{Since: since, WithoutFlags: []string{f.mark, imap.DeletedFlag}}
	err := s.execute(&commands.Uid{Cmd: &commands.Search{Criteria: criteria}}, found)
	return found.Ids, err
}

// fetched collects what a FETCH brings.
type fetched struct {
	uid uint32
	msg *imap.Message
}

// Handle implements responses.Handler.
func (f *fetched) Handle(resp imap.Resp) error {
	name, fields, ok := imap.ParseNamedResp(resp)
	if !ok || name != "FETCH" || len(fields) != 2 {
		return responses.ErrUnhandled
	}
	items, _ := fields[1].([]any)
	msg := &imap.Message{}
	if err := msg.Parse(items); err != nil {
		return err
	}
	// The server may tell of other mail, or that this one's flags changed.
	if msg.Uid != f.uid || len(msg.Body) == 0 {
		return responses.ErrUnhandled
	}
	f.msg = msg
	return nil
}

var (
	errGone  = errors.New("it is no longer there")
	errLarge = errors.New("it is too large")
)

// fetch reads a mail, a piece at a time, so that no server decides how much
// memory it takes.
func (s *session) fetch(uid uint32, most int64) (raw []byte, received time.Time, err error) {
	for {
		section := &imap.BodySectionName{Peek: true, Partial: []int{len(raw), chunk}}
		h := &fetched{uid: uid}
		items := []imap.FetchItem{imap.FetchUid, imap.FetchRFC822Size, imap.FetchInternalDate, section.FetchItem()}
		if err := s.execute(&commands.Uid{Cmd: &commands.Fetch{SeqSet: one(uid), Items: items}}, h); err != nil {
			return nil, time.Time{}, err
		}
		if h.msg == nil {
			return nil, time.Time{}, errGone
		}
		if int64(h.msg.Size) > most {
			return nil, time.Time{}, fmt.Errorf("%w: %d bytes, and at most %d are read", errLarge, h.msg.Size, most)
		}
		piece, err := literal(h.msg)
		if err != nil {
			return nil, time.Time{}, err
		}
		raw = append(raw, piece...)
		if int64(len(raw)) > most {
			return nil, time.Time{}, fmt.Errorf("%w: over %d bytes", errLarge, most)
		}
		// Some servers only guess the size; a short piece is the last.
		if len(piece) < chunk {
			return raw, h.msg.InternalDate, nil
		}
	}
}

// literal returns the one body of a response; the library has nil for an empty
// one.
func literal(m *imap.Message) ([]byte, error) {
	for _, body := range m.Body {
		if body == nil {
			return nil, nil
		}
		return io.ReadAll(io.LimitReader(body, chunk+1024))
	}
	return nil, nil
}

func one(uid uint32) *imap.SeqSet {
	set := new(imap.SeqSet)
	set.AddNum(uid)
	return set
}

// setMark marks a mail as handled.
func (s *session) setMark(f selected, uid uint32) error {
	return s.execute(&commands.Uid{Cmd: &commands.Store{
		SeqSet: one(uid), Item: imap.FormatFlagsOp(imap.AddFlags, true), Value: []any{imap.RawString(f.mark)},
	}}, nil)
}

// move moves a mail into a folder, which is made if it is missing. The library
// would expunge the whole folder where the server cannot move; here the mail is
// copied and marked.
func (s *session) move(f selected, uid uint32, folder string) error {
	err := s.moveTo(f, uid, folder)
	var no *noError
	if errors.As(err, &no) {
		// Whether it exists already or cannot be made, the next try tells.
		if made := s.execute(&commands.Create{Mailbox: folder}, nil); made == nil || errors.As(made, &no) {
			return s.moveTo(f, uid, folder)
		}
	}
	return err
}

func (s *session) moveTo(f selected, uid uint32, folder string) error {
	if s.can("MOVE") {
		return s.execute(&commands.Uid{Cmd: &commands.Move{SeqSet: one(uid), Mailbox: folder}}, nil)
	}
	if err := s.execute(&commands.Uid{Cmd: &commands.Copy{SeqSet: one(uid), Mailbox: folder}}, nil); err != nil {
		return err
	}
	return s.setMark(f, uid)
}

// idle waits until there is mail, wake or ctx. It returns whether the server
// can do so.
func (s *session) idle(ctx context.Context, wake <-chan time.Time) (able bool, err error) {
	end := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.g.fail(fmt.Errorf("panic in the IMAP library: %v", p))
				done <- s.g.failed()
			}
		}()
		s.g.refused(nil)
		status, err := s.c.Execute(&commands.Idle{}, &responses.Idle{Stop: end, RepliesCh: make(chan []byte, 10)})
		if err == nil {
			err = status.Err()
		}
		done <- err
	}()
	select {
	case <-s.g.exists:
		s.again()
	case <-wake:
	case <-ctx.Done():
	case err := <-done:
		close(end)
		return s.idled(err)
	}
	close(end)
	timer := time.AfterFunc(s.timeout, func() { s.g.fail(errTimeout) })
	defer timer.Stop()
	return s.idled(<-done)
}

// again keeps a value that was taken for whoever looks next.
func (s *session) again() {
	select {
	case s.g.exists <- struct{}{}:
	default:
	}
}

func (s *session) idled(err error) (bool, error) {
	err = s.explain(err)
	var no *noError
	if errors.As(err, &no) {
		return false, nil // it cannot, whatever it said
	}
	return true, err
}
