package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// BenchmarkEvent is the whole way of an event, by batches of that many:
// published, read, handled and acknowledged.
func BenchmarkEvent(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := throwaway.Redis(b, "--appendfsync", "everysec")
			cfg := quick(r.Addr)
			cfg.Partitions = 16
			q := open(b, cfg)
			h := newReader()
			consume(b, q, "replies", "one", h)
			batch := make([]queue.Message, size)
			for i := range batch {
				batch[i] = queue.Message{
					ID: fmt.Sprintf("01a2b3c4-d5e6-7f80-91a2-b3c4d5e6f708.%d", i), Space: "default", Kind: "EventJobStatus", Partition: i % 16,
					Data: []byte(`{"text":"` + strings.Repeat("x", 300) + `"}`),
				}
			}
			b.ResetTimer()
			for n := 0; n < b.N; n += size {
				publish(b, q, batch...)
				for range batch {
					<-h.got
				}
			}
		})
	}
}
