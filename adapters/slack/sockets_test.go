package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// sockets is the far side of Socket Mode.
type sockets struct {
	mu      sync.Mutex
	open    []*wire
	opened  int
	changed chan struct{} // closed when open grows
	acks    map[string]chan ack
	turn    int
	over    bool
	wg      sync.WaitGroup
}

// wire is one connection.
type wire struct {
	conn *websocket.Conn
	gone chan struct{} // closed when it is broken
	mu   sync.Mutex
}

func (w *wire) send(v any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return w.conn.WriteJSON(v)
}

// raw sends a frame that need not be JSON.
func (w *wire) raw(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return w.conn.WriteMessage(websocket.TextMessage, b)
}

// ack is what comes back for a message.
type ack struct {
	EnvelopeID string          `json:"envelope_id"`
	Payload    json.RawMessage `json:"payload"`
}

// socket serves a connection.
func (s *sockets) socket(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("ticket") != socketTicket {
		rw.WriteHeader(http.StatusForbidden)
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(rw, r, nil)
	if err != nil {
		return
	}
	if !s.enter() {
		_ = conn.Close()
		return
	}
	defer s.wg.Done()
	w := &wire{conn: conn, gone: make(chan struct{})}
	defer func() { close(w.gone); _ = conn.Close() }()
	_ = conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second))
	s.mu.Lock()
	n := len(s.open) + 1
	s.mu.Unlock()
	if w.send(map[string]any{
		"type": "hello", "num_connections": n, "connection_info": map[string]string{"app_id": appID},
		"debug_info": map[string]any{"host": "applink-1", "approximate_connection_time": 18060},
	}) != nil {
		return
	}
	s.add(w)
	defer s.drop(w)
	for {
		var a ack
		if conn.ReadJSON(&a) != nil {
			return
		}
		s.mu.Lock()
		waiting := s.acks[a.EnvelopeID]
		delete(s.acks, a.EnvelopeID)
		s.mu.Unlock()
		if waiting != nil {
			waiting <- a
		}
	}
}

// enter counts a connection, unless it comes when all are over.
func (s *sockets) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.wg.Add(1)
	}
	return !s.over
}

func (s *sockets) add(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, w)
	s.opened++
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *sockets) drop(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.open {
		if o == w {
			s.open = append(s.open[:i:i], s.open[i+1:]...)
			return
		}
	}
}

// connected returns a connection, another each time, once there are n.
func (s *sockets) connected(ctx context.Context, n int) *wire {
	for {
		s.mu.Lock()
		if len(s.open) >= n {
			s.turn++
			w := s.open[s.turn%len(s.open)]
			s.mu.Unlock()
			return w
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// await registers for the acknowledgement of a message.
func (s *sockets) await(id string) <-chan ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acks == nil {
		s.acks = make(map[string]chan ack)
	}
	c := make(chan ack, 1)
	s.acks[id] = c
	return c
}

// breakAll breaks all connections, and returns how many there were.
func (s *sockets) breakAll() int {
	s.mu.Lock()
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for _, w := range open {
		_ = w.conn.NetConn().Close()
	}
	return len(open)
}

// hangUp breaks all connections and waits until nobody serves any.
func (s *sockets) hangUp() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.breakAll()
	s.wg.Wait()
}
