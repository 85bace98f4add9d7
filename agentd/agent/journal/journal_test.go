package journal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/core/agentapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func open(t testing.TB, dir string) (*Journal, []Entry) {
	t.Helper()
	j, entries, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, entries
}

func job(i int) agentapi.Assignment {
	return agentapi.Assignment{ID: fmt.Sprintf("job-%d", i), Lease: fmt.Sprintf("lease-%d", i), Message: "run <it> \n☃"}
}

func hold(i int) agentapi.Hold { return agentapi.Hold{ID: job(i).ID, Lease: job(i).Lease} }

func report(i int) agentapi.Report {
	text := fmt.Sprintf("output of %d", i)
	return agentapi.Report{Lease: job(i).Lease, Status: "succeeded", Output: &text}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// states renders entries as "1:intended 2:started".
func states(entries []Entry) string {
	var all []string
	for _, e := range entries {
		s := map[State]string{Intended: "intended", Started: "started", Finished: "finished"}[e.State]
		if e.Doubtful {
			s += "?"
		}
		all = append(all, strings.TrimPrefix(e.Job.ID, "job-")+":"+s)
	}
	return strings.Join(all, " ")
}

func TestEntriesComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, entries := open(t, dir)
	if len(entries) != 0 {
		t.Fatalf("a new journal has %v", entries)
	}
	must(t, j.Intend([]agentapi.Assignment{job(1), job(2), job(3), job(4), job(5)}))
	must(t, j.Started([]agentapi.Hold{hold(2), hold(3), hold(4)}))
	must(t, j.Finished(hold(3), report(3)))
	must(t, j.Finished(hold(4), report(4)))
	j.Forget(hold(4), hold(5))
	must(t, j.Close())
	must(t, j.Close()) // again does nothing
	if err := j.Intend([]agentapi.Assignment{job(9)}); !errors.Is(err, ErrClosed) {
		t.Errorf("a write after Close: %v", err)
	}

	for range 2 { // opening rewrites the file, which must not change anything
		j, entries = open(t, dir)
		if got := states(entries); got != "1:intended 2:started 3:finished" {
			t.Fatalf("found %q", got)
		}
		if entries[0].Job.Message != job(1).Message || *entries[2].Report.Output != "output of 3" {
			t.Errorf("found %+v", entries)
		}
		must(t, j.Close())
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	must(t, err)
	if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the journal's mode is %v", info.Mode())
	}
}

// TestCutOffAnywhere is a crash at any moment of a write: of what the writer
// was told is durable, nothing is missing, and what follows is all or nothing.
func TestCutOffAnywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	j, _ := open(t, dir)
	sizes := []int64{}
	steps := []func() error{
		func() error { return j.Intend([]agentapi.Assignment{job(1), job(2)}) },
		func() error { return j.Started([]agentapi.Hold{hold(1), hold(2)}) },
		func() error { return j.Finished(hold(1), report(1)) },
	}
	want := []string{"", "1:intended 2:intended", "1:started 2:started", "1:finished 2:started"}
	size := func() int64 {
		info, err := os.Stat(path)
		must(t, err)
		return info.Size()
	}
	sizes = append(sizes, size())
	for _, step := range steps {
		must(t, step())
		sizes = append(sizes, size())
	}
	must(t, j.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	for n := sizes[0]; n <= int64(len(whole)); n++ {
		durable := 0
		for durable+1 < len(sizes) && sizes[durable+1] <= n {
			durable++
		}
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
			d := t.TempDir()
			must(t, os.WriteFile(filepath.Join(d, fileName), append(bytes.Clone(whole[:n]), tail...), 0o600))
			again, entries := open(t, d)
			if got := states(entries); got != want[durable] {
				t.Fatalf("cut off at %d: %q, want %q", n, got, want[durable])
			}
			must(t, again.Close())
		}
	}
}

// TestDamage flips a byte anywhere. Whatever is lost by it, no entry that was
// started may come back as one that can be run.
func TestDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	must(t, j.Intend([]agentapi.Assignment{job(1), job(2)}))
	must(t, j.Started([]agentapi.Hold{hold(1)}))
	must(t, j.Started([]agentapi.Hold{hold(2)}))
	must(t, j.Intend([]agentapi.Assignment{job(3)}))
	must(t, j.Close())
	whole, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	last := bytes.LastIndex(whole, marker)
	for at := range last {
		d := t.TempDir()
		data := bytes.Clone(whole)
		data[at] ^= 0x20
		must(t, os.WriteFile(filepath.Join(d, fileName), data, 0o600))
		again, entries, err := Open(d, quiet)
		if err != nil {
			// The format's version is the one thing that is refused.
			if at >= len(header) || !strings.Contains(err.Error(), "newer") {
				t.Fatalf("damage at %d: %v", at, err)
			}
			continue
		}
		must(t, again.Close())
		for _, e := range entries {
			if e.State == Intended && !e.Doubtful {
				t.Errorf("damage at %d: %s may be run", at, e.Job.ID)
			}
		}
		if kept, _ := filepath.Glob(filepath.Join(d, fileName+".damaged-*")); len(kept) != 1 {
			t.Errorf("damage at %d: the damaged file is not kept", at)
		}
		// The doubt outlives another restart.
		again, entries = open(t, d)
		for _, e := range entries {
			if e.State == Intended {
				t.Errorf("damage at %d, opened again: %s may be run", at, e.Job.ID)
			}
		}
		must(t, again.Close())
	}
}

