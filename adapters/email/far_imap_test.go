package email

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap"
	"github.com/emersion/go-imap/backend"
	"github.com/emersion/go-imap/backend/backendutil"
	"github.com/emersion/go-imap/server"
	"github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"

	"bufio"
)

// imapFar is a mail server in memory, with one mailbox of one user.
type imapFar struct {
	addr    string
	srv     *server.Server
	updates chan backend.Update

	mu      sync.Mutex
	locked  bool
	folders map[string]*folder
	changed chan struct{} // closed at each change
	uid     uint32
}

// folder is one folder of a mailbox.
type folder struct {
	far  *imapFar
	name string
	mail []*stored
}

type stored struct {
	uid   uint32
	at    time.Time
	flags []string
	body  []byte
}

// startIMAP starts a server that speaks TLS from the first byte.
func startIMAP(t *testing.T, config *tls.Config) *imapFar {
	t.Helper()
	f := &imapFar{folders: map[string]*folder{}, changed: make(chan struct{}), updates: make(chan backend.Update, 10_000)}
	f.folders["INBOX"] = &folder{far: f, name: "INBOX"}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	f.srv = server.New(f)
	f.srv.ErrorLog = log.New(io.Discard, "", 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		_ = f.srv.Close()
		<-done
		close(f.updates)
	})
	return f
}

// change runs f, tells who waits, and wakes the clients.
func (f *imapFar) change(what func()) {
	f.mu.Lock()
	what()
	close(f.changed)
	f.changed = make(chan struct{})
	var all []backend.Update
	for _, one := range f.folders {
		status := imap.NewMailboxStatus(one.name, []imap.StatusItem{imap.StatusMessages})
		status.Messages = uint32(len(one.mail))
		all = append(all, &backend.MailboxUpdate{Update: backend.NewUpdate(imapUser, one.name), MailboxStatus: status})
	}
	f.mu.Unlock()
	for _, u := range all {
		f.updates <- u
	}
}

// append adds a mail to a folder, and returns its UID.
func (f *imapFar) append(name string, body []byte) (uid uint32) {
	f.change(func() { uid = f.add(name, &stored{at: time.Now(), body: body}) })
	return uid
}

// add is called with f.mu held.
func (f *imapFar) add(name string, m *stored) uint32 {
	f.uid++
	m.uid = f.uid
	f.folders[name].mail = append(f.folders[name].mail, m)
	return m.uid
}

// handled waits until the mail has a flag or has left its folder, and reports
// whether it has; it ends when failed says so, or patience does.
func (f *imapFar) handled(name string, uid uint32, failed <-chan struct{}, patience time.Duration) bool {
	late := time.After(patience)
	for {
		f.mu.Lock()
		done, changed := true, f.changed
		for _, m := range f.folders[name].mail {
			if m.uid == uid {
				done = slices.Contains(m.flags, defaults().DoneFlag)
			}
		}
		f.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-failed:
			return false
		case <-late:
			return false
		}
	}
}

// count is how many mails are in a folder; of one that is not there, none.
func (f *imapFar) count(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.folders[name] == nil {
		return 0
	}
	return len(f.folders[name].mail)
}

func (f *imapFar) lock(locked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = locked
}

// breakAll breaks every connection.
func (f *imapFar) breakAll() {
	f.srv.ForEachConn(func(c server.Conn) { _ = c.Close() })
}

// Login implements backend.Backend.
func (f *imapFar) Login(_ *imap.ConnInfo, user, password string) (backend.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked || user != imapUser || password != imapPassword {
		return nil, backend.ErrInvalidCredentials
	}
	return imapAccount{f}, nil
}

// Updates implements backend.BackendUpdater.
func (f *imapFar) Updates() <-chan backend.Update { return f.updates }

type imapAccount struct{ *imapFar }

func (a imapAccount) Username() string { return imapUser }
func (a imapAccount) Logout() error    { return nil }

func (a imapAccount) ListMailboxes(bool) ([]backend.Mailbox, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []backend.Mailbox
	for _, f := range a.folders {
		all = append(all, f)
	}
	return all, nil
}

func (a imapAccount) GetMailbox(name string) (backend.Mailbox, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.folders[name]; f != nil {
		return f, nil
	}
	return nil, backend.ErrNoSuchMailbox
}

func (a imapAccount) CreateMailbox(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.folders[name] != nil {
		return backend.ErrMailboxAlreadyExists
	}
	a.folders[name] = &folder{far: a.imapFar, name: name}
	return nil
}

func (a imapAccount) DeleteMailbox(string) error         { return errors.New("nothing is deleted here") }
func (a imapAccount) RenameMailbox(string, string) error { return errors.New("nothing is renamed here") }

