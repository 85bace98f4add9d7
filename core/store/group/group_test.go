package group

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rows is a write of so many rows.
func rows(n int) Op[*[]int] {
	return &Func[*[]int]{Rows: n, Do: func(done *[]int) error {
		*done = append(*done, n)
		return nil
	}}
}

// put has writes wait in this order, and returns what each is told.
func put(t *testing.T, q *Queue[*[]int], ops ...Op[*[]int]) (told []chan error) {
	t.Helper()
	for _, o := range ops {
		c := make(chan error, 1)
		go func() { c <- q.Do(t.Context(), o) }()
		synctest.Wait()
		told = append(told, c)
	}
	return told
}

func weights(batch []*Member[*[]int]) (all []int) {
	for _, m := range batch {
		all = append(all, m.Op.Weight())
	}
	return all
}

func TestBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New[*[]int](10)
		told := put(t, q, rows(4), rows(6), rows(1), rows(40), rows(2))
		assert.Equal(t, 5, q.Waiting())
		<-q.Wake()
		for _, want := range [][]int{{4, 6}, {1}, {40}, {2}} { // one that weighs too much goes alone
			batch, more := q.Take(nil)
			assert.Equal(t, want, weights(batch))
			assert.True(t, more)
			var done []int
			for _, m := range batch {
				require.NoError(t, m.Op.Apply(&done))
			}
			assert.Equal(t, want, done)
			if want[0] == 40 {
				batch[0].Err = errors.New("refused")
			}
			Answer(batch, nil)
			Answer(batch, errors.New("too late"))
			if q.Waiting() > 0 {
				<-q.Wake() // somebody else could take
			}
		}
		for i, c := range told {
			if err := <-c; i == 3 {
				require.EqualError(t, err, "refused")
			} else {
				require.NoError(t, err)
			}
		}
		batch, more := q.Take(nil)
		assert.Empty(t, batch)
		assert.True(t, more)
	})
}

func TestTakeIsLeftToAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New[*[]int](10)
		told := put(t, q, rows(1), rows(2))
		few := func(waiting int) bool { return waiting > 2 }
		batch, more := q.Take(few)
		assert.Empty(t, batch)
		assert.True(t, more)
		q.Close() // then nobody is left to leave it to
		batch, more = q.Take(few)
		assert.Len(t, batch, 2)
		assert.True(t, more)
		Answer(batch, errors.New("the disk is full"))
		for _, c := range told {
			require.EqualError(t, <-c, "the disk is full")
		}
	})
}

func TestClosed(t *testing.T) {
	t.Parallel()
	q := New[*[]int](10)
	require.NoError(t, q.Alive())
	q.Close()
	q.Close()
	<-q.Closed()
	require.ErrorIs(t, q.Alive(), ErrClosed)
	require.ErrorIs(t, q.Do(t.Context(), rows(1)), ErrClosed)
	_, more := q.Take(nil)
	assert.False(t, more)
}

// TestWhoLeaves is told so at once, and the work is done all the same.
func TestWhoLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New[*[]int](10)
		ctx, leave := context.WithCancel(t.Context())
		told := make(chan error, 1)
		go func() { told <- q.Do(ctx, rows(1)) }()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-told, context.Canceled)
		batch, _ := q.Take(nil)
		assert.Len(t, batch, 1)
		Answer(batch, nil)
		require.ErrorIs(t, q.Do(ctx, rows(1)), context.Canceled)
		assert.Zero(t, q.Waiting())
	})
}

func TestFull(t *testing.T) {
	t.Parallel()
	q := New[*[]int](10)
	for range maxWaiting {
		require.NoError(t, q.put(&Member[*[]int]{Op: rows(1)}))
	}
	require.ErrorIs(t, q.Do(t.Context(), rows(1)), ErrFull)
}