// TestDamageAtTheEnd flips a byte of the last frame, which says that a job was
// started: it may not be run again. Only a length that grew looks as if a
// crash had cut the frame off.
func TestDamageAtTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	must(t, j.Intend([]agentapi.Assignment{job(1)}))
	must(t, j.Started([]agentapi.Hold{hold(1)}))
	must(t, j.Close())
	whole, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	last := bytes.LastIndex(whole, marker)
	for at := last; at < len(whole); at++ {
		if at >= last+len(marker) && at < last+len(marker)+4 {
			continue
		}
		d := t.TempDir()
		data := bytes.Clone(whole)
		data[at] ^= 0x20
		must(t, os.WriteFile(filepath.Join(d, fileName), data, 0o600))
		again, entries := open(t, d)
		if got := states(entries); got != "1:intended?" {
			t.Errorf("damage at %d: %q", at, got)
		}
		must(t, again.Close())
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"something else": "is not an agent's journal",
		"skadi agent journal 2\n" + string(marker) + "....": "newer agent",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, fileName)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		if _, _, err := Open(dir, quiet); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
		if now, _ := os.ReadFile(path); string(now) != content {
			t.Errorf("%q was changed to %q", content, now)
		}
	}
}

func TestCompaction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	must(t, j.Intend([]agentapi.Assignment{job(-1)}))
	big := strings.Repeat("x", 256<<10)
	for i := range 100 { // 25 MiB in all
		must(t, j.Intend([]agentapi.Assignment{job(i)}))
		must(t, j.Finished(hold(i), agentapi.Report{Lease: job(i).Lease, Status: "succeeded", Output: &big}))
		j.Forget(hold(i))
	}
	must(t, j.Intend([]agentapi.Assignment{job(1000)}))
	must(t, j.Close())
	info, err := os.Stat(filepath.Join(dir, fileName))
	must(t, err)
	if info.Size() > compactAt+1<<20 {
		t.Errorf("the file has %d bytes", info.Size())
	}
	if _, entries := open(t, dir); states(entries) != "-1:intended 1000:intended" {
		t.Errorf("found %q", states(entries))
	}
}

func TestConcurrentWritersShareFsyncs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	counting := &countingFile{file: j.file}
	j.file = counting
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if err := j.Intend([]agentapi.Assignment{job(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, j.Close())
	if counting.syncs > 100 {
		t.Errorf("%d fsyncs for 200 concurrent writes", counting.syncs)
	}
	if _, entries := open(t, dir); len(entries) != 200 {
		t.Errorf("%d entries", len(entries))
	}
}

type countingFile struct {
	file
	syncs int
}

func (c *countingFile) Sync() error { c.syncs++; return c.file.Sync() }

// TestAgainstAModel runs random operations with restarts between and compares
// with a map.
func TestAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		must(t, err)
		defer func() { _ = os.RemoveAll(dir) }()
		j, _ := open(t, dir)
		model := map[int]State{}
		rt.Repeat(map[string]func(*rapid.T){
			"intend": func(rt *rapid.T) {
				i := rapid.IntRange(0, 5).Draw(rt, "job")
				must(t, j.Intend([]agentapi.Assignment{job(i)}))
				model[i] = max(model[i], Intended)
			},
			"started": func(rt *rapid.T) {
				i := rapid.IntRange(0, 5).Draw(rt, "job")
				must(t, j.Started([]agentapi.Hold{hold(i)}))
				model[i] = max(model[i], Started)
			},
			"finished": func(rt *rapid.T) {
				i := rapid.IntRange(0, 5).Draw(rt, "job")
				must(t, j.Finished(hold(i), report(i)))
				model[i] = Finished
			},
			"forget": func(rt *rapid.T) {
				i := rapid.IntRange(0, 5).Draw(rt, "job")
				j.Forget(hold(i))
				delete(model, i)
			},
			"restart": func(rt *rapid.T) {
				must(t, j.Close())
				var entries []Entry
				j, entries = open(t, dir)
				if len(entries) != len(model) {
					rt.Fatalf("%q, want %v", states(entries), model)
				}
				for _, e := range entries {
					var i int
					_, _ = fmt.Sscanf(e.Job.ID, "job-%d", &i)
					if model[i] != e.State {
						rt.Fatalf("%q, want %v", states(entries), model)
					}
				}
			},
		})
		must(t, j.Close())
	})
}

func FuzzParse(f *testing.F) {
	frame, _ := encode([]record{{Kind: kindIntent, Job: &agentapi.Assignment{ID: "a", Lease: "b"}}, {Kind: kindClosed, ID: "a", Lease: "b"}})
	f.Add([]byte(header))
	f.Add(append([]byte(header), frame...))
	f.Add(append([]byte(header), append(frame, frame...)...))
	f.Add([]byte("skadi agent journal 2\n"))
	f.Add(append([]byte(header), marker...))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data)
		if err != nil {
			return
		}
		if c.badAt > len(data) {
			t.Fatalf("unreadable at %d of %d", c.badAt, len(data))
		}
		for _, r := range c.records {
			if !r.complete() {
				t.Fatalf("an incomplete record: %+v", r)
			}
		}
	})
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "state")
	unlock, err := Lock(dir)
	must(t, err)
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 && runtime.GOOS != "windows" {
		t.Errorf("the folder's mode is %v", info.Mode())
	}
	_, err = Lock(dir)
	who := fmt.Sprint(os.Getpid())
	if runtime.GOOS == "windows" {
		who = "" // the file cannot be read while it is locked
	}
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), who) {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	unlock, err = Lock(dir)
	must(t, err)
	unlock()
}

func BenchmarkHandOver(b *testing.B) {
	j, _ := open(b, b.TempDir())
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			must(b, j.Intend([]agentapi.Assignment{job(i)}))
			must(b, j.Started([]agentapi.Hold{hold(i)}))
			must(b, j.Finished(hold(i), report(i)))
			j.Forget(hold(i))
		}
	})
}