func (f *folder) Name() string { return f.name }

func (f *folder) Info() (*imap.MailboxInfo, error) {
	return &imap.MailboxInfo{Delimiter: "/", Name: f.name}, nil
}

func (f *folder) Status(items []imap.StatusItem) (*imap.MailboxStatus, error) {
	f.far.mu.Lock()
	defer f.far.mu.Unlock()
	s := imap.NewMailboxStatus(f.name, items)
	s.Flags, s.PermanentFlags = []string{imap.SeenFlag, defaults().DoneFlag}, []string{imap.SeenFlag, defaults().DoneFlag, `\*`}
	s.Messages, s.UidNext, s.UidValidity = uint32(len(f.mail)), f.far.uid+1, 1
	return s, nil
}

func (f *folder) SetSubscribed(bool) error { return nil }
func (f *folder) Check() error             { return nil }

// each calls do for the mails of a set.
func (f *folder) each(uid bool, set *imap.SeqSet, do func(seq uint32, m *stored)) {
	for i, m := range f.mail {
		id := uint32(i + 1)
		if uid {
			id = m.uid
		}
		if set.Contains(id) {
			do(uint32(i+1), m)
		}
	}
}

func (f *folder) ListMessages(uid bool, set *imap.SeqSet, items []imap.FetchItem, to chan<- *imap.Message) error {
	defer close(to)
	f.far.mu.Lock()
	var all []*imap.Message
	f.each(uid, set, func(seq uint32, m *stored) { all = append(all, m.fetch(seq, items)) })
	f.far.mu.Unlock()
	for _, m := range all {
		to <- m
	}
	return nil
}

func (m *stored) fetch(seq uint32, items []imap.FetchItem) *imap.Message {
	got := imap.NewMessage(seq, items)
	got.Uid, got.Flags, got.InternalDate, got.Size = m.uid, slices.Clone(m.flags), m.at, uint32(len(m.body))
	for _, item := range items {
		section, err := imap.ParseBodySectionName(item)
		if err != nil {
			continue
		}
		if section.Specifier == imap.EntireSpecifier && len(section.Path) == 0 && section.Partial == nil {
			got.Body[section] = bytes.NewReader(m.body)
			continue
		}
		r := bufio.NewReader(bytes.NewReader(m.body))
		header, err := textproto.ReadHeader(r)
		if err != nil {
			continue
		}
		got.Body[section], _ = backendutil.FetchBodySection(header, r, section)
	}
	return got
}

func (f *folder) SearchMessages(uid bool, c *imap.SearchCriteria) (ids []uint32, err error) {
	f.far.mu.Lock()
	defer f.far.mu.Unlock()
	for i, m := range f.mail {
		e, _ := message.Read(bytes.NewReader(m.body))
		if e == nil {
			e, _ = message.New(message.Header{}, bytes.NewReader(nil))
		}
		ok, err := backendutil.Match(e, uint32(i+1), m.uid, m.at, m.flags, c)
		if err != nil || !ok {
			continue
		}
		id := uint32(i + 1)
		if uid {
			id = m.uid
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (f *folder) CreateMessage(flags []string, at time.Time, body imap.Literal) error {
	all, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	f.far.change(func() { f.far.add(f.name, &stored{at: at, flags: flags, body: all}) })
	return nil
}

func (f *folder) UpdateMessagesFlags(uid bool, set *imap.SeqSet, op imap.FlagsOp, flags []string) error {
	f.far.change(func() {
		f.each(uid, set, func(_ uint32, m *stored) { m.flags = backendutil.UpdateFlags(m.flags, op, flags) })
	})
	return nil
}

func (f *folder) CopyMessages(uid bool, set *imap.SeqSet, to string) error {
	f.far.mu.Lock()
	there := f.far.folders[to]
	f.far.mu.Unlock()
	if there == nil {
		return backend.ErrNoSuchMailbox
	}
	f.far.change(func() {
		f.each(uid, set, func(_ uint32, m *stored) { c := *m; f.far.add(to, &c) })
	})
	return nil
}

// MoveMessages implements backend.MoveMailbox.
func (f *folder) MoveMessages(uid bool, set *imap.SeqSet, to string) error {
	if err := f.CopyMessages(uid, set, to); err != nil {
		return err
	}
	f.far.change(func() {
		var gone []uint32
		f.each(uid, set, func(_ uint32, m *stored) { gone = append(gone, m.uid) })
		f.mail = slices.DeleteFunc(f.mail, func(m *stored) bool { return slices.Contains(gone, m.uid) })
	})
	return nil
}

func (f *folder) Expunge() error { return errors.New("nothing is ever expunged") }

// portOf is the port of an address.
func portOf(t *testing.T, addr string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}
