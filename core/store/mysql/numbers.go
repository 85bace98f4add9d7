package mysql

import (
	"errors"
	"sync"
	"time"
)

const (
	// numberBlock is how many job numbers are taken at a time at most.
	numberBlock = 1000
	// numbersFor is how long a block is used. Numbers are the order in which
	// jobs are listed and handed out, so those of nodes that make jobs at the
	// same time must not lie far apart.
	numbersFor = time.Second
)

// numbers are job numbers that no other node has. They are for both writers,
// so that within a node their order is that of the transactions.
type numbers struct {
	mu        sync.Mutex
	next, end int64
	size      int64 // of the last block
	since     time.Time
}

// take hands out n numbers that follow each other. If there are none left it
// returns how large the next block should be: it doubles while blocks are used
// up, and shrinks to what was used when they are not, since what is left over
// is lost and makes the codes of jobs longer.
func (b *numbers) take(n int64) (first, block int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := time.Since(b.since) < numbersFor
	if fresh && b.end-b.next >= n {
		first = b.next
		b.next += n
		return first, 0, true
	}
	block = 2 * b.size
	if !fresh {
		block = b.size - (b.end - b.next)
	}
	return 0, max(n, min(block, numberBlock)), false
}

// put adds a new block, of which n are used already.
func (b *numbers) put(first, size, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next, b.end, b.size, b.since = first+n, first+size, size, time.Now()
}

// drafts counts the job numbers that the members may need.
func drafts(batch []*member) (n int64) {
	for _, m := range batch {
		if c, ok := m.Op.(*createOp); ok {
			n += c.drafts
		}
	}
	return n
}

// reserve takes the job numbers that the members may need. A block is taken in
// a transaction of its own, so that a number is never handed out twice even if
// the transaction that uses it is rolled back, and nobody waits for that one.
func (t *tx) reserve(batch []*member) error {
	n := drafts(batch)
	if n == 0 {
		return nil
	}
	first, block, ok := t.s.numbers.take(n)
	if !ok {
		found, last, err := t.conn.exec(`UPDATE sequences SET value = LAST_INSERT_ID(value + ?) WHERE name = 'job'`, block)
		if err != nil {
			return err
		}
		if found != 1 {
			return errors.New("table sequences has no row named job: restore a backup")
		}
		if _, _, err := t.conn.exec(`COMMIT`); err != nil {
			return err
		}
		first = last - block + 1
		t.s.numbers.put(first, block, n)
	}
	t.number = first
	return nil
}
